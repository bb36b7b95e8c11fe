package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// jobsCmd lists the jobs of a machine; its verbs act on the current one.
func (g *group) jobsCmd() *cobra.Command {
	c := g.cmd("jobs <id> [Field=value]...", "List its jobs, oldest first; or act on the current one.", g.jobs)
	c.AddCommand(
		g.cmd("create <id>", "Create its next job, as the agent does.", func(ctx context.Context, args []string) error {
			key, err := g.keyFor(ctx, g.kind, args[0])
			if err != nil {
				return err
			}
			return g.nextJob(ctx, object{"Machine": key})
		}),
		g.cmd("current <id>", "Show the current job.", func(ctx context.Context, args []string) error {
			j, err := g.currentJob(ctx, args[0])
			if err != nil {
				return err
			}
			return g.print("jobs", j)
		}),
		g.cmd("state <id> to <state>", "Set the state of the current job.", g.jobState))
	return c
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
	list := []doc{}
	if err := g.conn().get(ctx, "/jobs", q, &list); err != nil {
		return about(err, "jobs of %s", args[0])
	}
	return g.print("jobs", list)
}

func (g *group) currentJob(ctx context.Context, ref string) (doc, error) {
	o, err := g.fetch(ctx, g.kind, ref, nil)
	if err != nil {
		return doc{}, err
	}
	id := o.text("CurrentJob")
	if id == "" || strings.Trim(id, "0-") == "" {
		return doc{}, failf(exitNotFound, "%s has no job yet", ref)
	}
	var j doc
	return j, about(g.conn().get(ctx, at("jobs", id), nil, &j), "current job of %s", ref)
}

func (g *group) jobState(ctx context.Context, args []string) error {
	j, err := g.currentJob(ctx, args[0])
	if err != nil {
		return err
	}
	ops := []patchOp{{"test", "/State", j.at("State")}, setField("State", args[2])}
	var out doc
	if err := g.conn().call(ctx, http.MethodPatch, at("jobs", j.text("Uuid")), g.forced(), ops, &out); err != nil {
		return about(err, "state of the job of %s", args[0])
	}
	return g.print("jobs", out)
}

func (g *group) currentLogCmd() *cobra.Command {
	var follow bool
	c := g.cmd("currentlog <id>", "Print the log of the current job.", func(ctx context.Context, args []string) error {
		j, err := g.currentJob(ctx, args[0])
		if err != nil {
			return err
		}
		return g.jobLog(ctx, j.text("Uuid"), follow)
	})
	c.Flags().BoolVar(&follow, "follow", false, "go on until the job ends")
	return c
}

// inspectCmd shows jobs with their logs and scripts.
func (g *group) inspectCmd() *cobra.Command {
	var full bool
	c := g.parent("inspect", "Look into jobs: with --full their logs and scripts.", "  drpcli "+g.name+" inspect tasks "+sampleID(g.name)+" inventory --full",
		g.cmd("tasks <id> <task> [<index>]", "Show the jobs of one task, or the one so far back.", func(ctx context.Context, args []string) error {
			return g.inspect(ctx, args[0], url.Values{"Task": {args[1]}}, args[2:], full)
		}),
		g.cmd("jobs <id> [<index>]", "Show the jobs, or the one so far back.", func(ctx context.Context, args []string) error {
			return g.inspect(ctx, args[0], url.Values{}, args[1:], full)
		}))
	c.PersistentFlags().BoolVarP(&full, "full", "A", false, "with logs and scripts, as Log and Actions")
	return c
}

func (g *group) inspect(ctx context.Context, ref string, q url.Values, index []string, full bool) error {
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	q.Set("Machine", key)
	q.Set("sort", "StartTime")
	if len(index) == 1 {
		q.Set("offset", index[0])
		q.Set("limit", "1")
	}
	list := []doc{}
	if err := g.conn().get(ctx, "/jobs", q, &list); err != nil {
		return about(err, "jobs of %s", ref)
	}
	if full {
		for _, j := range list {
			g.inspectOne(ctx, j)
		}
		return g.print("jobs", bare(list))
	}
	return g.print("jobs", list)
}

// inspectOne adds log and scripts; what cannot be had is said in their place.
func (g *group) inspectOne(ctx context.Context, j doc) {
	o, ok := j.val.(object)
	if !ok {
		return
	}
	var log strings.Builder
	if _, _, err := g.copyLog(ctx, j.text("Uuid"), 0, false, &cleanWriter{&log}); err != nil {
		fmt.Fprintf(&log, "no log: %v", err)
	}
	o["Log"] = log.String()
	var actions []api.JobAction
	if err := g.conn().get(ctx, at("jobs", j.text("Uuid"), "actions"), nil, &actions); err != nil {
		o["Actions"] = fmt.Sprintf("no scripts: %v", err)
		return
	}
	o["Actions"] = actions
}
