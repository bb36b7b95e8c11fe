// Package pool picks, holds and returns machines for whoever asks, and moves
// them through their pool's transitions. Whatever it takes it takes in one
// transaction, so two callers never get one machine.
package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Claim is what a taken machine becomes.
type Claim struct {
	Owner    string // uuid of the cluster, "" for a person
	Workflow string // overrides the pool's AllocateActions
	Profiles []string
	Params   resource.Params
}

// Candidates lists the machines of a pool that can be taken now, in the order
// of their names, and says of each other one why not.
func Candidates(r resource.Reader, pool string, fits func(*api.Machine) (bool, error)) (free []*api.Machine, why []string, err error) {
	for m := range api.Machines.By(r, api.ByPool, pool) {
		reason := unfit(m)
		if reason == "" && fits != nil {
			ok, err := fits(m)
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				reason = "does not match"
			}
		}
		if reason != "" {
			why = append(why, m.Name+": "+reason)
			continue
		}
		free = append(free, m)
	}
	slices.SortFunc(free, func(a, b *api.Machine) int { return strings.Compare(a.Name, b.Name) })
	return free, why, nil
}

func unfit(m *api.Machine) string {
	switch {
	case m.PoolStatus != api.Free:
		return string(m.PoolStatus)
	case m.Owner != "":
		return "owned"
	case m.Locked:
		return "locked"
	case !m.Available:
		return "not available: " + strings.Join(m.Errors, "; ")
	case !m.WorkflowComplete:
		return "workflow " + m.Workflow + " is not complete"
	}
	return ""
}

// Take allocates one Free machine: Building until its workflow is complete.
func Take(tx *resource.Tx, id string, c Claim) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		if reason := unfit(m); reason != "" {
			return resource.Errorf(resource.Conflict, "machines", id, "%s cannot be allocated: %s", m.Name, reason)
		}
		p, _ := api.Pools.Get(tx, m.Pool)
		var actions api.PoolActions
		if p != nil && p.AllocateActions != nil {
			actions = *p.AllocateActions
		}
		actions.AddProfiles = append(slices.Clone(actions.AddProfiles), c.Profiles...)
		if c.Workflow != "" {
			actions.Workflow = c.Workflow
		}
		m.Owner, m.PoolAllocated = c.Owner, true
		begin(m, &actions, api.Building, api.InUse)
		for name, v := range c.Params {
			m.Params[name] = v
		}
		return nil
	})
}

// Release gives a machine back: Destroying until the pool's release workflow
// is complete, Free after it. What the claim gave is taken away.
func Release(tx *resource.Tx, id string, c Claim) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		if m.PoolStatus != api.InUse && m.PoolStatus != api.Building && m.PoolStatus != api.HoldBuild {
			return resource.Errorf(resource.Conflict, "machines", id, "%s is %s, not in use", m.Name, m.PoolStatus)
		}
		p, _ := api.Pools.Get(tx, m.Pool)
		var actions api.PoolActions
		if p != nil && p.ReleaseActions != nil {
			actions = *p.ReleaseActions
		}
		actions.RemoveProfiles = append(slices.Clone(actions.RemoveProfiles), c.Profiles...)
		for name := range c.Params {
			actions.RemoveParameters = append(actions.RemoveParameters, name)
		}
		m.WorkOrderMode, m.PoolAllocated = false, false
		begin(m, &actions, api.Destroying, api.Free)
		return nil
	})
}

// begin applies a transition's edits and sets its workflow; without one the
// machine goes straight on.
func begin(m *api.Machine, a *api.PoolActions, during, after api.PoolStatus) {
	if a == nil {
		a = &api.PoolActions{}
	}
	for _, p := range a.RemoveProfiles {
		m.Profiles = slices.DeleteFunc(m.Profiles, func(q string) bool { return q == p })
	}
	for _, p := range a.AddProfiles {
		if !slices.Contains(m.Profiles, p) {
			m.Profiles = append(m.Profiles, p)
		}
	}
	for _, p := range a.RemoveParameters {
		delete(m.Params, p)
	}
	for name, v := range a.AddParameters {
		m.Params[name] = v
	}
	m.PoolHoldReason, m.PoolStatus = "", after
	if a.Workflow != "" {
		m.Workflow, m.PoolStatus = a.Workflow, during
	}
	// Until it is Free a machine is its owner's to wait for.
	if m.PoolStatus == api.Free {
		m.Owner = ""
	}
}

// next is where a transition leads when its workflow is complete, and where it
// is held when a task fails.
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

// Rule moves machines on when their transition's workflow ends or fails.
func Rule() engine.Rule {
	return engine.Rule{Name: "pool transition", Kind: api.Machines, Step: Transition}
}

// Transition is the step of Rule.
func Transition(tx *resource.Tx, _ time.Time, id string) (engine.Result, error) {
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
	case m.WorkflowComplete:
		return engine.Result{}, move(tx, id, n.done, "")
	}
	if why := stopped(tx, m); why != "" {
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
