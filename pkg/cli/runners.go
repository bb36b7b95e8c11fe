package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// runnerVerbs are those of machines, clusters and brokers.
func (g *group) runnerVerbs() []*cobra.Command {
	set := func(word, short, field string) *cobra.Command {
		return g.cmd(word+" <id> <"+word+">", short, func(ctx context.Context, args []string) error {
			return g.set(ctx, args[0], setField(field, noneIsEmpty(args[1])))
		})
	}
	flag := func(use, short string, ops ...patchOp) *cobra.Command {
		return g.cmd(use+" <id>", short, func(ctx context.Context, args []string) error { return g.set(ctx, args[0], ops...) })
	}
	out := []*cobra.Command{
		set("workflow", "Run a workflow; none stops the present one.", "Workflow"),
		set("stage", "Set the stage of a machine without a workflow.", "Stage"),
		set("bootenv", "Set the boot environment of a machine without a workflow.", "BootEnv"),
		g.cmd("start <id> [<workflow>]", "Run its workflow, or another one, from the beginning.", g.start),
		g.cmd("cleanup <id>", "Run the workflow that param on-delete-workflow names, then delete.", g.cleanup),
		flag("run", "Let tasks run, or a failed one run again.", setField("Runnable", true)),
		flag("pause", "Start no more tasks.", setField("Runnable", false)),
		flag("lock", "Refuse every change but unlock.", setField("Locked", true)),
		flag("unlock", "Allow changes again.", setField("Locked", false)),
		g.jobsCmd(), g.currentLogCmd(), g.tokenCmd(), g.inspectCmd(),
		g.cmd("deletejobs <id>", "Delete its jobs, newest first.", func(ctx context.Context, args []string) error { return g.deleteAll(ctx, "jobs", args[0]) }),
		g.workOrderCmd(),
		g.cmd("deleteworkorders <id>", "Delete its work orders; with --force running ones are cancelled first.", g.deleteOrders),
		g.cmd("render <id> <text>", "Render a template (text, file or -) as it would be for the machine.", g.render),
	}
	out = append(out, g.taskVerbs()...)
	if g.name == "machines" {
		out = append(out, g.postCmd("boot <id>", "Boot again after tries were given up.", "boot"), g.admitCmd(), g.joinTokenCmd(), g.unprotectCmd(),
			g.postCmd("wipe <id>", "Wipe the disks of a machine that nobody has.", "wipe"),
			g.postCmd("approve-disks <id>", "Let what was found on its disks be overwritten.", "approveDisks"),
			g.exemptCmd(),
			g.cmd("releaseToPool <id>", "Give the machine back to its pool.", func(ctx context.Context, args []string) error {
				key, err := g.keyFor(ctx, g.kind, args[0])
				if err != nil {
					return err
				}
				return g.postPool(ctx, at(g.name, key, "releaseToPool"), nil, object{})
			}))
	}
	return out
}

func (g *group) set(ctx context.Context, ref string, ops ...patchOp) error {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	tests, err := g.refTests()
	if err != nil {
		return err
	}
	o, err := g.change(ctx, g.kind, key, append(tests, ops...)...)
	if err != nil {
		return about(err, "change %s %s", one(g.name), ref)
	}
	return g.print(g.name, o)
}

// start clears the workflow first: setting the same one again starts nothing.
func (g *group) start(ctx context.Context, args []string) error {
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	flow := o.text("Workflow")
	if len(args) == 2 {
		flow = args[1]
	}
	if flow == "" {
		return &failure{code: exitUsage, what: args[0] + " has no workflow", fix: "drpcli " + g.name + " start " + args[0] + " <workflow>"}
	}
	key := keyOf(g.kind, o)
	if _, err := g.change(ctx, g.kind, key, setField("Workflow", "")); err != nil {
		return about(err, "start %s %s", one(g.name), args[0])
	}
	return g.set(ctx, key, setField("Workflow", flow), setField("Runnable", true))
}

const paramOnDelete = "on-delete-workflow"

// cleanup lets a workflow take back what the object has, and deletes it then.
func (g *group) cleanup(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var flow any
	q := url.Values{"aggregate": {"true"}}
	if err := g.conn().get(ctx, at(g.name, key, "params")+slashed(paramOnDelete), q, &flow); err != nil && !isNotFound(err) {
		return about(err, "param %s of %s", paramOnDelete, args[0])
	}
	if name := text(flow); name != "" {
		if _, err := g.change(ctx, g.kind, key, setField("Workflow", name)); err != nil {
			return about(err, "clean up %s", args[0])
		}
		g.note("%s runs %s", args[0], name)
		err := g.poll(ctx, func(ctx context.Context) (bool, error) {
			return g.holds(ctx, key, condition{filter: url.Values{"WorkflowComplete": {"true"}}})
		})
		if err != nil {
			return about(err, "clean up %s", args[0])
		}
	}
	return g.destroyOne(ctx, key)
}

