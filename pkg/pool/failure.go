package pool

import (
	"fmt"
	"strings"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hooks raise an alert when a job of a machine in use fails, in the update that
// fails it, so once for each failure; and settle it when the task has been done
// after all. What fails in a transition is Rule's: the machine is held. A pool
// stays while machines are in it (keepPool).
//
// They come before those of package workflow, which end the handling of a
// failure: a failed handler is no failure of its own.
func Hooks() []resource.Hook {
	return []resource.Hook{keepPool(),
		resource.OnSave(api.Jobs, func(tx *resource.Tx, old, new *api.Job) error {
			if old == nil || new == nil || old.State == new.State {
				return nil
			}
			return jobEnds(tx, new)
		}),
		resource.OnSave(api.Machines, func(tx *resource.Tx, old, new *api.Machine) error {
			if old == nil || new == nil || old.WorkflowComplete || new.PoolStatus != api.InUse || alert.Open(tx, alertName(new)) == nil {
				return nil
			}
			tx.After(func() error { return completed(tx, new.Uuid) }) // package workflow says whether it is
			return nil
		}),
	}
}

// completed settles the alert of a machine that has nothing left to do.
func completed(tx *resource.Tx, id string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil || !m.WorkflowComplete {
		return nil
	}
	return alert.Settle(tx, alertName(m), "its workflow is complete since "+stamp(tx))
}

func alertName(m *api.Machine) string { return "jobs of machine " + m.Name }

func stamp(tx *resource.Tx) string { return tx.Now().UTC().Format("2006-01-02 15:04:05Z") }

func jobEnds(tx *resource.Tx, j *api.Job) error {
	if j.State != api.JobFailed && j.State != api.JobFinished {
		return nil
	}
	m, err := api.Machines.Get(tx, j.Machine)
	if err != nil || m.PoolStatus != api.InUse || len(m.TaskErrorStacks) > 0 {
		return nil // a cluster's or broker's, or not ours
	}
	if j.State == api.JobFinished {
		return repaired(tx, m, j)
	}
	if j.TriedAgain() {
		return nil
	}
	text := fmt.Sprintf("%s, %s: %s", m.Name, usedBy(tx, m), failedJob(j))
	if err := alert.Raise(tx, tx.Now(), api.AlertError, alertName(m), text); err != nil {
		return err
	}
	return api.Alerts.Modify(tx, alert.Open(tx, alertName(m)).Uuid, func(a *api.Alert) error {
		a.Params = resource.Params{paramTask: j.Task}
		return nil
	})
}

// paramTask is the param of an alert that names the task that failed.
const paramTask = "task"

// repaired settles the alert when the task that failed is done after all, by the
// same task list or another work order.
func repaired(tx *resource.Tx, m *api.Machine, j *api.Job) error {
	if a := alert.Open(tx, alertName(m)); a == nil || a.Params[paramTask] != j.Task {
		return nil
	}
	return alert.Settle(tx, alertName(m), fmt.Sprintf("task %s is finished since %s", j.Task, stamp(tx)))
}

func failedJob(j *api.Job) string {
	text := fmt.Sprintf("task %s failed (drpcli jobs log %s)", j.Task, j.Uuid)
	if j.WorkOrder != "" {
		text = fmt.Sprintf("work order %s: %s", j.WorkOrder, text)
	}
	if len(j.ResultErrors) == 0 {
		return text
	}
	return text + ": " + strings.Join(j.ResultErrors, "; ")
}

// usedBy says who has the machine.
func usedBy(r resource.Reader, m *api.Machine) string {
	text := "in use from pool " + m.Pool
	if c, err := api.Clusters.Get(r, m.Owner); err == nil {
		text += " by cluster " + c.Name
	}
	return text
}
