package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// runnerVerbs are those of machines, clusters and brokers.
func (g *group) runnerVerbs() []*cobra.Command {
	set := func(use, short, field string) *cobra.Command {
		return g.cmd(use+" <id> <name>", short, cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
			return g.set(ctx, args[0], setField(field, noneIsEmpty(args[1])))
		})
	}
	flag := func(use, short string, ops ...patchOp) *cobra.Command {
		return g.cmd(use+" <id>", short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error { return g.set(ctx, args[0], ops...) })
	}
	out := []*cobra.Command{
		set("workflow", "Run a workflow; none stops the present one.", "Workflow"),
		set("stage", "Set the stage of a machine without a workflow.", "Stage"),
		set("bootenv", "Set the boot environment of a machine without a workflow.", "BootEnv"),
		flag("run", "Let tasks run, or a failed one run again.", setField("Runnable", true)),
		flag("pause", "Start no more tasks.", setField("Runnable", false)),
		flag("lock", "Refuse every change but unlock.", setField("Locked", true)),
		flag("unlock", "Allow changes again.", setField("Locked", false)),
		g.cmd("jobs <id> [Field=value]...", "List its jobs, oldest first.", cobra.MinimumNArgs(1), g.jobs),
		g.currentLogCmd(),
		g.cmd("work_order <id> on|off", "Enter or leave WorkOrder mode.", cobra.ExactArgs(2), g.orderMode),
		g.cmd("actions", "List the actions for runaction.", cobra.NoArgs, g.actions),
		g.cmd("runaction <id> <action> [param=value]...", "Run an action, such as poweron.", cobra.MinimumNArgs(2), g.runAction),
	}
	if g.name == "machines" {
		out = append(out, g.cmd("boot <id>", "Boot again after tries were given up.", cobra.ExactArgs(1), g.boot))
	}
	return out
}

func (g *group) set(ctx context.Context, ref string, ops ...patchOp) error {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	o, err := g.change(ctx, g.kind, key, ops...)
	if err != nil {
		return about(err, "change %s %s", one(g.name), ref)
	}
	return g.print(g.name, o)
}

func (g *group) orderMode(ctx context.Context, args []string) error {
	if args[1] != "on" && args[1] != "off" {
		return failf(exitUsage, "work_order is on or off, not %q", args[1])
	}
	return g.set(ctx, args[0], setField("WorkOrderMode", args[1] == "on"))
}

func (g *group) jobs(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	q, err := filters(args[1:])
	if err != nil {
		return err
	}
	q.Set("Machine", key)
	if !q.Has("sort") {
		q.Set("sort", "StartTime")
	}
	list := []any{}
	if err := g.conn().get(ctx, "/jobs", q, &list); err != nil {
		return about(err, "jobs of %s", args[0])
	}
	return g.print("jobs", list)
}

func (g *group) currentLogCmd() *cobra.Command {
	var follow bool
	c := g.cmd("currentlog <id>", "Print the log of the current job.", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		o, err := g.fetch(ctx, g.kind, args[0], nil)
		if err != nil {
			return err
		}
		if text(o["CurrentJob"]) == "" {
			return failf(exitNotFound, "%s has no job yet", args[0])
		}
		return g.jobLog(ctx, text(o["CurrentJob"]), follow)
	})
	c.Flags().BoolVar(&follow, "follow", false, "go on until the job ends")
	return c
}

// bmcActions are what machines can be asked through their BMC.
var bmcActions = []struct {
	Want api.BMCWant
	Says string
}{
	{api.BMCOn, "switch on"}, {api.BMCOff, "switch off"}, {api.BMCCycle, "off and on"},
	{api.BMCBootPXE, "boot from the network next, now"}, {api.BMCBootDisk, "boot from the disk next, now"}, {api.BMCStatus, "ask whether it is on"},
}

func (g *group) actions(context.Context, []string) error {
	rows := []any{}
	if g.name == "machines" {
		for _, a := range bmcActions {
			rows = append(rows, object{"Action": string(a.Want), "Description": a.Says})
		}
	}
	return g.print("", rows)
}

func (g *group) runAction(ctx context.Context, args []string) error {
	params, err := g.pairs(args[2:])
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var out any
	if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, "actions", args[1]), g.forced(), params, &out); err != nil {
		return about(err, "run %s on %s", args[1], args[0])
	}
	return g.print("bmc_actions", out)
}

func (g *group) boot(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	var out any
	if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, "boot"), g.forced(), object{}, &out); err != nil {
		return about(err, "boot %s", args[0])
	}
	return g.print(g.name, out)
}