func (g *group) render(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	template := []byte(args[1])
	if args[1] == "-" || isFile(args[1]) {
		if template, err = g.bodyText(args[1]); err != nil {
			return err
		}
	}
	var out doc
	if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, "render"), nil, object{"Template": string(template)}, &out); err != nil {
		return about(err, "render for %s", args[0])
	}
	if t, ok := out.val.(string); ok {
		return g.line("%s", t)
	}
	return g.print("", out)
}

func (g *group) tokenCmd() *cobra.Command {
	ttl := "1h"
	c := g.cmd("token <id>", "Print a token with the rights of the machine's agent.", func(ctx context.Context, args []string) error {
		key, err := g.keyFor(ctx, g.kind, args[0])
		if err != nil {
			return err
		}
		return g.showPath(ctx, at(g.name, key, "token"), url.Values{"ttl": {ttl}})
	})
	c.Flags().StringVar(&ttl, "ttl", ttl, "how long the token is good")
	return c
}

// workOrderCmd is work_order on|off <id>, DRP's order of words, or <id> on|off.
func (g *group) workOrderCmd() *cobra.Command {
	c := g.cmd("work_order <id> <on|off>", "Enter or leave WorkOrder mode, or add an order.", func(ctx context.Context, args []string) error {
		if args[1] != "on" && args[1] != "off" {
			return failf(exitUsage, "work_order is on or off, not %q", args[1])
		}
		return g.set(ctx, args[0], setField("WorkOrderMode", args[1] == "on"))
	})
	mode := func(word string) *cobra.Command {
		return g.cmd(word+" <id>", "Set WorkOrder mode "+word+".", func(ctx context.Context, args []string) error {
			return g.set(ctx, args[0], setField("WorkOrderMode", word == "on"))
		})
	}
	c.Aliases = []string{"work_orders", "workorder"}
	c.AddCommand(mode("on"), mode("off"),
		g.cmd("add <id> <blueprint> [param=value]...", "Place a work order.", func(ctx context.Context, args []string) error {
			key, err := g.keyFor(ctx, g.kind, args[0])
			if err != nil {
				return err
			}
			params, err := g.pairs(args[2:])
			if err != nil {
				return err
			}
			var out doc
			body := object{"Blueprint": args[1], "Machine": key, "Params": params}
			if err := g.conn().call(ctx, http.MethodPost, "/work_orders", g.forced(), body, &out); err != nil {
				return about(err, "add work order to %s", args[0])
			}
			return g.print("work_orders", out)
		}))
	return c
}

// ofMachine lists what belongs to one machine.
func (g *group) ofMachine(ctx context.Context, kind, ref, order string) ([]doc, error) {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return nil, err
	}
	var list []doc
	q := url.Values{"Machine": {key}, "sort": {order}, "reverse": {"true"}}
	return list, about(g.conn().get(ctx, at(kind), q, &list), "%s of %s", kind, ref)
}

func (g *group) deleteAll(ctx context.Context, kind, ref string) error {
	order := map[string]string{"jobs": "StartTime", "work_orders": "CreateTime"}[kind]
	list, err := g.ofMachine(ctx, kind, ref, order)
	if err != nil {
		return err
	}
	for _, o := range list {
		if g.flags.dryRun {
			g.note("would delete %s %s", one(kind), o.text("Uuid"))
			continue
		}
		if err := g.conn().call(ctx, http.MethodDelete, at(kind, o.text("Uuid")), g.forced(), nil, nil); err != nil {
			return about(err, "delete %s %s", one(kind), o.text("Uuid"))
		}
		g.note("deleted %s %s", one(kind), o.text("Uuid"))
	}
	return nil
}

func (g *group) deleteOrders(ctx context.Context, args []string) error {
	list, err := g.ofMachine(ctx, "work_orders", args[0], "CreateTime")
	if err != nil {
		return err
	}
	for _, o := range list {
		if g.flags.force && !g.flags.dryRun && !ended(o) {
			body := []patchOp{setField("State", "cancelled")}
			if err := g.conn().call(ctx, http.MethodPatch, at("work_orders", o.text("Uuid")), nil, body, nil); err != nil {
				return about(err, "cancel work order %s", o.text("Uuid"))
			}
		}
	}
	return g.deleteAll(ctx, "work_orders", args[0])
}
