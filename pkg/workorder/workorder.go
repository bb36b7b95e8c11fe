// Package workorder runs blueprints on machines, clusters and brokers that are
// in WorkOrder mode: which order is next, when it is bound to a machine, and
// how it ends. The cursor through its tasks is package workflow's.
package workorder

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
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

// Begin takes the next order of a machine in WorkOrder mode: the oldest that
// names it, else the oldest unbound one whose filter fits. The blueprint is
// copied now, so that its newest edition runs.
func (w *Orders) Begin(tx *resource.Tx, now time.Time, machine string) (*api.WorkOrder, error) {
	_, m := api.Runner(tx, machine)
	if m == nil || !m.WorkOrderMode || !m.Runnable || !m.Available {
		return nil, nil
	}
	o, err := w.oldest(tx, m)
	if err != nil || o == nil {
		return nil, err
	}
	return w.start(tx, now, m, o)
}

func (w *Orders) oldest(tx *resource.Tx, m *api.Machine) (*api.WorkOrder, error) {
	var best *api.WorkOrder
	for o := range api.WorkOrders.By(tx, "Active", m.Uuid) {
		if o.State == api.OrderCreated && (best == nil || o.CreateTime.Before(best.CreateTime)) {
			best = o
		}
	}
	if best != nil {
		return best, nil
	}
	for o := range api.WorkOrders.By(tx, "Unbound", "true") {
		fits, err := w.Match(tx, m, o.Filter)
		if err != nil {
			return nil, err
		}
		if fits && (best == nil || o.CreateTime.Before(best.CreateTime)) {
			best = o
		}
	}
	return best, nil
}

// start binds an order to its machine. A blueprint that cannot run fails it.
func (w *Orders) start(tx *resource.Tx, now time.Time, m *api.Machine, o *api.WorkOrder) (*api.WorkOrder, error) {
	b, tasks, problem := usable(tx, o)
	err := api.WorkOrders.Modify(tx, o.Uuid, func(o *api.WorkOrder) error {
		o.Machine = m.Uuid
		if problem != "" {
			if err := o.Move(api.OrderFailed, now); err != nil {
				return err
			}
			o.Status = problem
			return nil
		}
		o.Tasks, o.CurrentTask, o.Context = tasks, 0, m.Context
		for name, v := range b.Params {
			if _, given := o.Params[name]; !given {
				o.Params[name] = v
			}
		}
		o.Profiles = append(o.Profiles, b.Profiles...)
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

// Rule drives every order: created ones of clusters and brokers are begun by
// the server, and running ones are moved on.
func (w *Orders) Rule() engine.Rule {
	return engine.Rule{Name: "work order", Kind: api.WorkOrders, Step: w.drive, Wake: map[string]engine.Wake{
		"jobs": func(_ resource.Reader, e resource.Event) []string {
			if j, ok := e.New.(*api.Job); ok && j.WorkOrder != "" {
				return []string{j.WorkOrder}
			}
			return nil
		},
		"machines":         touched,
		"clusters":         touched,
		"resource_brokers": touched,
		"bmc_actions": func(r resource.Reader, e resource.Event) []string {
			if a, ok := e.New.(*api.BMCAction); ok {
				return active(r, a.Machine)
			}
			return nil
		},
		"work_orders": func(r resource.Reader, e resource.Event) []string {
			if o, ok := e.New.(*api.WorkOrder); ok && o.For != "" {
				return active(r, o.For)
			}
			return nil
		},
	}}
}

// touched finds the orders that a changed machine matters to: its own, those
// of the cluster that owns it, and the brokers' orders that wait for machines.
func touched(r resource.Reader, e resource.Event) []string {
	var out []string
	for _, v := range []any{e.New, e.Old} {
		if m, ok := v.(*api.Machine); ok {
			out = append(out, active(r, m.Uuid)...)
			if m.Owner != "" {
				out = append(out, active(r, m.Owner)...)
			}
		}
	}
	for b := range api.Brokers.All(r) {
		out = append(out, active(r, b.Uuid)...)
	}
	return out
}

// active lists the orders of a machine that have not ended.
func active(r resource.Reader, machine string) []string {
	var out []string
	for o := range api.WorkOrders.By(r, "Active", machine) {
		out = append(out, o.Uuid)
	}
	return out
}

func (w *Orders) drive(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	o, err := api.WorkOrders.Get(tx, id)
	if err != nil || o.Ended() {
		return engine.Result{}, err
	}
	if o.Machine == "" {
		return engine.Result{Waiting: "waits for a machine in WorkOrder mode that matches " + o.Filter}, nil
	}
	k, m := api.Runner(tx, o.Machine)
	switch {
	case m == nil:
		return engine.Result{}, fail(tx, now, id, "machine "+o.Machine+" does not exist")
	case !m.WorkOrderMode && o.State == api.OrderRunning:
		return engine.Result{}, fail(tx, now, id, m.Name+" has left WorkOrder mode")
	case !m.WorkOrderMode:
		return engine.Result{Waiting: m.Name + " is not in WorkOrder mode"}, nil
	}
	if o.State == api.OrderCreated {
		if k == api.Machines {
			return engine.Result{Waiting: "queued for the agent of " + m.Name}, nil
		}
		return w.beginOnServer(tx, now, k, m, o)
	}
	s, err := w.Flow.Drive(tx, now, &workflow.Cursor{Kind: k, On: m, Order: o})
	return s, err
}

// beginOnServer starts orders of clusters one at a time. A broker's orders run
// side by side: each is one atomic step at a time, and a request that waits
// for machines must not hold up the release that would free some.
func (w *Orders) beginOnServer(tx *resource.Tx, now time.Time, k *resource.Kind[api.Machine], m *api.Machine, o *api.WorkOrder) (engine.Result, error) {
	if k == api.Clusters {
		if busy := workflow.At(tx, m.Uuid); busy != nil {
			return engine.Result{Waiting: "queued behind work order " + busy.Order.Uuid, Until: now.Add(5 * time.Second)}, nil
		}
	}
	started, err := w.start(tx, now, m, o)
	if err != nil || started == nil {
		return engine.Result{}, err
	}
	return w.Flow.Drive(tx, now, &workflow.Cursor{Kind: k, On: m, Order: started})
}

func fail(tx *resource.Tx, now time.Time, id, why string) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error {
		if err := o.Move(api.OrderFailed, now); err != nil {
			return err
		}
		o.Status = why
		return nil
	})
}
