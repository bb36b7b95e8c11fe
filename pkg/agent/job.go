//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// defaultTimeout is how long a task may run whose Meta "timeout" says nothing;
// the server counts the same.
const defaultTimeout = 30 * time.Minute

// errGone means that the server ended the job, or that somebody else has it.
var errGone = errors.New("the job is no longer ours")

// run runs one job from its start to its report. Errors of the job itself are
// reported; the error returned is one of the agent.
func (a *agent) run(ctx context.Context, j *api.Job) error {
	if j.Ended() {
		return nil // the server did it, or it is an order that we do not take (chroot)
	}
	err := a.move(ctx, j, j.State, result{state: api.JobRunning})
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	a.log.Info("task started", "task", j.Task, "job", j.Uuid)
	res, err := a.perform(ctx, j)
	if errors.Is(err, errGone) {
		a.log.Warn("task stopped: the server has ended its job", "task", j.Task, "job", j.Uuid)
		return nil
	}
	if err != nil {
		return err
	}
	a.log.Info("task ended", "task", j.Task, "job", j.Uuid, "state", res.state, "exit", res.exit, "errors", res.errors)
	if err := a.finish(ctx, j, res); err != nil {
		return err
	}
	switch {
	case a.cfg.Context == "" && (res.exit == exitReboot || res.exit == exitPowerOff):
		return a.end(ctx, res.exit)
	case res.state == api.JobIncomplete:
		a.rest(ctx) // do not spin on a task that waits for something
	}
	return nil
}

// perform runs the actions while the log is sent and the job is watched. The
// error is errGone, or that ctx ended.
func (a *agent) perform(ctx context.Context, j *api.Job) (result, error) {
	task, limit, err := a.limits(ctx, j)
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	log := newJobLog(a, j.Uuid)
	var res result
	var g errgroup.Group
	watching, done := context.WithCancel(ctx)
	g.Go(func() error { return log.send(ctx) })
	g.Go(func() error { a.guardJob(watching, j.Uuid, cancel); return nil })
	g.Go(func() error {
		defer done()
		defer log.close()
		timed, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("timed out after %s", limit))
		defer stop()
		var reports []api.DiskReport
		res = a.actions(timed, j, legacy(task), log, &reports)
		res.reports = reports
		for _, e := range res.errors {
			fmt.Fprintf(log, "failed: %s\n", e)
		}
		return nil
	})
	err = g.Wait()
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	if err != nil {
		a.log.Warn("job log is not complete", "job", j.Uuid, "err", err)
	}
	return res, nil
}

func (a *agent) limits(ctx context.Context, j *api.Job) (*api.Task, time.Duration, error) {
	task, err := ask(ctx, a, func(c *client.Client) (*api.Task, error) { return client.Get(ctx, c, api.Tasks, j.Task) })
	if client.Status(err) != 0 {
		return &api.Task{}, defaultTimeout, nil // the actions will tell what is wrong
	}
	if err != nil {
		return nil, 0, err
	}
	if d, err := time.ParseDuration(task.Meta["timeout"]); err == nil && d > 0 {
		return task, d, nil
	}
	return task, defaultTimeout, nil
}

// guardJob cancels when the server has ended the job, for instance because
// somebody changed the workflow.
func (a *agent) guardJob(ctx context.Context, id string, cancel context.CancelCauseFunc) {
	for {
		a.rest(ctx)
		if ctx.Err() != nil {
			return
		}
		j, err := client.Get(ctx, a.client(), api.Jobs, id)
		if err == nil && j.State != api.JobRunning || client.Status(err) == http.StatusNotFound {
			cancel(errGone)
			return
		}
	}
}

// finish reports the end. A machine that may not go on is stopped first, so
// that nobody sees it ready for the next task in between.
func (a *agent) finish(ctx context.Context, j *api.Job, res result) error {
	if res.halts() && j.WorkOrder == "" && (a.cfg.Context == "" || !res.inContext()) {
		err := a.setRunnable(ctx, j.Machine, false)
		if client.Status(err) != 0 {
			a.log.Warn("machine not stopped", "err", err)
		} else if err != nil {
			return err
		}
	}
	err := a.move(ctx, j, api.JobRunning, res)
	if errors.Is(err, errGone) {
		a.log.Warn("result not taken: the server has ended the job", "job", j.Uuid, "state", res.state)
		return nil
	}
	return err
}

// move patches the state of a job that is in state from. If the server says
// that it is not, the answer to an earlier try may have been lost: then the job
// has the wanted state already.
func (a *agent) move(ctx context.Context, j *api.Job, from api.JobState, to result) error {
	p := client.Swap("/State", from, to.state)
	if to.exit != "" {
		p = append(p, client.Set("/ExitState", to.exit))
	}
	if len(to.errors) > 0 {
		p = append(p, client.Set("/ResultErrors", to.errors))
	}
	if len(to.reports) > 0 {
		p = append(p, client.Set("/Reports", to.reports))
	}
	err := a.call(ctx, func(c *client.Client) error {
		_, err := client.Patch(ctx, c, api.Jobs, j.Uuid, p...)
		return err
	})
	if err == nil || client.Status(err) == 0 {
		return err
	}
	now, err2 := a.getJob(ctx, j.Uuid)
	switch {
	case err2 == nil && now.State == to.state:
		return nil
	case client.Status(err) == http.StatusConflict || client.Status(err2) == http.StatusNotFound:
		return errGone
	}
	return fmt.Errorf("move job %s to %s: %w", j.Uuid, to.state, err)
}
