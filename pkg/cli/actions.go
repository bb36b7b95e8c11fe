package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// actionVerbs are those of every kind; jobs have other actions, so DRP calls
// theirs plugin_actions.
func (g *group) actionVerbs() []*cobra.Command {
	word := "action"
	if g.name == "jobs" {
		word = "plugin_action"
	}
	plugin := ""
	all := g.cmd(word+"s <id>", "List the actions that the object can be asked for.", func(ctx context.Context, args []string) error {
		key, err := g.keyFor(ctx, g.kind, args[0])
		if err != nil {
			return err
		}
		return g.listActions(ctx, at(g.name, key, word+"s"), plugin)
	})
	one := g.cmd(word+" <id> <action>", "Show one action and the params it takes.", func(ctx context.Context, args []string) error {
		key, err := g.keyFor(ctx, g.kind, args[0])
		if err != nil {
			return err
		}
		return g.showPath(ctx, at(g.name, key, word+"s", args[1]), pluginQuery(plugin))
	})
	run := g.cmd("run"+word+" <id> <action> [param=value]...", "Run an action, such as poweron.", func(ctx context.Context, args []string) error {
		key, err := g.keyFor(ctx, g.kind, args[0])
		if err != nil {
			return err
		}
		return g.runAction(ctx, at(g.name, key, word+"s", args[1]), plugin, args[2:])
	})
	for _, c := range []*cobra.Command{all, one, run} {
		c.Flags().StringVar(&plugin, "plugin", "", "the action of this plugin only")
	}
	return []*cobra.Command{all, one, run}
}

func pluginQuery(plugin string) url.Values {
	if plugin == "" {
		return nil
	}
	return url.Values{"plugin": {plugin}}
}

func (s *session) listActions(ctx context.Context, path, plugin string) error {
	list := []doc{}
	if err := s.conn().get(ctx, path, pluginQuery(plugin), &list); err != nil {
		return about(err, "list actions")
	}
	return s.print("actions", list)
}

// runAction takes param=value words, a body, or names and values by turns as
// DRP does.
func (s *session) runAction(ctx context.Context, path, plugin string, args []string) error {
	params, err := s.actionParams(args)
	if err != nil {
		return err
	}
	q := s.forced()
	if plugin != "" {
		q = url.Values{"plugin": {plugin}}
		if s.flags.force {
			q.Set("force", "true")
		}
	}
	var out doc
	if err := s.conn().call(ctx, http.MethodPost, path, q, params, &out); err != nil {
		return about(err, "run %s", path)
	}
	kind := ""
	if out.at("Want") != nil {
		kind = "bmc_actions"
	}
	return s.print(kind, out)
}

func (s *session) actionParams(args []string) (object, error) {
	if len(args) == 1 && (args[0] == "-" || inline(args[0]) || isFile(args[0])) {
		return s.bodyObject(args[0])
	}
	if params, err := s.pairs(args); err == nil {
		return params, nil
	}
	if len(args)%2 != 0 {
		return nil, failf(exitUsage, "%q has no value: write param=value", args[len(args)-1])
	}
	out := object{}
	for i := 0; i+1 < len(args); i += 2 {
		v, err := s.value(args[i+1])
		if err != nil {
			return nil, err
		}
		out[args[i]] = v
	}
	return out, nil
}

// systemActions are those of the server itself.
func (s *session) systemActions() []*cobra.Command {
	plugin := ""
	verbs := []*cobra.Command{
		s.verb("actions", "List the actions of the server.", func(ctx context.Context, _ []string) error {
			return s.listActions(ctx, "/system/actions", plugin)
		}),
		s.verb("action <action>", "Show one action of the server.", func(ctx context.Context, args []string) error {
			return s.showPath(ctx, "/system/actions"+at(args[0]), pluginQuery(plugin))
		}),
		s.verb("runaction <action> [param=value]...", "Run an action of the server.", func(ctx context.Context, args []string) error {
			return s.runAction(ctx, "/system/actions"+at(args[0]), plugin, args[1:])
		}),
	}
	for _, c := range verbs {
		c.Flags().StringVar(&plugin, "plugin", "", "the action of this plugin only")
	}
	return verbs
}

// postCmd is a verb that only asks the server to do something with an object.
func (g *group) postCmd(use, short, verb string) *cobra.Command {
	return g.cmd(use, short, func(ctx context.Context, args []string) error { return g.postVerb(ctx, args[0], verb, object{}) })
}

func (g *group) postVerb(ctx context.Context, ref, verb string, body object) error {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	var out doc
	if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, verb), g.forced(), body, &out); err != nil {
		return about(err, "%s %s %s", verb, one(g.name), ref)
	}
	return g.print(g.name, out)
}

func (g *group) exemptCmd() *cobra.Command {
	return g.cmd("exempt-disk <id> <disk> <reason>", "Note that a disk (serial, WWN or name; none if it has none) need not be wiped this time.", func(ctx context.Context, args []string) error {
		return g.postVerb(ctx, args[0], "exemptDisk", object{"Disk": args[1], "Reason": args[2]})
	})
}
