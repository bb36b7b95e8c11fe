package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/term"
)

// logLines is how much of a failed task's log is shown.
const logLines = 20

// watcher shows the looks at one run.
type watcher struct {
	*session
	start, spoke time.Time
	drawn        int // lines on the terminal that the next look replaces
	last         *runView
}

// follow watches a cluster's run until it ends and prints how it stands then.
// Stopping it stops nothing else.
func (c *clusters) follow(ctx context.Context, key, name, flow string) error {
	if c.detach || flow == "" {
		f, err := c.cluster(ctx, key)
		if err != nil {
			return err
		}
		if flow != "" {
			c.note("cluster %s: %s runs; watch it with drpcli clusters watch %s", name, flow, name)
		}
		return c.print("", f.summary())
	}
	c.note("cluster %s: %s", name, flow)
	w := &watcher{session: c.session, start: c.cfg.Now(), spoke: c.cfg.Now()}
	err := c.poll(ctx, func(ctx context.Context) (bool, error) {
		f, err := c.cluster(ctx, key)
		if err != nil {
			return false, err
		}
		v := runView{clusterFacts: f, Flow: flow, Tasks: f.Cluster.Tasks}
		if len(v.Tasks) == 0 && w.last != nil {
			v.Tasks = w.last.Tasks
		}
		w.show(v)
		return v.Cluster.WorkflowComplete || v.broken() || v.Cluster.Workflow != flow, nil
	})
	if err != nil {
		f := *asFailure(err)
		if f.code == exitInterrupted || f.code == exitTimeout {
			f.fix = "drpcli clusters watch " + name + " (pause it: drpcli clusters pause " + name + ")"
		}
		return about(&f, "cluster %s", name)
	}
	return c.outcome(ctx, *w.last)
}

// outcome prints the result of a run and turns its end into an error if it
// failed.
func (c *clusters) outcome(ctx context.Context, v runView) error {
	name := v.Cluster.Name
	if v.Cluster.Workflow != v.Flow {
		return failf(exitWorkFailed, "cluster %s: %s was replaced by %q", name, v.Flow, v.Cluster.Workflow)
	}
	if !v.broken() {
		return c.print("", v.summary())
	}
	for _, l := range c.logTail(ctx, v.Job.Uuid, logLines) {
		c.note("  | %s", l)
	}
	if err := c.print("", v.summary()); err != nil {
		return err
	}
	kept := "no machine is held"
	if n := len(v.Members); n > 0 {
		kept = fmt.Sprintf("%d machines are kept as they are", n)
	}
	return &failure{code: exitWorkFailed, what: fmt.Sprintf("cluster %s: %s failed in task %s; %s", name, v.Flow, v.Job.Task, kept),
		cause: strings.TrimSpace(jobReason(v.Job) + " (log: drpcli jobs log " + shortID(v.Job.Uuid) + ")"), fix: "repair the cause, then " + retry(v.Flow, name)}
}

// show redraws the view on a terminal, else tells what changed.
func (w *watcher) show(v runView) {
	defer func() { w.last = &v }()
	if w.flags.quiet {
		return
	}
	if w.errTTY {
		w.redraw(v)
		return
	}
	for _, l := range v.changes(w.last) {
		w.tell(l)
	}
	if now := w.cfg.Now(); now.Sub(w.spoke) >= w.cfg.Beat {
		w.tell(fmt.Sprintf("cluster=%s heartbeat task=%s elapsed=%s %s", v.Cluster.Name, v.task(), ago(now.Sub(w.start)), jobLine(v.Job)))
	}
}

func (w *watcher) tell(line string) {
	w.spoke = w.cfg.Now()
	w.note("%s %s", w.spoke.UTC().Format(time.RFC3339), strings.ReplaceAll(line, "\n", " "))
}

func (w *watcher) redraw(v runView) {
	width, height := 80, 24
	if fd, ok := terminal(w.err); ok {
		if x, y, err := term.GetSize(fd); err == nil && x > 20 && y > 5 {
			width, height = x, y
		}
	}
	lines := v.draw(marksFor(w.env), width, height-2, w.cfg.Now().Sub(w.start))
	var b strings.Builder
	if w.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", w.drawn)
	}
	for _, l := range lines {
		c := color("")
		if strings.HasPrefix(l, "  ! ") {
			c = red
		}
		b.WriteString(w.paint(true, c, l) + "\n")
	}
	fmt.Fprint(w.err, b.String())
	w.drawn = len(lines)
}
