package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// poolRequest is what pools manage asks for, with DRP's names of flags.
type poolRequest struct {
	all                         bool
	minimum, count              int
	list, wait, workflow        string
	addProfiles, removeProfiles string
	addParams, removeParams     string
	source                      string
}

func (g *group) poolVerbs() []*cobra.Command {
	verbs := []*cobra.Command{
		g.cmd("active", "List the pools that have machines, with or without an object.", func(ctx context.Context, _ []string) error {
			return g.showPath(ctx, "/pools-active", nil)
		}),
		g.cmd("status <id>", "List the machines of a pool and how they stand.", func(ctx context.Context, args []string) error {
			return g.poolStatus(ctx, args[0])
		}),
	}
	r := &poolRequest{}
	manage := g.parent("manage", "Move machines: add, remove, allocate, release.",
		"  drpcli pools manage add lab --source-pool default 'Meta.rack=r7'\n  drpcli pools manage allocate lab --count 3 --wait-timeout 30m\n  drpcli pools manage release lab --machine-list Name:n1,Name:n2",
		g.manage("add", "Take Free machines from a pool into this one.", r),
		g.manage("remove", "Give Free machines back to the parent pool.", r),
		g.manage("allocate", "Take machines of the pool into use.", r),
		g.manage("release", "Give machines in use back to the pool.", r))
	f := manage.PersistentFlags()
	f.BoolVar(&r.all, "all-machines", false, "all that fit")
	f.IntVar(&r.count, "count", 0, "so many (default 1)")
	f.IntVar(&r.minimum, "minimum", 0, "fewer are an error and nothing moves (default: count)")
	f.StringVar(&r.list, "machine-list", "", "just these: uuids or Index:value, separated by commas")
	f.StringVar(&r.wait, "wait-timeout", "", "wait until they have arrived, such as 30m or seconds")
	f.StringVar(&r.workflow, "new-workflow", "", "workflow for them instead of the pool's")
	f.StringVar(&r.addProfiles, "add-profiles", "", "profiles to add, separated by commas")
	f.StringVar(&r.removeProfiles, "remove-profiles", "", "profiles to remove, separated by commas")
	f.StringVar(&r.addParams, "add-parameters", "", "params to set, as JSON, YAML or a file")
	f.StringVar(&r.removeParams, "remove-parameters", "", "params to remove, separated by commas")
	return append(verbs, manage)
}

// poolStatus prints the machines by their status; as a table, one a row.
func (g *group) poolStatus(ctx context.Context, id string) error {
	var out doc
	if err := g.conn().get(ctx, at("pools", id, "status"), nil, &out); err != nil {
		return about(err, "status of pool %s", id)
	}
	byStatus, ok := out.val.(object)
	if !ok || !g.isTable() {
		return g.print("", out)
	}
	rows := []any{}
	for _, status := range sortedKeys(byStatus) {
		list, _ := byStatus[status].([]any)
		rows = append(rows, list...)
	}
	return g.print("pool results", rows)
}

func (g *group) manage(name, short string, r *poolRequest) *cobra.Command {
	c := g.cmd(name+" <id> [Field=value]...", short, func(ctx context.Context, args []string) error {
		body, err := r.body(g.session, args[1:])
		if err != nil {
			return err
		}
		q := url.Values{}
		if g.flags.force {
			q.Set("force", "true")
		}
		if r.source != "" {
			q.Set("source-pool", r.source)
		}
		return about(g.postPool(ctx, at("pools", args[0], name+"Machines"), q, body), "%s machines of pool %s", name, args[0])
	})
	if name == "add" {
		c.Flags().StringVar(&r.source, "source-pool", "", "pool to take them from (default: default)")
	}
	return c
}

func (g *group) postPool(ctx context.Context, path string, q url.Values, body object) error {
	if g.flags.dryRun {
		g.note("would post %s", path)
		return g.print("", body)
	}
	list := []doc{}
	if err := g.conn().call(ctx, http.MethodPost, path, q, body, &list); err != nil {
		return err
	}
	return g.print("pool results", list)
}

// body is the request in DRP's words.
func (r *poolRequest) body(s *session, filters []string) (object, error) {
	switch {
	case r.all && r.count > 0:
		return nil, failf(exitUsage, "choose --count or --all-machines, not both")
	case r.list != "" && (r.all || r.count > 0):
		return nil, failf(exitUsage, "--machine-list names the machines: --count and --all-machines do not go with it")
	}
	count := r.count
	if !r.all && count == 0 && r.list == "" {
		count = 1
	}
	if !r.all && r.list == "" && r.minimum > count {
		return nil, failf(exitUsage, "--minimum %d is more than --count %d", r.minimum, count)
	}
	for _, f := range filters {
		if !strings.Contains(f, "=") {
			return nil, failf(exitUsage, "%q is not Field=value", f)
		}
	}
	minimum := r.minimum
	if minimum == 0 {
		minimum = count
	}
	out := object{"pool/all-machines": r.all, "pool/count": count, "pool/minimum": minimum, "pool/wait-timeout": r.wait, "pool/workflow": r.workflow}
	for key, words := range map[string]string{"pool/machine-list": r.list, "pool/add-profiles": r.addProfiles,
		"pool/remove-profiles": r.removeProfiles, "pool/remove-parameters": r.removeParams} {
		if words != "" {
			out[key] = commaList(words)
		}
	}
	if len(filters) > 0 {
		out["pool/filter"] = filters
	}
	if r.addParams != "" {
		params, err := s.bodyObject(r.addParams)
		if err != nil {
			return nil, about(err, "--add-parameters")
		}
		out["pool/add-parameters"] = params
	}
	return out, nil
}

func commaList(words string) []string {
	var out []string
	for w := range strings.SplitSeq(words, ",") {
		out = append(out, strings.TrimSpace(w))
	}
	return out
}
