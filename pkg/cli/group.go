package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
	"drpd/pkg/resource"
)

// group is the commands of one kind.
type group struct {
	*session
	kind resource.Any
	name string
}

func one(kind string) string { return strings.ReplaceAll(strings.TrimSuffix(kind, "s"), "_", " ") }

// group builds every verb that the kind's declaration allows, then the extras.
func (s *session) group(k resource.Any) *cobra.Command {
	g := &group{s, k, k.KindName()}
	root := &cobra.Command{Use: g.name, Aliases: aliases(g.name), Short: "List, change and follow " + strings.ReplaceAll(g.name, "_", " ") + ".",
		GroupID: "objects", Args: cobra.ArbitraryArgs, RunE: s.noVerb, Example: examples(g.name)}
	if g.name == "files" {
		root.AddCommand(s.blobVerbs("files")...)
		return root
	}
	root.AddCommand(g.readVerbs()...)
	root.AddCommand(g.writeVerbs()...)
	zero, err := k.Decode([]byte("{}"))
	if err == nil && k.CommonOf(zero) != nil {
		root.AddCommand(g.metaCmd())
	}
	if err == nil && k.ParamsOf(zero) != nil {
		root.AddCommand(g.paramVerbs()...)
	}
	if err == nil && k.ProfilesOf(zero) != nil {
		root.AddCommand(g.profileVerbs()...)
	}
	extras := g.extras()
	for _, c := range extras { // an extra of the same name replaces the common verb
		for _, old := range root.Commands() {
			if old.Name() == c.Name() {
				root.RemoveCommand(old)
			}
		}
	}
	root.AddCommand(extras...)
	return root
}

func aliases(name string) []string {
	out := []string{strings.TrimSuffix(name, "s")}
	switch name {
	case "work_orders":
		out = append(out, "workorders", "workorder", "wo")
	case "resource_brokers":
		out = append(out, "brokers", "broker")
	}
	return out
}

// extras are the verbs of one kind only.
func (g *group) extras() []*cobra.Command {
	switch g.name {
	case "machines":
		return g.runnerVerbs()
	case "resource_brokers":
		return g.runnerVerbs()
	case "clusters":
		return append(g.runnerVerbs(), (&clusters{group: g}).verbs()...)
	case "jobs":
		return []*cobra.Command{g.jobLogCmd()}
	case "work_orders":
		return []*cobra.Command{g.orderRunCmd(), g.orderCancelCmd()}
	case "contents":
		return []*cobra.Command{g.packUploadCmd()}
	case "users":
		return g.userVerbs(g)
	}
	return nil
}

func (g *group) cmd(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, args []string) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: func(c *cobra.Command, a []string) error {
		if err := args(c, a); err != nil {
			return usage(c, "%v", err)
		}
		return nil
	}, RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args) }}
	if strings.Contains(use, "<id>") || strings.Contains(use, "<name>") {
		c.ValidArgsFunction = g.complete
	}
	return c
}

func (g *group) readVerbs() []*cobra.Command {
	list := g.cmd("list [Field=value]... [sort=Field] [limit=n]", "List "+g.name+", all or those that filters let through.", cobra.ArbitraryArgs, g.list)
	list.Example = fmt.Sprintf("  drpcli %s list\n  drpcli %s list Available=true sort=%s limit=10\n  drpcli %s list 'Meta.rack=Re(^r0[1-4])' -J %s,Meta.rack",
		g.name, g.name, keyField(g.kind), g.name, keyField(g.kind))
	return []*cobra.Command{
		list,
		g.cmd("show <id>", "Show one "+one(g.name)+".", cobra.ExactArgs(1), g.show),
		g.cmd("exists <id>", "Exit 0 if it exists, 3 if not.", cobra.ExactArgs(1), g.exists),
		g.cmd("count [Field=value]...", "Count "+g.name+", all or those that filters let through.", cobra.ArbitraryArgs, g.count),
		g.cmd("indexes", "List the indexes for filters.", cobra.NoArgs, g.indexes),
		g.awaitCmd(), g.waitCmd(),
	}
}

// filters turns Field=value words into a query.
func filters(words []string) (url.Values, error) {
	q := url.Values{}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok && w == "reverse" {
			v, ok = "true", true
		}
		if !ok {
			return nil, failf(exitUsage, "%q is not Field=value", w)
		}
		q.Add(k, v)
	}
	return q, nil
}

func (g *group) list(ctx context.Context, args []string) error {
	q, err := filters(args)
	if err != nil {
		return err
	}
	if g.isTable() && g.flags.fields == "" {
		q.Set("slim", "Params,Meta")
	}
	if by := g.listOrder(); g.isTable() && by != "" && !q.Has("sort") {
		q.Set("sort", by)
	}
	list := []any{}
	if err := g.conn().get(ctx, at(g.name), q, &list); err != nil {
		return about(err, "list %s", g.name)
	}
	if err := g.print(g.name, list); err != nil {
		return err
	}
	if g.isTable() && len(list) == 0 {
		g.note("no %s%s", g.name, map[bool]string{true: " match"}[len(args) > 0])
	}
	return nil
}

// listOrder is how people expect a list whose keys tell them nothing.
func (g *group) listOrder() string {
	switch {
	case !byUUID(g.kind):
		return ""
	case slices.Contains(g.kind.IndexNames(), "Name"):
		return "Name"
	case g.name == "jobs":
		return "StartTime"
	case g.name == "work_orders":
		return "CreateTime"
	}
	return ""
}

func (g *group) show(ctx context.Context, args []string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return about(err, "show %s", one(g.name))
	}
	return g.print(g.name, o)
}

func (g *group) exists(ctx context.Context, args []string) error {
	_, err := g.fetch(ctx, g.kind, args[0], nil)
	return err
}

func (g *group) count(ctx context.Context, args []string) error {
	q, err := filters(args)
	if err != nil {
		return err
	}
	r, err := g.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: at(g.name), Query: q})
	if err != nil {
		return about(err, "count %s", g.name)
	}
	return g.line("%s", r.Header.Get("X-DRP-LIST-TOTAL-COUNT"))
}

func (g *group) indexes(ctx context.Context, _ []string) error {
	var out any
	if err := g.conn().get(ctx, at("indexes", g.name), nil, &out); err != nil {
		return about(err, "indexes of %s", g.name)
	}
	return g.print("", out)
}
