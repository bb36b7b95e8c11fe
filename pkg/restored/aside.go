package restored

import (
	"fmt"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/trigger"
)

// setAside stops what a machine, cluster or broker has under way. Its task list
// stands at a failed job that says why, as after any failure: whoever looked at
// it sets Runnable.
func setAside(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) ([]string, error) {
	out, err := effects(tx, k, m)
	if err != nil {
		return nil, err
	}
	index := max(m.CurrentTask, 0)
	unfinished := !m.WorkOrderMode && index < len(m.Tasks) && !m.WorkflowComplete
	booting := k == api.Machines && m.Boot != nil && !m.Boot.Home
	if !unfinished && !booting {
		return out, nil
	}
	job := m.CurrentJob
	if unfinished {
		out = append(out, fmt.Sprintf("workflow %s at %s", m.Workflow, m.Tasks[index]))
		if job, err = stopJob(tx, m, index); err != nil {
			return nil, err
		}
	}
	if booting {
		out = append(out, "boot into "+m.Boot.Env)
	}
	return out, k.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.Moving, m.Runnable, m.PastJob, m.CurrentJob = true, false, false, job
		if unfinished {
			m.CurrentTask = index
		}
		if booting {
			m.Boot.Error = Reason
		}
		return nil
	})
}

// stopJob ends the job at the cursor and puts one there that failed.
func stopJob(tx *resource.Tx, m *api.Machine, index int) (string, error) {
	if j, err := api.Jobs.Get(tx, m.CurrentJob); err == nil {
		err := api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error {
			if j.Current = false; !j.Ended() {
				j.State, j.ResultErrors = api.JobCancelled, []string{Reason}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	j := &api.Job{Machine: m.Uuid, Task: m.Tasks[index], Stage: m.Stage, BootEnv: m.BootEnv, Workflow: m.Workflow, Context: m.Context,
		State: api.JobFailed, StartTime: tx.Now(), EndTime: tx.Now(), Current: true, CurrentIndex: index, NextIndex: index + 1,
		ResultErrors: []string{Reason}}
	err := api.Jobs.Create(tx, j)
	return j.Uuid, err
}

// effects cancels what acts outside of the server.
func effects(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) (out []string, err error) {
	out = []string{}
	if k == api.Machines {
		for a := range api.BMCActions.By(tx, "Machine", m.Uuid) {
			if a.Over() {
				continue
			}
			out = append(out, "BMC: "+string(a.Want))
			err := api.BMCActions.Modify(tx, a.Uuid, func(a *api.BMCAction) error {
				a.State, a.Ended, a.Error = "cancelled", tx.Now(), Reason
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for o := range api.WorkOrders.By(tx, "Machine", m.Uuid) {
		if o.Ended() {
			continue
		}
		out = append(out, fmt.Sprintf("work order %s (%s)", o.Uuid, o.Blueprint))
		if err := cancelOrder(tx, o.Uuid); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func cancelOrder(tx *resource.Tx, id string) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error {
		if err := o.Move(api.OrderCancelled, tx.Now()); err != nil {
			return err
		}
		o.Status = Reason
		return nil
	})
}

// Group takes a cluster or broker over.
func Group(tx *resource.Tx, k *resource.Kind[api.Machine], id string) ([]string, error) {
	m, err := k.Get(tx, id)
	if err != nil {
		return nil, nil
	}
	if j, err := api.Jobs.Get(tx, m.CurrentJob); err == nil && len(j.ResultErrors) == 1 && j.ResultErrors[0] == Reason && !m.Runnable {
		return nil, nil // done before, and nobody has let it go on since
	}
	out, err := setAside(tx, k, m)
	for i := range out {
		out[i] = m.Name + ": " + out[i]
	}
	return out, err
}

// Rest sets aside what belongs to no machine: orders without one, batches,
// calls to the outside; and what schedules have missed since the backup.
func Rest(tx *resource.Tx) ([]string, error) {
	var out []string
	for o := range api.WorkOrders.All(tx) {
		if o.Ended() {
			continue
		}
		out = append(out, fmt.Sprintf("work order %s (%s)", o.Uuid, o.Blueprint))
		if err := cancelOrder(tx, o.Uuid); err != nil {
			return nil, err
		}
	}
	for b := range api.Batches.All(tx) {
		if b.Ended() {
			continue
		}
		out = append(out, "batch "+b.Id)
		err := api.Batches.Modify(tx, b.Id, func(b *api.Batch) error {
			b.State, b.Status, b.EndTime = api.BatchCancelled, Reason, tx.Now()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for c := range api.Callbacks.All(tx) {
		if !c.Over() {
			out = append(out, "callback of job "+c.Job)
			if err := api.Callbacks.Modify(tx, api.Callbacks.Key(c), func(c *api.Callback) error { c.State, c.Error = api.CallbackFailed, Reason; return nil }); err != nil {
				return nil, err
			}
		}
	}
	for c := range api.PluginCalls.All(tx) {
		if !c.Over() {
			out = append(out, "plugin call of job "+api.PluginCalls.Key(c))
			if err := api.PluginCalls.Modify(tx, api.PluginCalls.Key(c), func(c *api.PluginCall) error { c.State, c.Error = api.CallbackFailed, Reason; return nil }); err != nil {
				return nil, err
			}
		}
	}
	for f := range trigger.Firings.All(tx) {
		if err := trigger.Firings.Modify(tx, f.Trigger, func(f *trigger.Firing) error { f.From = tx.Now(); return nil }); err != nil {
			return nil, err
		}
	}
	return out, nil
}
