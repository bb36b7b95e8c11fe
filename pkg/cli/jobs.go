package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

func (g *group) jobLogCmd() *cobra.Command {
	var follow bool
	c := g.cmd("log <id>", "Print a job's log.", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		return g.jobLog(ctx, args[0], follow)
	})
	c.Flags().BoolVar(&follow, "follow", false, "go on until the job ends; exit 8 if it fails")
	c.Example = "  drpcli jobs log 3b7e8a12\n  drpcli jobs log 3b7e8a12 --follow"
	return c
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
	j := object{}
	if err := g.conn().get(ctx, at("jobs", key), nil, &j); err != nil {
		return err
	}
	if j["State"] == string(api.JobFailed) || j["State"] == string(api.JobCancelled) {
		return failf(exitWorkFailed, "job %s of task %s is %s", shortID(key), text(j["Task"]), text(j["State"]))
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
