package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// jobVerbs are the extras of jobs.
func (g *group) jobVerbs() []*cobra.Command {
	forOS := ""
	actions := g.cmd("actions <id>", "Show the rendered scripts and files of a job.", func(ctx context.Context, args []string) error {
		key, err := g.keyFor(ctx, g.kind, args[0])
		if err != nil {
			return err
		}
		q := url.Values{}
		if forOS != "" {
			q.Set("os", forOS)
		}
		return g.showPath(ctx, at("jobs", key, "actions"), q)
	})
	actions.Flags().StringVar(&forOS, "for-os", "", "only those for this operating system")
	create := g.cmd("create <machine>", "Create the next job of a machine, as its agent does; a body is sent as it is.", func(ctx context.Context, args []string) error {
		body := object{}
		if args[0] == "-" || inline(args[0]) {
			var err error
			if body, err = g.bodyObject(args[0]); err != nil {
				return err
			}
		} else {
			key, err := g.runnerKey(ctx, args[0])
			if err != nil {
				return err
			}
			body["Machine"] = key
		}
		return g.nextJob(ctx, body)
	})
	create.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return g.names(c.Context(), "machines"), cobra.ShellCompDirectiveNoFileComp
	}
	create.Example = "  drpcli jobs create n1\n  drpcli jobs create '{\"Machine\": \"3b7e8a12-...\"}'"
	return []*cobra.Command{g.jobLogCmd(), actions, create, g.purgeCmd()}
}

func (s *session) nextJob(ctx context.Context, body object) error {
	r, err := s.conn().raw(ctx, client.Request{Method: http.MethodPost, Path: "/jobs", In: body, Once: true})
	if err != nil {
		return about(err, "create a job")
	}
	if r.Status == http.StatusNoContent {
		s.note("there is nothing to do: %s", r.Header.Get("X-DRP-Reason"))
		return nil
	}
	var out doc
	if err := r.Decode(&out); err != nil {
		return err
	}
	return s.print("jobs", out)
}

// purgeCmd deletes jobs in excess of what the preferences keep.
func (g *group) purgeCmd() *cobra.Command {
	var machine, keep, failed, complete string
	c := g.cmd("purge", "Delete old jobs: in excess of the preferences, or of the flags.", func(ctx context.Context, _ []string) error {
		q := url.Values{}
		for name, v := range map[string]string{"machine": machine, "jobsToKeep": keep, "failedJobsPurgedAfter": failed, "completeJobsPurgedAfter": complete} {
			if v != "" {
				q.Set(name, v)
			}
		}
		if g.flags.dryRun {
			q.Set("dryrun", "true")
		}
		var out doc
		if err := g.conn().call(ctx, http.MethodDelete, "/jobs", q, nil, &out); err != nil {
			return about(err, "purge jobs")
		}
		return g.print("", out)
	})
	c.Flags().StringVar(&machine, "machine", "", "of this machine only; missing: of machines that are gone")
	c.Flags().StringVar(&keep, "jobs-to-keep", "", "so many of each machine stay")
	c.Flags().StringVar(&failed, "failed-after", "", "failed ones older than this go")
	c.Flags().StringVar(&complete, "complete-after", "", "finished ones older than this go")
	c.Example = "  drpcli jobs purge --dry-run\n  drpcli jobs purge --machine n1 --complete-after 720h"
	return c
}

func (g *group) jobLogCmd() *cobra.Command {
	var follow bool
	c := g.cmd("log <id> [<text>]", "Print a job's log, or append to it a text, or - for standard input.", func(ctx context.Context, args []string) error {
		if len(args) == 2 {
			return g.appendLog(ctx, args[0], args[1])
		}
		return g.jobLog(ctx, args[0], follow)
	})
	c.Flags().BoolVar(&follow, "follow", false, "go on until the job ends; exit 8 if it fails")
	c.Example = "  drpcli jobs log 3b7e8a12\n  drpcli jobs log 3b7e8a12 --follow\n  echo checked | drpcli jobs log 3b7e8a12 -"
	return c
}

func (g *group) appendLog(ctx context.Context, ref, what string) error {
	key, err := g.keyFor(ctx, api.Jobs, ref)
	if err != nil {
		return err
	}
	in := []byte(what)
	if what == "-" {
		if in, err = g.bodyText("-"); err != nil {
			return err
		}
	}
	_, err = g.conn().raw(ctx, client.Request{Method: http.MethodPut, Path: at("jobs", key, "log"), In: in, Once: true})
	return about(err, "append to the log of job %s", ref)
}

func (g *group) jobLog(ctx context.Context, ref string, follow bool) error {
	key, err := g.keyFor(ctx, api.Jobs, ref)
	if err != nil {
		return err
	}
	w := &cleanWriter{w: g.out}
	if !follow {
		_, _, err := g.copyLog(ctx, key, 0, false, w)
		return about(err, "log of job %s", ref)
	}
	var from int64
	err = g.poll(ctx, func(ctx context.Context) (bool, error) {
		for {
			n, ended, err := g.copyLog(ctx, key, from, true, w)
			from += n
			if err != nil || n == 0 {
				return ended && n == 0, err
			}
		}
	})
	if err != nil {
		return about(err, "log of job %s", ref)
	}
	var j doc
	if err := g.conn().get(ctx, at("jobs", key), nil, &j); err != nil {
		return err
	}
	if st := j.text("State"); st == string(api.JobFailed) || st == string(api.JobCancelled) {
		return failf(exitWorkFailed, "job %s of task %s is %s", shortID(key), j.text("Task"), st)
	}
	return nil
}

// copyLog copies a log from a byte on; ended says that no more will come.
func (s *session) copyLog(ctx context.Context, key string, from int64, follow bool, w io.Writer) (n int64, ended bool, err error) {
	c := s.conn()
	if c.err != nil {
		return 0, false, c.err
	}
	n, ended, err = c.api.CopyLog(ctx, w, key, from, follow)
	return n, ended, c.worded(ctx, err)
}

// cleanWriter keeps control bytes that a task printed away from the terminal
// and out of pipes.
type cleanWriter struct{ w io.Writer }

func (c *cleanWriter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, b := range p {
		switch {
		case b == '\n' || b == '\t' || b >= 0x20 && b != 0x7f:
			out = append(out, b)
		case b == '\r':
		default:
			out = append(out, '?')
		}
	}
	_, err := c.w.Write(out)
	return len(p), err
}

// logTail returns the last lines of a job's log, nil if it cannot be had.
func (s *session) logTail(ctx context.Context, job string, lines int) []string {
	c := s.conn()
	if c.err != nil {
		return nil
	}
	size, err := c.api.LogSize(ctx, job)
	if err != nil {
		return nil
	}
	var b strings.Builder
	if _, _, err := s.copyLog(ctx, job, max(0, size-16<<10), false, &cleanWriter{&b}); err != nil {
		return nil
	}
	all := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	if len(all) == 1 && all[0] == "" {
		return nil
	}
	return all[max(0, len(all)-lines):]
}

// ago is a duration as people say it.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

func noneIsEmpty(name string) string {
	if name == "none" {
		return ""
	}
	return name
}
