package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"
)

// paramView is which params are wanted.
type paramView struct{ view }

func (v *paramView) query() url.Values {
	q := url.Values{}
	v.shape(q)
	return q
}

func (g *group) paramVerbs() []*cobra.Command {
	v, compose := &paramView{}, false
	get := g.cmd("get <id> param <param>", "Show one param.", func(ctx context.Context, a []string) error {
		q := v.query()
		if compose {
			q.Set("compose", "true")
		}
		return g.getParam(ctx, a, q)
	})
	get.Flags().BoolVar(&compose, "compose", false, "merge maps and lists from all sources")
	all := g.cmd("params <id> [<body>]", "Show all params, or replace them.", func(ctx context.Context, a []string) error {
		return g.params(ctx, a, v.query())
	})
	all.Flags().StringVar(&v.params, "params", "", "show only these, separated by commas")
	for _, c := range []*cobra.Command{get, all} {
		c.Flags().BoolVar(&v.aggregate, "aggregate", false, "with what profiles, stage and defaults give")
		c.Flags().BoolVar(&v.decode, "decode", false, "open secure params")
	}
	set := g.cmd("set <id> param <param> to <value>", "Set a param; @file and - keep the value off the command line.", g.setParam)
	id := sampleID(g.name)
	set.Example = "  drpcli " + g.name + " set " + id + " param access/ssh-keys to '[\"ssh-ed25519 ...\"]'\n  drpcli " + g.name + " set " + id +
		" param ipmi/password to @secret.txt\n  pass show bmc | drpcli " + g.name + " set " + id + " param ipmi/password to -"
	return []*cobra.Command{all, get, set,
		g.cmd("add <id> param <param> to <value>", "Set a param that is not set yet; refused if it is.", g.addParam),
		g.cmd("remove <id> param <param>", "Remove a param.", g.removeParam),
		g.cmd("uploadiso <id>", "Fetch to the server the images that the params name.", g.uploadParamISOs)}
}

func (g *group) params(ctx context.Context, args []string, q url.Values) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var out doc
	if len(args) == 2 {
		body, err := g.bodyObject(args[1])
		if err != nil {
			return err
		}
		err = g.conn().call(ctx, http.MethodPost, at(g.name, key, "params"), g.forced(), body, &out)
		if err != nil {
			return about(err, "set the params of %s", args[0])
		}
	} else if err := g.conn().get(ctx, at(g.name, key, "params"), q, &out); err != nil {
		return about(err, "params of %s", args[0])
	}
	return g.print("", out)
}

func (g *group) getParam(ctx context.Context, args []string, q url.Values) error {
	v, err := g.readParam(ctx, args, q)
	if err != nil {
		return err
	}
	return g.print("", v)
}

func (g *group) readParam(ctx context.Context, args []string, q url.Values) (doc, error) {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return doc{}, err
	}
	var v doc
	err = g.conn().get(ctx, at(g.name, key, "params")+slashed(args[2]), q, &v)
	return v, about(err, "param %s of %s", args[2], args[0])
}

func (g *group) setParam(ctx context.Context, args []string) error {
	v, err := g.value(args[4])
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	if ref := g.flags.ref; ref != "" {
		return g.swapParam(ctx, key, args[2], v)
	}
	if err := g.storeParam(ctx, key, args[2], v); err != nil {
		return about(err, "set param %s of %s", args[2], args[0])
	}
	return g.print("", v)
}

// swapParam sets a param only while it still is what --ref says.
func (g *group) swapParam(ctx context.Context, key, param string, v any) error {
	read := g.value
	if isFile(g.flags.ref) {
		read = g.bodyValue
	}
	was, err := read(g.flags.ref)
	if err != nil {
		return err
	}
	path := "/" + pointer(param)
	ops := []patchOp{{"test", path, was}, {"replace", path, v}}
	err = g.conn().call(ctx, http.MethodPatch, at(g.name, key, "params"), g.forced(), ops, nil)
	if err != nil {
		return about(err, "set param %s", param)
	}
	return g.print("", v)
}

