// Package workorder runs blueprints on machines, clusters and brokers that are
// in WorkOrder mode: which order is next, when it is bound to a machine, how it
// ends, and when it is forgotten. The cursor through its tasks is package
// workflow's.
package workorder

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Match says whether an order's filter fits a machine; REST's filter language.
type Match func(r resource.Reader, m *api.Machine, filter string) (bool, error)

// Orders decides about work orders.
type Orders struct {
	Flow  *workflow.Flow
	Match Match
}

// Begin takes the next order for a runner of a machine in WorkOrder mode: the
// oldest that names the machine, else the oldest unbound one whose filter
// fits. An order with a context is only for a runner of that context. The
// blueprint is copied now, so that its newest edition runs.
func (w *Orders) Begin(tx *resource.Tx, now time.Time, machine, context string) (*api.WorkOrder, error) {
	_, m := api.Runner(tx, machine)
	if m == nil || !m.WorkOrderMode || !m.Runnable || !m.Available {
		return nil, nil
	}
	for {
		o := w.oldest(tx, m, context)
		if o == nil {
			return nil, nil
		}
		started, err := w.start(tx, now, m, o)
		if err != nil || started != nil {
			return started, err
		}
		// It could not run and has failed: the next one has its turn.
	}
}

func (w *Orders) oldest(tx *resource.Tx, m *api.Machine, context string) *api.WorkOrder {
	var best *api.WorkOrder
	consider := func(o *api.WorkOrder) {
		if best == nil || o.CreateTime.Before(best.CreateTime) {
			best = o
		}
	}
	for o := range api.WorkOrders.By(tx, "Active", m.Uuid) {
		if o.State == api.OrderCreated && contextOf(o, m) == context {
			consider(o)
		}
	}
	if best != nil {
		return best
	}
	for o := range api.WorkOrders.By(tx, "Unbound", "true") {
		if contextOf(o, m) != context {
			continue
		}
		// A filter that cannot be read fits nothing; its order says so itself.
		if fits, err := w.Match(tx, m, o.Filter); err == nil && fits {
			consider(o)
		}
	}
	return best
}

// contextOf is the context that an order would run in on a machine.
func contextOf(o *api.WorkOrder, m *api.Machine) string {
	if o.Context != "" {
		return o.Context
	}
	return m.Context
}

// start binds an order to its machine. One that cannot run fails; nil then.
func (w *Orders) start(tx *resource.Tx, now time.Time, m *api.Machine, o *api.WorkOrder) (*api.WorkOrder, error) {
	b, tasks, problem := usable(tx, o)
	err := api.WorkOrders.Modify(tx, o.Uuid, func(o *api.WorkOrder) error {
		o.Machine = m.Uuid
		if problem != "" {
			return end(o, api.OrderFailed, now, problem)
		}
		o.Tasks, o.CurrentTask, o.Context = tasks, 0, contextOf(o, m)
		copyBlueprint(o, b)
		return o.Move(api.OrderRunning, now)
	})
	if err != nil || problem != "" {
		return nil, err
	}
	return api.WorkOrders.Get(tx, o.Uuid)
}

func usable(tx *resource.Tx, o *api.WorkOrder) (b *api.Blueprint, tasks []string, problem string) {
	b, err := api.Blueprints.Get(tx, o.Blueprint)
	if err != nil {
		return nil, nil, fmt.Sprintf("blueprint %q does not exist", o.Blueprint)
	}
	if !b.Available {
		return nil, nil, fmt.Sprintf("blueprint %q is not available: %v", b.Name, b.Errors)
	}
	tasks, err = workflow.ExpandTasks(tx, b.Tasks)
	if err != nil {
		return nil, nil, err.Error()
	}
	return b, tasks, ""
}

// copyBlueprint gives an order what its blueprint says and the order itself
// does not. A sealed value is sealed for the blueprint: it is found there.
func copyBlueprint(o *api.WorkOrder, b *api.Blueprint) {
	o.Copied = &api.CopiedParts{}
	for _, name := range slices.Sorted(maps.Keys(b.Params)) {
		if _, given := o.Params[name]; !given && !param.IsSealed(b.Params[name]) {
			o.Params[name] = b.Params[name]
			o.Copied.Params = append(o.Copied.Params, name)
		}
	}
	for _, p := range b.Profiles {
		if !slices.Contains(o.Profiles, p) {
			o.Profiles = append(o.Profiles, p)
			o.Copied.Profiles = append(o.Copied.Profiles, p)
		}
	}
	for k, v := range b.Meta {
		if _, given := o.Meta[k]; !given {
			o.Meta[k] = v
			o.Copied.Meta = append(o.Copied.Meta, k)
		}
	}
}

// Rerun makes a new order like one that has ended, on the same machine: its
// blueprint is copied anew.
func Rerun(tx *resource.Tx, now time.Time, id string) (*api.WorkOrder, error) {
	o, err := api.WorkOrders.Get(tx, id)
	if err != nil {
		return nil, err
	}
	if !o.Ended() {
		return nil, resource.Errorf(resource.Refused, "work_orders", id, "the work order is %s: wait for its end, or cancel it", o.State)
	}
	again := &api.WorkOrder{Blueprint: o.Blueprint, Machine: o.Machine, Mode: o.Mode, Params: maps.Clone(o.Params),
		Profiles: slices.Clone(o.Profiles), CreateTime: now}
	again.Meta, again.Description = maps.Clone(o.Meta), o.Description
	if o.Machine == "" {
		again.Filter = o.Filter
	}
	if _, m := api.Runner(tx, o.Machine); m == nil || o.Context != m.Context {
		again.Context = o.Context
	}
	if c := o.Copied; c != nil {
		maps.DeleteFunc(again.Params, func(name string, _ any) bool { return slices.Contains(c.Params, name) })
		maps.DeleteFunc(again.Meta, func(name, _ string) bool { return slices.Contains(c.Meta, name) })
		again.Profiles = slices.DeleteFunc(again.Profiles, func(p string) bool { return slices.Contains(c.Profiles, p) })
	}
	return again, api.WorkOrders.Create(tx, again)
}

// end moves an order to its end, with the reason.
func end(o *api.WorkOrder, to api.OrderState, now time.Time, why string) error {
	if err := o.Move(to, now); err != nil {
		return err
	}
	o.Status = why
	return nil
}

// Cancel ends an order that has not ended, with the reason.
func Cancel(tx *resource.Tx, now time.Time, id, why string) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error { return end(o, api.OrderCancelled, now, why) })
}
