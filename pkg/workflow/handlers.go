package workflow

import (
	"fmt"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// handlersOf is the task list that handles the failure of a job, empty if there
// is none. One that cannot run is a cause of its own.
func (f *Flow) handlersOf(tx *resource.Tx, m *api.Machine, task string) ([]string, error) {
	if f.Handlers == nil {
		return nil, nil
	}
	list, err := f.Handlers(tx, m, task)
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		if verb, _ := api.Entry(entry); verb != "" && verb != "action" {
			return nil, fmt.Errorf("%s: only tasks and actions may handle a failure", entry)
		}
	}
	return ExpandTasks(tx, list)
}

// failed draws the consequences of a machine's failed job, in the same update:
// its error-handling list begins, ends with it, or the machine waits for repair.
func (f *Flow) failed(tx *resource.Tx, j *api.Job) error {
	k, m := api.Runner(tx, j.Machine)
	if m == nil || m.CurrentJob != j.Uuid || m.PastJob || j.TriedAgain() {
		return nil
	}
	if len(m.TaskErrorStacks) > 0 {
		j.Current = false // j is being saved
		return unstack(tx, k, m, fmt.Sprintf("task %s, which handles the failure, failed too (drpcli jobs log %s)", j.Task, j.Uuid))
	}
	list, err := f.handlersOf(tx, m, j.Task)
	if err != nil {
		cause(j, fmt.Sprintf("its failure cannot be handled: %v", err))
	}
	if len(list) > 0 {
		return stack(tx, k, m, list)
	}
	if !m.Runnable {
		return nil
	}
	return k.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Runnable = false; return nil })
}

// stack puts the task list aside and begins another one. An agent stops its
// machine before it reports a failure, so this makes it runnable again.
func stack(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine, list []string) error {
	return k.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.TaskErrorStacks = []api.TaskStack{{CurrentTask: max(m.CurrentTask, 0), TaskList: m.Tasks, Job: m.CurrentJob, Tries: m.RetryTaskAttempt}}
		m.Moving, m.Tasks, m.CurrentTask, m.RetryTaskAttempt, m.PastJob, m.Runnable = true, list, 0, 0, true, true
		return nil
	})
}

// unstack puts the machine back to where its task failed, to wait for repair.
// why is what became of the handling, "" if all is well.
func unstack(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine, why string) error {
	back := m.TaskErrorStacks[0]
	err := k.Modify(tx, m.Uuid, func(m *api.Machine) error {
		restore(m)
		m.Runnable = false
		return nil
	})
	if err != nil || !api.Jobs.Has(tx, back.Job) {
		return err
	}
	return api.Jobs.Modify(tx, back.Job, func(j *api.Job) error {
		if j.Current = true; why != "" {
			cause(j, why)
		}
		return nil
	})
}

// restore takes up the list that was put aside, where it stood.
func restore(m *api.Machine) {
	back := m.TaskErrorStacks[0]
	m.TaskErrorStacks = []api.TaskStack{}
	m.Moving, m.PastJob, m.CurrentJob = true, false, back.Job
	m.Tasks, m.CurrentTask, m.RetryTaskAttempt = back.TaskList, back.CurrentTask, back.Tries
}

// cause adds to why a job failed. The last cause stays the last: it is the one
// that is shown first.
func cause(j *api.Job, text string) {
	j.ResultErrors = slices.Insert(slices.Clone(j.ResultErrors), max(len(j.ResultErrors)-1, 0), text)
}

// handled names the task whose failure the machine's present list handles.
func handled(m *api.Machine) string {
	if len(m.TaskErrorStacks) == 0 {
		return ""
	}
	if s := m.TaskErrorStacks[0]; s.CurrentTask < len(s.TaskList) {
		return s.TaskList[s.CurrentTask]
	}
	return ""
}

// handledAll ends the handling of a failure after its last task.
func (c *Cursor) handledAll(tx *resource.Tx) error {
	if err := uncurrent(tx, c.On.CurrentJob); err != nil {
		return err
	}
	return unstack(tx, c.Kind, c.On, "")
}
