package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

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
	resp, err := g.conn().raw(ctx, http.MethodHead, at(g.name), q, "", nil)
	if err != nil {
		return about(err, "count %s", g.name)
	}
	defer resp.Body.Close()
	return g.line("%s", resp.Header.Get("X-DRP-LIST-TOTAL-COUNT"))
}

func (g *group) indexes(ctx context.Context, _ []string) error {
	var out any
	if err := g.conn().get(ctx, at("indexes", g.name), nil, &out); err != nil {
		return about(err, "indexes of %s", g.name)
	}
	return g.print("", out)
}

func (g *group) writeVerbs() []*cobra.Command {
	create := g.cmd("create <body>|<name> [Field=value]... [param/name=value]...", "Create a "+one(g.name)+" from JSON, YAML, a file, - or words.", cobra.MinimumNArgs(1), g.create)
	var ref string
	patch := g.cmd("patch <id> <JSON patch>", "Change single fields with a JSON patch (RFC 6902), inline, in a file or from -.", cobra.ExactArgs(2), g.patch)
	update := g.cmd("update <id> <body>|[Field=value]... [param/name=value]...", "Merge a body or words into a "+one(g.name)+".", cobra.MinimumNArgs(2),
		func(ctx context.Context, args []string) error { return g.update(ctx, args, ref) })
	update.Flags().StringVar(&ref, "ref", "", "the object as it must still be, or nothing is changed")
	return []*cobra.Command{create, update, patch,
		g.cmd("destroy <id>...", "Delete.", cobra.MinimumNArgs(1), g.destroy)}
}

func (g *group) create(ctx context.Context, args []string) error {
	body, err := g.newBody(g.kind, args)
	if err != nil {
		return err
	}
	o := object{}
	if err := g.conn().call(ctx, http.MethodPost, at(g.name), g.forced(), body, &o); err != nil {
		return about(err, "create %s %s", one(g.name), nameOf(body))
	}
	return g.print(g.name, o)
}

func (g *group) patch(ctx context.Context, args []string) error {
	v, err := g.bodyValue(args[1])
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	o := object{}
	if err := g.conn().call(ctx, http.MethodPatch, at(g.name, key), g.forced(), v, &o); err != nil {
		return about(err, "patch %s %s", one(g.name), args[0])
	}
	return g.print(g.name, o)
}

// update sends only the difference, so that changes by others stay.
func (g *group) update(ctx context.Context, args []string, ref string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	set, err := g.updateBody(args[1:])
	if err != nil {
		return err
	}
	var ops []patchOp
	if ref != "" {
		was, err := g.bodyObject(ref)
		if err != nil {
			return err
		}
		ops = append(ops, patchOp{"test", "", was})
	}
	for _, name := range sortedKeys(set) {
		ops = append(ops, mergeOps(name, o[name], set[name])...)
	}
	done, err := g.change(ctx, g.kind, keyOf(g.kind, o), ops...)
	if err != nil {
		return about(err, "update %s %s", one(g.name), args[0])
	}
	return g.print(g.name, done)
}

func (g *group) updateBody(args []string) (object, error) {
	set := object{}
	if !strings.Contains(args[0], "=") || inline(args[0]) {
		body, err := g.bodyObject(args[0])
		if err != nil {
			return nil, err
		}
		set, args = body, args[1:]
	}
	more, err := g.pairs(args)
	if err != nil {
		return nil, err
	}
	return set, assign(g.kind, set, more)
}

// mergeOps sets one field; the keys of Params and Meta one by one.
func mergeOps(name string, was, want any) []patchOp {
	m, ok := want.(map[string]any)
	if !ok || name != "Params" && name != "Meta" {
		if same(was, want) {
			return nil
		}
		return []patchOp{setField(name, want)}
	}
	var ops []patchOp
	if was == nil {
		ops = append(ops, setField(name, object{}))
	}
	for _, k := range sortedKeys(m) {
		if m[k] == nil {
			ops = append(ops, patchOp{Op: "remove", Path: "/" + name + "/" + pointer(k)})
			continue
		}
		ops = append(ops, patchOp{"add", "/" + name + "/" + pointer(k), m[k]})
	}
	return ops
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// destroy deletes each object named and reports those that would not go.
func (g *group) destroy(ctx context.Context, args []string) error {
	var last error
	failed := 0
	for _, ref := range args {
		if err := g.destroyOne(ctx, ref); err != nil {
			last = about(err, "destroy %s %s", one(g.name), ref)
			if failed++; len(args) > 1 {
				g.note("error: %v", last)
			}
		}
	}
	if failed > 0 && len(args) > 1 {
		return failf(exitSomeFailed, "%d of %d %s not destroyed", failed, len(args), g.name)
	}
	return last
}

func (g *group) destroyOne(ctx context.Context, ref string) error {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	if err := g.conn().call(ctx, http.MethodDelete, at(g.name, key), g.forced(), nil, nil); err != nil {
		return err
	}
	g.note("destroyed %s %s", one(g.name), ref)
	return nil
}
