package cli

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"
)

func (g *group) paramVerbs() []*cobra.Command {
	var aggregate, decode bool
	get := g.cmd("get <id> param <key>", "Show one param.", cobra.ExactArgs(3), func(ctx context.Context, a []string) error {
		return g.getParam(ctx, a, aggregate, decode)
	})
	all := g.cmd("params <id> [<JSON>]", "Show all params, or replace them.", cobra.RangeArgs(1, 2), func(ctx context.Context, a []string) error {
		return g.params(ctx, a, aggregate, decode)
	})
	for _, c := range []*cobra.Command{get, all} {
		c.Flags().BoolVar(&aggregate, "aggregate", false, "with what profiles, stage and defaults give")
		c.Flags().BoolVar(&decode, "decode", false, "open secure params")
	}
	set := g.cmd("set <id> param <key> to <value>", "Set a param; @file and - keep the value off the command line.", cobra.ExactArgs(5), g.setParam)
	set.Example = "  drpcli " + g.name + " set x param access/ssh-keys to '[\"ssh-ed25519 ...\"]'\n  drpcli " + g.name + " set x param ipmi/password to @secret.txt\n  pass show bmc | drpcli " + g.name + " set x param ipmi/password to -"
	return []*cobra.Command{all, get, set,
		g.cmd("add <id> param <key> to <value>", "Set a param that is not set yet; refused if it is.", cobra.ExactArgs(5), g.addParam),
		g.cmd("remove <id> param <key>", "Remove a param.", cobra.ExactArgs(3), g.removeParam)}
}

func paramQuery(aggregate, decode bool) url.Values {
	q := url.Values{}
	if aggregate {
		q.Set("aggregate", "true")
	}
	if decode {
		q.Set("decode", "true")
	}
	return q
}

func (g *group) params(ctx context.Context, args []string, aggregate, decode bool) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	out := object{}
	if len(args) == 2 {
		body, err := g.bodyObject(args[1])
		if err != nil {
			return err
		}
		err = g.conn().call(ctx, http.MethodPost, at(g.name, key, "params"), g.forced(), body, &out)
		if err != nil {
			return about(err, "set the params of %s", args[0])
		}
	} else if err := g.conn().get(ctx, at(g.name, key, "params"), paramQuery(aggregate, decode), &out); err != nil {
		return about(err, "params of %s", args[0])
	}
	return g.print("", out)
}

func (g *group) getParam(ctx context.Context, args []string, aggregate, decode bool) error {
	v, err := g.readParam(ctx, args, aggregate, decode)
	if err != nil {
		return err
	}
	return g.print("", v)
}

func (g *group) readParam(ctx context.Context, args []string, aggregate, decode bool) (any, error) {
	if err := wantWord(args[1], "param"); err != nil {
		return nil, err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return nil, err
	}
	var v any
	err = g.conn().get(ctx, at(g.name, key, "params")+slashed(args[2]), paramQuery(aggregate, decode), &v)
	return v, about(err, "param %s of %s", args[2], args[0])
}

func wantWord(got, want string) error {
	if got != want {
		return failf(exitUsage, "%q stands where the word %q belongs", got, want)
	}
	return nil
}

func (g *group) setParam(ctx context.Context, args []string) error {
	for i, w := range map[int]string{1: "param", 3: "to"} {
		if err := wantWord(args[i], w); err != nil {
			return err
		}
	}
	v, err := g.value(args[4])
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	if err := g.storeParam(ctx, key, args[2], v); err != nil {
		return about(err, "set param %s of %s", args[2], args[0])
	}
	return g.print("", v)
}

func (g *group) storeParam(ctx context.Context, key, param string, v any) error {
	return g.conn().call(ctx, http.MethodPost, at(g.name, key, "params")+slashed(param), g.forced(), jsonValue{v}, nil)
}

// jsonValue makes null a body too.
type jsonValue struct{ v any }

func (j jsonValue) MarshalJSON() ([]byte, error) { return encode(j.v, "") }

