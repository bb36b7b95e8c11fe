package pool

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// next is where a transition leads when its workflow is complete, and where it
// is held when a task fails. From Leaving a machine enters its next pool.
var next = map[api.PoolStatus]struct{ done, hold api.PoolStatus }{
	api.Joining:    {api.Free, api.HoldJoin},
	api.Building:   {api.InUse, api.HoldBuild},
	api.Destroying: {api.Free, api.HoldDestroy},
	api.Leaving:    {api.Free, api.HoldLeave},
}

// resumes is the transition that a held machine is in.
var resumes = map[api.PoolStatus]api.PoolStatus{
	api.HoldJoin: api.Joining, api.HoldBuild: api.Building, api.HoldDestroy: api.Destroying, api.HoldLeave: api.Leaving,
}

// Stable says that a machine stays in that state until somebody acts.
func Stable(s api.PoolStatus) bool {
	_, moving := next[s]
	return !moving
}

// Rule moves machines on when their transition's workflow ends or fails.
func Rule() engine.Rule {
	return engine.Rule{Name: "pool transition", Kind: api.Machines, Step: Transition, Wake: map[string]engine.Wake{
		"disk_surveys": func(_ resource.Reader, e resource.Event) []string { return []string{e.Key} },
		"disk_proofs":  proven,
		"pools":        members,
		"jobs":         failedOn,
	}}
}

// failedOn is the machine of a job that has failed: the machine itself may stay
// as it is, as one that was not runnable when its agent had restarted.
func failedOn(_ resource.Reader, e resource.Event) []string {
	if j, ok := e.New.(*api.Job); ok && j.State == api.JobFailed {
		return []string{j.Machine}
	}
	return nil
}

func proven(_ resource.Reader, e resource.Event) []string {
	if p, ok := e.New.(*api.DiskProof); ok {
		return []string{p.Machine}
	}
	return nil
}

// members are the machines that a pool's definition may hold back.
func members(r resource.Reader, e resource.Event) []string {
	var out []string
	for m := range api.Machines.By(r, api.ByStatus, string(api.HoldDestroy)) {
		if m.Pool == e.Key {
			out = append(out, m.Uuid)
		}
	}
	return out
}

// Transition is the step of Rule.
func Transition(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return engine.Result{}, err
	}
	if during, held := resumes[m.PoolStatus]; held {
		return resume(tx, m, during)
	}
	n, moving := next[m.PoolStatus]
	switch {
	case m.PoolStatus == api.Free && m.WorkflowComplete:
		return engine.Result{}, idle(tx, now, m)
	case !moving:
		return engine.Result{}, nil
	case m.WorkflowComplete && m.PoolStatus == api.Leaving && m.PoolNext != nil:
		return engine.Result{}, enter(tx, id)
	case m.WorkflowComplete && n.done == api.Free:
		return engine.Result{}, rest(tx, id)
	case m.WorkflowComplete:
		return engine.Result{}, move(tx, id, n.done, "")
	}
	if why := stopped(tx, m); why != "" {
		if err := alert.Raise(tx, now, api.AlertError, "machine "+m.Name, fmt.Sprintf("%s: %s", n.hold, why)); err != nil {
			return engine.Result{}, err
		}
		return engine.Result{}, move(tx, id, n.hold, why)
	}
	return engine.Result{Waiting: fmt.Sprintf("%s until workflow %s is complete", m.PoolStatus, m.Workflow)}, nil
}

// stopped says which failed job keeps a machine from going on.
func stopped(r resource.Reader, m *api.Machine) string {
	if m.Boot != nil && !m.Boot.Home && m.Boot.Error != "" {
		return m.Boot.Error
	}
	j, err := api.Jobs.Get(r, m.CurrentJob)
	if err != nil || j.State != api.JobFailed || j.CurrentIndex != m.CurrentTask || m.Runnable || m.WorkflowComplete {
		return ""
	}
	return fmt.Sprintf("task %s failed (drpcli jobs log %s): %s", j.Task, j.Uuid, strings.Join(j.ResultErrors, "; "))
}

// resume lets a held machine go on when what held it is gone.
func resume(tx *resource.Tx, m *api.Machine, during api.PoolStatus) (engine.Result, error) {
	why := stopped(tx, m)
	if why == "" && m.WorkflowComplete && m.PoolStatus == api.HoldDestroy {
		v := blank.Decide(tx, m)
		if v.Held == "" {
			return engine.Result{}, rest(tx, m.Uuid)
		}
		if v.Held != m.PoolHoldReason {
			return engine.Result{}, move(tx, m.Uuid, m.PoolStatus, v.Held)
		}
		why = v.Held
	}
	if why == "" {
		return engine.Result{}, move(tx, m.Uuid, during, "")
	}
	text := fmt.Sprintf("held in %s: %s", m.PoolStatus, m.PoolHoldReason)
	if m.Fence != nil {
		text += "; " + m.Fence.Says
	}
	return engine.Result{Waiting: text}, nil
}

// idle looks at a Free machine that has nothing to do: one whose data is gone is
// said to be clean, and one on which the data of nobody was found is held.
func idle(tx *resource.Tx, now time.Time, m *api.Machine) error {
	v := blank.Decide(tx, m)
	switch {
	case v.Clean && m.Unwiped != nil:
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Unwiped = nil; return nil })
	case v.Held != "" && m.Unwiped == nil:
		return rest(tx, m.Uuid)
	}
	return nil
}

// rest ends a transition to Free, and is alone in making a machine so: it is
// Free if its disks are proven blank or need not be, deleted if it never had
// any, and else held with the reason.
func rest(tx *resource.Tx, id string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	if m.Virtual && m.PoolStatus == api.Destroying && blank.Required(tx, m) {
		return api.Machines.Delete(tx, id) // what it was goes with it
	}
	v := blank.Decide(tx, m)
	if v.Held == "" {
		return api.Machines.Modify(tx, id, func(m *api.Machine) error {
			m.PoolStatus, m.PoolHoldReason, m.Fence = api.Free, "", nil
			// Until it is Free a machine is its owner's to wait for.
			m.Owner, m.PoolAllocated = "", false
			if v.Clean {
				m.Unwiped = nil
			}
			return nil
		})
	}
	if err := alert.Raise(tx, tx.Now(), api.AlertError, "machine "+m.Name, fmt.Sprintf("%s: %s", api.HoldDestroy, v.Held)); err != nil {
		return err
	}
	return move(tx, id, api.HoldDestroy, v.Held)
}

// use notes that a machine is given to somebody: what is on its disks is theirs
// from now on.
func use(r resource.Reader, m *api.Machine, who blank.Taker) {
	if m.Virtual {
		return
	}
	u := who.Note(r)
	if m.Unwiped != nil {
		u.Wrote = m.Unwiped.Wrote
	}
	m.Unwiped = &u
}

// move goes to any state but Free. What becomes of a held machine package bmc
// says.
func move(tx *resource.Tx, id string, to api.PoolStatus, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		if to == api.HoldDestroy && m.PoolStatus != api.HoldDestroy {
			m.Fence = &api.Fence{Says: "it is being switched off"}
		} else if to != api.HoldDestroy {
			m.Fence = nil
		}
		m.PoolStatus, m.PoolHoldReason = to, why
		return nil
	})
}
