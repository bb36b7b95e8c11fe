// Package restored says what becomes of objects when a server that was restored
// from a backup takes over. The backup is older than the world: what it says of
// work under way may be over, and a machine that it calls free may be in use.
// So nothing that it left half done goes on by itself, no machine is booted or
// installed for it, and what a machine says it is counts for more than what the
// backup says.
//
// All of it are steps over a transaction, made to be repeated.
package restored

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
	"drpd/pkg/trigger"
)

// Reason is what objects say that were set aside.
const Reason = "set aside: the server was restored from a backup, which may be older than this"

// Report is what an agent says of its machine.
type Report struct {
	Env     string // the boot environment that it runs in
	Address string
	At      time.Time
}

// Adoption is one machine of a restored server.
type Adoption struct {
	Machine string // uuid; a MAC address if the backup knows no such machine
	Name    string
	Said    string  // the boot environment that it has in the backup
	Status  string  // and its PoolStatus there
	Reports *Report `json:",omitempty"` // nil: it has not been heard of
	// Pending machines have not said what they are since the server took over:
	// their agents are told nothing until they do.
	Pending bool
	Held    string   `json:",omitempty"` // why it was held
	Aside   []string `json:",omitempty"` // what was set aside
}

// Adoptions by machine.
var Adoptions = &resource.Kind[Adoption]{Name: "adoptions", Private: true, Key: func(a *Adoption) string { return a.Machine }}

// Differs says how the machine differs from what the backup says, "" if it does
// not or if that is not known.
func (a *Adoption) Differs() string {
	switch {
	case a.Name == "":
		return fmt.Sprintf("unknown to the backup, and runs %s at %s", a.Reports.Env, a.Reports.Address)
	case a.Reports == nil:
		return fmt.Sprintf("has %s in the backup and was not heard of", a.Said)
	case a.Reports.Env != a.Said:
		return fmt.Sprintf("has %s in the backup and runs %s", a.Said, a.Reports.Env)
	}
	return ""
}

// Note notes what an agent reports. Machine nil: the backup knows none, key is
// then its MAC address.
func Note(tx *resource.Tx, m *api.Machine, key string, r Report) error {
	a := &Adoption{Machine: key, Reports: &r}
	if m != nil {
		a.Machine, a.Name, a.Said, a.Status = m.Uuid, m.Name, m.BootEnv, string(m.PoolStatus)
	}
	if !Adoptions.Has(tx, a.Machine) {
		return Adoptions.Create(tx, a)
	}
	return Adoptions.Modify(tx, a.Machine, func(old *Adoption) error { old.Reports = &r; return nil })
}

// Hold takes a Free machine out of the reach of whoever allocates, until it is
// proven blank again.
type Hold func(tx *resource.Tx, id, why string) error

// HoldDestroy is Hold: what was proven before counts no more, and the machine is
// held as one that is not wiped. Its power is left as it is: somebody may have
// got it after the backup was taken.
func HoldDestroy(tx *resource.Tx, id, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.PoolStatus, m.PoolHoldReason, m.Runnable = api.HoldDestroy, why, false
		m.Unwiped, m.Uses = &api.Unwiped{Why: why}, m.Uses+1
		m.Fence = &api.Fence{Spared: true, Says: "its power is left as it is, for somebody may have got it since the backup; when it is wiped (drpcli machines wipe) it is booted"}
		m.Boot = &api.BootState{Env: m.BootEnv, Since: tx.Now(), Error: why}
		return nil
	})
}

// Machine takes one machine over: unfinished work is set aside, a Free machine
// is held, one that has reported is adopted as what it is. Doing it again
// changes nothing.
func Machine(tx *resource.Tx, id string, hold Hold) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return nil // deleted meanwhile
	}
	a, err := Adoptions.Get(tx, id)
	if err == nil && (a.Pending || a.Held != "" || a.Aside != nil) {
		return nil // done before
	}
	next := &Adoption{Machine: id, Name: m.Name, Said: m.BootEnv, Status: string(m.PoolStatus), Pending: true, Aside: []string{}}
	if err == nil {
		next.Reports, next.Pending = a.Reports, a.Reports == nil
		if err := Adoptions.Delete(tx, id); err != nil {
			return err
		}
	}
	if next.Aside, err = setAside(tx, api.Machines, m); err != nil {
		return err
	}
	if next.Reports != nil {
		if err := Adopt(tx, id, next.Reports.Env); err != nil {
			return err
		}
	}
	if m.PoolStatus == api.Free {
		next.Held = "the server was restored from a backup: it must be proven blank again"
		if err := hold(tx, id, next.Held); err != nil {
			return err
		}
	}
	return Adoptions.Create(tx, next)
}

// Adopt makes the machine one that is at home in the environment in which its
// agent runs: it is not booted out of it.
func Adopt(tx *resource.Tx, id, env string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil || env == "" {
		return err
	}
	if m.BootEnv != env {
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Moving, m.BootEnv = true, env; return nil })
		if err != nil {
			return err
		}
	}
	runs := m.Runnable
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.Moving, m.Runnable = true, runs
		m.Boot = &api.BootState{Env: env, Since: tx.Now(), Home: true}
		return nil
	})
}

// Reported ends the wait for a machine whose agent says what it is only after
// the server has taken over. It says whether that was new.
func Reported(tx *resource.Tx, m *api.Machine, r Report) (bool, error) {
	a, err := Adoptions.Get(tx, m.Uuid)
	if err != nil || !a.Pending {
		return false, nil
	}
	if a.Held == "" {
		if err := Adopt(tx, m.Uuid, r.Env); err != nil {
			return false, err
		}
	}
	return true, Adoptions.Modify(tx, m.Uuid, func(a *Adoption) error { a.Pending, a.Reports = false, &r; return nil })
}

// Pending says whether the machine has yet to say what it is.
func Pending(r resource.Reader, machine string) bool {
	a, err := Adoptions.Get(r, machine)
	return err == nil && a.Pending
}

// Held says why a machine is held since the takeover, "" if it is not.
func Held(r resource.Reader, machine string) string {
	a, err := Adoptions.Get(r, machine)
	if err != nil {
		return ""
	}
	return a.Held
}

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
	if j, err := api.Jobs.Get(tx, m.CurrentJob); err == nil && len(j.ResultErrors) == 1 && j.ResultErrors[0] == Reason {
		return nil, nil // done before
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

// Reply is the answer to GET /restored.
type Reply struct {
	Active   bool              // the server acts
	Says     string            `json:",omitempty"` // why it does not
	Restored *datadir.Restored `json:",omitempty"`
	Machines []Entry
}

// Entry is one machine, with how it differs from what the backup says.
type Entry struct {
	Adoption
	Differs string `json:",omitempty"`
}
