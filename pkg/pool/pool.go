// Package pool picks, holds and returns machines for whoever asks, and moves
// them through their pool's transitions. Whatever it moves it moves in one
// transaction, so two callers never get one machine.
//
// A pool is a name on machines; an object of that name adds what happens to a
// machine as it enters, is allocated, is released and leaves.
package pool

import (
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// Default is the pool of machines that nobody put elsewhere.
const Default = "default"

// Match says whether a filter fits a machine; REST's filter language.
type Match func(r resource.Reader, m *api.Machine, filter string) (bool, error)

// Claim is what a taken machine becomes.
type Claim struct {
	Owner    string // uuid of the cluster
	Workflow string // overrides the pool's AllocateActions
	Profiles []string
	Params   resource.Params
	Meta     map[string]string
}

// Candidates lists the machines of a pool that owner can take now, in the order
// of their names, and says of each other one why not.
func Candidates(r resource.Reader, pool, owner string, fits func(*api.Machine) (bool, error)) (free []*api.Machine, why []string, err error) {
	return candidates(r, choice{pool: pool, to: blank.Taker{Cluster: owner}, verb: Allocate}, fits)
}

// choice is what a machine is looked at for.
type choice struct {
	pool  string
	to    blank.Taker // of Allocate
	verb  Verb
	force bool
}

func candidates(r resource.Reader, c choice, fits func(*api.Machine) (bool, error)) (fit []*api.Machine, why []string, err error) {
	for m := range api.Machines.By(r, api.ByPool, c.pool) {
		reason := c.unfit(r, m)
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
		fit = append(fit, m)
	}
	slices.SortFunc(fit, func(a, b *api.Machine) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(why)
	return fit, why, nil
}

// unfit says why a machine cannot be added, removed, allocated or released
// now, "" if it can. Force lets through what is broken, never what is another's
// nor what holds another's data.
func (c choice) unfit(r resource.Reader, m *api.Machine) string {
	switch {
	case m.Locked:
		return "locked"
	case m.Owner != "":
		return "owned"
	case c.verb == Release:
		return unreleasable(m, c.force)
	}
	held := m.PoolStatus == api.HoldJoin || m.PoolStatus == api.HoldDestroy || m.PoolStatus == api.HoldLeave
	switch {
	case m.PoolStatus != api.Free && !(held && c.force):
		return string(m.PoolStatus)
	case c.uncertain(r, m) != "":
		return c.uncertain(r, m)
	case c.force:
		return ""
	case !m.Available:
		return "not available: " + strings.Join(m.Errors, "; ")
	case !m.WorkflowComplete:
		return m.Unfinished()
	}
	return ""
}

// uncertain says whose data keeps the machine where it is.
func (c choice) uncertain(r resource.Reader, m *api.Machine) string {
	if c.verb == Allocate {
		return blank.Why(r, m, c.to)
	}
	return blank.Decide(r, m).Held
}

func unreleasable(m *api.Machine, force bool) string {
	switch m.PoolStatus {
	case api.InUse, api.HoldDestroy:
		return "" // one that is held is wiped again
	case api.Free:
		if m.Unwiped != nil {
			return ""
		}
	case api.Building, api.HoldBuild:
		if force {
			return ""
		}
		return string(m.PoolStatus) + " (force releases it)"
	}
	return string(m.PoolStatus)
}

// Take allocates one Free machine: Building until its workflow is complete.
func Take(tx *resource.Tx, id string, c Claim) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	to := blank.Taker{Cluster: c.Owner}
	if reason := (choice{to: to, verb: Allocate}).unfit(tx, m); reason != "" {
		return resource.Errorf(resource.Conflict, "machines", id, "%s cannot be allocated: %s", m.Name, reason)
	}
	over := api.PoolActions{Workflow: c.Workflow, AddProfiles: c.Profiles, AddParameters: c.Params}
	return allocate(tx, m, over, to, func(m *api.Machine) {
		m.Owner = c.Owner
		maps.Copy(m.Meta, c.Meta)
	})
}

func allocate(tx *resource.Tx, m *api.Machine, over api.PoolActions, to blank.Taker, also func(m *api.Machine)) error {
	return begin(tx, m.Uuid, merge(actionsOf(tx, m.Pool, Allocate), over), api.Building, api.InUse, func(m *api.Machine) {
		m.PoolAllocated = true
		also(m)
		use(tx, m, to)
	})
}

// GiveBack returns a machine: Destroying until the pool's release workflow is
// complete, Free after it. What the claim gave is taken away.
func GiveBack(tx *resource.Tx, id string, c Claim) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	if m.PoolStatus != api.InUse && m.PoolStatus != api.Building && m.PoolStatus != api.HoldBuild {
		return resource.Errorf(resource.Conflict, "machines", id, "%s is %s, not in use", m.Name, m.PoolStatus)
	}
	over := api.PoolActions{RemoveProfiles: c.Profiles}
	for name := range c.Params {
		over.RemoveParameters = append(over.RemoveParameters, name)
	}
	return release(tx, m, over, func(m *api.Machine) {
		for name := range c.Meta {
			delete(m.Meta, name)
		}
	})
}

// release begins a release. Where its disks must be proven blank and nobody
// says how, the machine is decommissioned.
func release(tx *resource.Tx, m *api.Machine, over api.PoolActions, also func(m *api.Machine)) error {
	if err := guard.Destroy(tx, m, guard.Release); err != nil {
		return err
	}
	a := merge(actionsOf(tx, m.Pool, Release), over)
	if a.Workflow == "" && !m.Virtual && (blank.Required(tx, m) || m.PoolStatus == api.Free) && api.Workflows.Has(tx, blank.Decommission) {
		a.Workflow = blank.Decommission
	}
	return begin(tx, m.Uuid, a, api.Destroying, api.Free, func(m *api.Machine) {
		m.WorkOrderMode, m.PoolAllocated = false, false
		also(m)
	})
}

// Wipe releases a machine that nobody has once more: it is held, or was used
// without being taken.
func Wipe(tx *resource.Tx, id string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	if (m.PoolStatus != api.HoldDestroy && m.PoolStatus != api.Free) || m.Locked || m.Owner != "" {
		return resource.Errorf(resource.Refused, api.Machines.Name, id, "%s is not wiped: it is %s%s", m.Name, m.PoolStatus, map[bool]string{true: ", locked"}[m.Locked])
	}
	return release(tx, m, api.PoolActions{Workflow: blank.Decommission}, func(*api.Machine) {})
}

// Move puts a machine that can be taken into another pool.
func Move(tx *resource.Tx, id, to string, over api.PoolActions) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	if reason := (choice{verb: Add}).unfit(tx, m); reason != "" {
		return resource.Errorf(resource.Conflict, "machines", id, "%s cannot leave pool %s: %s", m.Name, m.Pool, reason)
	}
	return leave(tx, id, actionsOf(tx, m.Pool, Remove), api.PoolNext{Pool: to, Actions: over})
}
