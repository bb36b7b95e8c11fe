package pool

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/alert"
	"drpd/pkg/api"
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
	return engine.Rule{Name: "pool transition", Kind: api.Machines, Step: Transition}
}

// Transition is the step of Rule.
func Transition(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return engine.Result{}, err
	}
	if during, held := resumes[m.PoolStatus]; held {
		if stopped(tx, m) == "" {
			return engine.Result{}, move(tx, id, during, "")
		}
		return engine.Result{Waiting: fmt.Sprintf("held in %s: %s", m.PoolStatus, m.PoolHoldReason)}, nil
	}
	n, moving := next[m.PoolStatus]
	switch {
	case !moving:
		return engine.Result{}, nil
	case m.WorkflowComplete && m.PoolStatus == api.Leaving && m.PoolNext != nil:
		return engine.Result{}, enter(tx, id)
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

func move(tx *resource.Tx, id string, to api.PoolStatus, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.PoolStatus, m.PoolHoldReason = to, why
		if to == api.Free {
			m.Owner, m.PoolAllocated = "", false
		}
		return nil
	})
}