func (g *group) storeParam(ctx context.Context, key, param string, v any) error {
	if g.flags.dryRun {
		return g.planParam(ctx, "set", key, param, patchOp{"add", "/Params/" + pointer(param), v})
	}
	return g.conn().call(ctx, http.MethodPost, at(g.name, key, "params")+slashed(param), g.forced(), jsonValue{v}, nil)
}

// planParam says what would become of a param, without its value: it may be a
// secret.
func (g *group) planParam(ctx context.Context, verb, key, param string, op patchOp) error {
	does := fmt.Sprintf("%s param %s of %s/%s", verb, param, g.name, key)
	g.note("would %s", does)
	return g.planned(ctx, planStep{Does: does, Method: http.MethodPatch, Path: at(g.name, key), Body: []patchOp{op}})
}

// jsonValue makes null a body too.
type jsonValue struct{ v any }

func (j jsonValue) MarshalJSON() ([]byte, error) { return encode(j.v, "") }

func (g *group) addParam(ctx context.Context, args []string) error {
	was, err := g.readParam(ctx, args, nil)
	if err != nil {
		return err
	}
	if was.val != nil {
		return &failure{code: exitRefused, what: "param " + args[2] + " of " + args[0] + " is set already", fix: "drpcli " + g.name + " set " + args[0] + " param " + args[2] + " to ..."}
	}
	return g.setParam(ctx, args)
}

func (g *group) removeParam(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var old doc
	if g.flags.dryRun {
		return g.planParam(ctx, "remove", key, args[2], patchOp{Op: "remove", Path: "/Params/" + pointer(args[2])})
	}
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
		next := slices.Clone(o.list("Profiles"))
		for _, p := range args[1:] {
			next = fn(next, p)
		}
		// The test makes it fail if somebody else changed the list meanwhile.
		done, err := g.change(ctx, g.kind, keyOf(g.kind, o), patchOp{"test", "/Profiles", o.at("Profiles")}, setField("Profiles", next))
		if err != nil {
			return about(err, "profiles of %s", args[0])
		}
		return g.print(g.name, done)
	}
	return []*cobra.Command{
		g.cmd("addprofile <id> <profile>...", "Add profiles at the end.", func(ctx context.Context, a []string) error {
			return edit(ctx, a, func(have []any, name string) []any {
				if slices.Contains(have, any(name)) {
					return have
				}
				return append(have, name)
			})
		}),
		g.cmd("removeprofile <id> <profile>...", "Remove profiles.", func(ctx context.Context, a []string) error {
			return edit(ctx, a, func(have []any, name string) []any {
				return slices.DeleteFunc(have, func(v any) bool { return v == name })
			})
		}),
	}
}

func (g *group) metaCmd() *cobra.Command {
	m := g.cmd("meta [<id>]", "Show and change the notes in Meta.", func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return failf(exitUsage, "name an object, or a verb: get, set, add, remove")
		}
		return g.getMeta(ctx, args)
	})
	edit := func(ctx context.Context, args []string, value any) error {
		o, err := g.fetch(ctx, g.kind, args[0], nil)
		if err != nil {
			return err
		}
		_, err = g.change(ctx, g.kind, keyOf(g.kind, o), mergeOps("Meta", o.at("Meta"), object{args[2]: value})...)
		if err != nil || value == nil {
			return about(err, "meta of %s", args[0])
		}
		return g.print("", value)
	}
	set := func(ctx context.Context, args []string) error { return edit(ctx, args, args[4]) }
	m.AddCommand(
		g.cmd("get <id> [<key>] [<key>]", "Show the notes, or one.", g.getMeta),
		g.cmd("set <id> key <key> to <value>", "Set a note.", set),
		g.cmd("add <id> key <key> val <value>", "Set a note.", set),
		g.cmd("remove <id> key <key>", "Remove a note.", func(ctx context.Context, args []string) error { return edit(ctx, args, nil) }),
	)
	return m
}

func (g *group) getMeta(ctx context.Context, args []string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	meta, _ := o.at("Meta").(map[string]any)
	if len(args) > 1 {
		key := args[len(args)-1] // "get x rack" or "get x key rack"
		v, ok := meta[key]
		if !ok {
			return failf(exitNotFound, "%s has no note %q", args[0], key)
		}
		return g.print("", v)
	}
	if meta == nil {
		meta = object{}
	}
	return g.print("", meta)
}