func (g *group) addParam(ctx context.Context, args []string) error {
	was, err := g.readParam(ctx, args, false, false)
	if err != nil {
		return err
	}
	if was != nil {
		return &failure{code: exitRefused, what: "param " + args[2] + " of " + args[0] + " is set already", fix: "drpcli " + g.name + " set " + args[0] + " param " + args[2] + " to ..."}
	}
	return g.setParam(ctx, args)
}

func (g *group) removeParam(ctx context.Context, args []string) error {
	if err := wantWord(args[1], "param"); err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var old any
	err = g.conn().call(ctx, http.MethodDelete, at(g.name, key, "params")+slashed(args[2]), g.forced(), nil, &old)
	if err != nil {
		return about(err, "remove param %s of %s", args[2], args[0])
	}
	return g.print("", old)
}

func (g *group) profileVerbs() []*cobra.Command {
	edit := func(ctx context.Context, args []string, fn func(have []any, name string) []any) error {
		o, err := g.fetch(ctx, g.kind, args[0], nil)
		if err != nil {
			return err
		}
		have, _ := o["Profiles"].([]any)
		next := slices.Clone(have)
		for _, p := range args[1:] {
			next = fn(next, p)
		}
		// The test makes it fail if somebody else changed the list meanwhile.
		done, err := g.change(ctx, g.kind, keyOf(g.kind, o), patchOp{"test", "/Profiles", o["Profiles"]}, setField("Profiles", next))
		if err != nil {
			return about(err, "profiles of %s", args[0])
		}
		return g.print(g.name, done)
	}
	return []*cobra.Command{
		g.cmd("addprofile <id> <profile>...", "Add profiles at the end.", cobra.MinimumNArgs(2), func(ctx context.Context, a []string) error {
			return edit(ctx, a, func(have []any, name string) []any {
				if slices.Contains(have, any(name)) {
					return have
				}
				return append(have, name)
			})
		}),
		g.cmd("removeprofile <id> <profile>...", "Remove profiles.", cobra.MinimumNArgs(2), func(ctx context.Context, a []string) error {
			return edit(ctx, a, func(have []any, name string) []any {
				return slices.DeleteFunc(have, func(v any) bool { return v == name })
			})
		}),
	}
}

func (g *group) metaCmd() *cobra.Command {
	m := &cobra.Command{Use: "meta", Short: "Show and change the notes in Meta.", Args: cobra.ArbitraryArgs, RunE: g.noVerb}
	edit := func(ctx context.Context, args []string, value any) error {
		o, err := g.fetch(ctx, g.kind, args[0], nil)
		if err != nil {
			return err
		}
		done, err := g.change(ctx, g.kind, keyOf(g.kind, o), mergeOps("Meta", o["Meta"], object{args[2]: value})...)
		if err != nil {
			return about(err, "meta of %s", args[0])
		}
		return g.print("", done["Meta"])
	}
	set := func(ctx context.Context, args []string) error {
		if err := wantWord(args[3], "to"); err != nil {
			return err
		}
		return edit(ctx, args, args[4])
	}
	m.AddCommand(
		g.cmd("get <id> [key <key>]", "Show the notes, or one.", cobra.RangeArgs(1, 3), g.getMeta),
		g.cmd("set <id> key <key> to <value>", "Set a note.", cobra.ExactArgs(5), set),
		g.cmd("add <id> key <key> to <value>", "Set a note.", cobra.ExactArgs(5), set),
		g.cmd("remove <id> key <key>", "Remove a note.", cobra.ExactArgs(3), func(ctx context.Context, args []string) error { return edit(ctx, args, nil) }),
	)
	return m
}

func (g *group) getMeta(ctx context.Context, args []string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	meta, _ := o["Meta"].(map[string]any)
	if len(args) == 3 {
		v, ok := meta[args[2]]
		if !ok {
			return failf(exitNotFound, "%s has no note %q", args[0], args[2])
		}
		return g.print("", v)
	}
	if meta == nil {
		meta = object{}
	}
	return g.print("", meta)
}
