//go:build linux

package agent

import (
	"context"
	"net/http"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// exit states of jobs.
const (
	exitComplete   = "complete"
	exitFailed     = "failed"
	exitIncomplete = "incomplete"
	exitReboot     = "reboot"
	exitPowerOff   = "poweroff"
	exitStop       = "stop"
)

// maxServerJobs bounds how far back the last job of an agent is looked for.
const maxServerJobs = 32

// begin looks after what an earlier agent left: a job that it ran is failed,
// and a machine that it stopped in order to reboot goes on.
func (a *agent) begin(ctx context.Context, m *api.Machine) error {
	id, err := a.currentJob(ctx, m)
	if err != nil {
		return err
	}
	for range maxServerJobs {
		if id == "" || id == api.NoJob {
			return nil
		}
		j, err := a.getJob(ctx, id)
		if client.Status(err) == http.StatusNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if verb, _ := api.Entry(j.Task); verb == "" {
			return a.beginAfter(ctx, m, j)
		}
		// A job of the server: what the agent ran came before.
		id = j.Previous
	}
	return nil
}

func (a *agent) beginAfter(ctx context.Context, m *api.Machine, j *api.Job) error {
	switch {
	case j.Context != a.cfg.Context:
		return nil
	case j.State == api.JobRunning && j.Current:
		a.log.Warn("failing the job of an earlier agent", "job", j.Uuid, "task", j.Task)
		return a.finish(ctx, j, result{state: api.JobFailed, exit: exitFailed,
			errors: []string{"the agent restarted while the task ran"}})
	case m.Runnable || m.WorkOrderMode:
		return nil
	}
	parted := slices.Contains([]string{exitReboot, exitPowerOff, exitStop}, j.ExitState)
	if j.State == api.JobIncomplete || j.State == api.JobFinished && parted {
		return a.setRunnable(ctx, m.Uuid, true)
	}
	return nil
}

// currentJob is the machine's, in WorkOrder mode that of the running order.
func (a *agent) currentJob(ctx context.Context, m *api.Machine) (string, error) {
	if !m.WorkOrderMode {
		return m.CurrentJob, nil
	}
	o, err := a.runningOrder(ctx, m.Uuid)
	if err != nil || o == nil {
		return "", err
	}
	return o.CurrentJob, nil
}

// claimed finds a job that was created for us in an answer that got lost: only
// we ask for jobs of this machine and context. Nil if there is none.
func (a *agent) claimed(ctx context.Context, id string) (*api.Job, error) {
	m, err := a.getMachine(ctx, id)
	if err != nil {
		return nil, err
	}
	current, err := a.currentJob(ctx, m)
	if err != nil || current == "" || !m.Runnable {
		return nil, err
	}
	j, err := a.getJob(ctx, current)
	if err != nil {
		if client.Status(err) == http.StatusNotFound {
			return nil, nil
		}
		return nil, err
	}
	if verb, _ := api.Entry(j.Task); verb != "" || j.State != api.JobCreated || j.Context != a.cfg.Context {
		return nil, nil
	}
	return j, nil
}

func (a *agent) setRunnable(ctx context.Context, machine string, runnable bool) error {
	return a.patchMachine(ctx, machine, client.Set("/Runnable", runnable))
}
