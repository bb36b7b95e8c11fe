package pool

import (
	"maps"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// actionsOf is what a pool says about a verb: Add is entering it, Remove
// leaving it. A pool without an object says nothing.
func actionsOf(r resource.Reader, pool string, verb Verb) api.PoolActions {
	p, err := api.Pools.Get(r, pool)
	if err != nil {
		return api.PoolActions{}
	}
	a := map[Verb]*api.PoolActions{Add: p.EnterActions, Remove: p.ExitActions, Allocate: p.AllocateActions, Release: p.ReleaseActions}[verb]
	if a == nil {
		return api.PoolActions{}
	}
	return *a
}

// merge lays what a request wants over what the pool does: where they
// contradict each other, the request wins.
func merge(base, over api.PoolActions) api.PoolActions {
	out := api.PoolActions{
		Workflow:         base.Workflow,
		AddProfiles:      lay(base.AddProfiles, over.AddProfiles, over.RemoveProfiles),
		RemoveProfiles:   lay(base.RemoveProfiles, over.RemoveProfiles, over.AddProfiles),
		RemoveParameters: lay(base.RemoveParameters, over.RemoveParameters, slices.Collect(maps.Keys(over.AddParameters))),
		AddParameters:    resource.Params{},
	}
	if over.Workflow != "" {
		out.Workflow = over.Workflow
	}
	maps.Copy(out.AddParameters, base.AddParameters)
	for _, name := range over.RemoveParameters {
		delete(out.AddParameters, name)
	}
	maps.Copy(out.AddParameters, over.AddParameters)
	return out
}

// lay is base and over without what the request does the opposite of.
func lay(base, over, against []string) []string {
	var out []string
	for _, s := range base {
		if !slices.Contains(against, s) && !slices.Contains(over, s) {
			out = append(out, s)
		}
	}
	return append(out, over...)
}

// begin starts a transition: its edits at once, then its workflow. Without one
// the machine goes straight on; whether that is to Free only rest says.
func begin(tx *resource.Tx, id string, a api.PoolActions, during, after api.PoolStatus, also func(*api.Machine)) error {
	if a.Workflow != "" {
		// A workflow that the machine has had already shall run again.
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error {
			if m.Workflow == a.Workflow {
				m.Workflow, m.WorkOrderMode = "", false
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := api.Machines.Modify(tx, id, func(m *api.Machine) error {
		also(m)
		edit(m, a)
		if m.PoolHoldReason, m.PoolStatus, m.Fence = "", during, nil; during == api.Destroying {
			m.Context = "" // the work to be done is on the machine
		}
		if a.Workflow != "" {
			m.Workflow, m.WorkOrderMode = a.Workflow, false
		}
		return nil
	})
	if err != nil || a.Workflow != "" || during == api.Leaving {
		return err
	}
	if after == api.Free {
		return rest(tx, id)
	}
	return move(tx, id, after, "")
}

// edit may be repeated: the second time it changes nothing.
func edit(m *api.Machine, a api.PoolActions) {
	m.Profiles = slices.DeleteFunc(m.Profiles, func(p string) bool { return slices.Contains(a.RemoveProfiles, p) })
	for _, p := range a.AddProfiles {
		if !slices.Contains(m.Profiles, p) {
			m.Profiles = append(m.Profiles, p)
		}
	}
	guard.Edit(m.Params, a.RemoveParameters, a.AddParameters)
}

// leave takes a machine out of its pool: the exit actions, then into next, if
// that would have it as it is.
func leave(tx *resource.Tx, id string, exit api.PoolActions, next api.PoolNext) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	there := *m
	there.Pool = next.Pool
	if v := blank.Decide(tx, &there); v.Held != "" {
		return resource.Errorf(resource.Refused, api.Machines.Name, id, "pool %s does not take %s: %s", next.Pool, m.Name, v.Held)
	}
	err = begin(tx, id, exit, api.Leaving, "", func(m *api.Machine) { m.PoolNext = &next })
	if err != nil || exit.Workflow != "" {
		return err
	}
	return enter(tx, id)
}

// enter puts a machine that has left its pool into the next one.
func enter(tx *resource.Tx, id string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	next := *m.PoolNext
	return begin(tx, id, merge(actionsOf(tx, next.Pool, Add), next.Actions), api.Joining, api.Free, func(m *api.Machine) {
		m.Pool, m.PoolAllocated, m.PoolNext = next.Pool, false, nil
	})
}
