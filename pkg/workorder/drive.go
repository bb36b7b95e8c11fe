package workorder

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Rule drives every order: created ones of clusters and brokers are begun by
// the server, running ones are moved on, old ended ones are deleted.
func (w *Orders) Rule() engine.Rule {
	return engine.Rule{Name: "work order", Kind: api.WorkOrders, Step: w.drive, Wake: map[string]engine.Wake{
		"jobs": func(_ resource.Reader, e resource.Event) []string {
			if j, ok := e.New.(*api.Job); ok && j.WorkOrder != "" {
				return []string{j.WorkOrder}
			}
			return nil
		},
		"contexts":         waitForContext,
		"machines":         touched,
		"clusters":         touched,
		"resource_brokers": touched,
		"bmc_actions": func(r resource.Reader, e resource.Event) []string {
			if a, ok := e.New.(*api.BMCAction); ok {
				return active(r, a.Machine)
			}
			return nil
		},
		"callbacks": func(r resource.Reader, e resource.Event) []string {
			if c, ok := e.New.(*api.Callback); ok {
				return active(r, c.Machine)
			}
			return nil
		},
		"plugin_calls": func(r resource.Reader, e resource.Event) []string {
			if c, ok := e.New.(*api.PluginCall); ok {
				return active(r, c.Machine)
			}
			return nil
		},
		"renderings": func(r resource.Reader, e resource.Event) []string {
			if c, ok := e.New.(interface{ RunsOn() string }); ok {
				return active(r, c.RunsOn())
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

// waitForContext finds the queued orders of a context that came, went or changed.
func waitForContext(r resource.Reader, e resource.Event) []string {
	var out []string
	for o := range api.WorkOrders.By(r, "Context", e.Key) {
		if o.State == api.OrderCreated {
			out = append(out, o.Uuid)
		}
	}
	return out
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
	for b := range api.Brokers.All(r) { // queued ones wait for their turn only
		for o := range api.WorkOrders.By(r, "Active", b.Uuid) {
			if o.State == api.OrderRunning {
				out = append(out, o.Uuid)
			}
		}
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
	if err != nil {
		return engine.Result{}, err
	}
	if o.Ended() {
		return prune(tx, now, o)
	}
	res, err := w.advance(tx, now, o)
	if err != nil || res.Waiting == "" {
		return res, err
	}
	return res, note(tx, id, res.Waiting)
}

// note keeps in the order itself why it waits.
func note(tx *resource.Tx, id, why string) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error {
		if !o.Ended() {
			o.Status = why
		}
		return nil
	})
}

func (w *Orders) advance(tx *resource.Tx, now time.Time, o *api.WorkOrder) (engine.Result, error) {
	if o.Machine == "" {
		return engine.Result{Waiting: w.unbound(tx, o)}, nil
	}
	k, m := api.Runner(tx, o.Machine)
	switch {
	case m == nil:
		return engine.Result{}, fail(tx, now, o.Uuid, "machine "+o.Machine+" does not exist")
	case !m.WorkOrderMode && o.State == api.OrderRunning:
		return engine.Result{}, fail(tx, now, o.Uuid, m.Name+" has left WorkOrder mode")
	case !m.WorkOrderMode:
		return engine.Result{Waiting: m.Name + " is not in WorkOrder mode"}, nil
	}
	if o.State == api.OrderCreated {
		if k == api.Machines {
			return engine.Result{Waiting: queued(tx, o, m)}, nil
		}
		return w.beginOnServer(tx, now, k, m, o)
	}
	if busy := atWork(tx, m.Uuid); o.Yields && busy != nil {
		return engine.Result{Waiting: fmt.Sprintf("%s; work order %s, which runs on %s, goes first", jobWaits(tx, o), busy.Uuid, m.Name), Until: now.Add(queuePoll)}, nil
	}
	return w.Flow.Drive(tx, now, &workflow.Cursor{Kind: k, On: m, Order: o})
}

// jobWaits says what an order's job waits for.
func jobWaits(r resource.Reader, o *api.WorkOrder) string {
	if j, err := api.Jobs.Get(r, o.CurrentJob); err == nil && j.Waiting != "" {
		return j.Waiting
	}
	return "waits for machines"
}

// unbound says why no machine has taken the order.
func (w *Orders) unbound(r resource.Reader, o *api.WorkOrder) string {
	why := "waits for a machine in WorkOrder mode that matches " + o.Filter
	if err := w.readable(r, o.Filter); err != nil {
		why += ": " + err.Error()
	}
	return why
}

// readable tries a filter on any machine.
func (w *Orders) readable(r resource.Reader, filter string) error {
	for m := range api.Machines.All(r) {
		_, err := w.Match(r, m, filter)
		return err
	}
	return nil
}

// queued says why an order has not been taken by its machine's agent.
func queued(r resource.Reader, o *api.WorkOrder, m *api.Machine) string {
	switch busy := workflow.At(r, m.Uuid); {
	case busy != nil:
		return behind(busy.Order, m)
	case !m.Runnable:
		return m.Name + " is not runnable"
	case !m.Available:
		return fmt.Sprintf("%s is not available: %v", m.Name, m.Errors)
	}
	context := contextOf(o, m)
	if context == "" {
		return "queued for the agent of " + m.Name
	}
	text := "queued for the runner of context " + context + " for " + m.Name
	if why := workflow.Unserved(r, context); why != "" {
		text += ": " + why
	}
	return text
}

// beginOnServer starts the orders of a cluster or broker one at a time, oldest
// first.
func (w *Orders) beginOnServer(tx *resource.Tx, now time.Time, k *resource.Kind[api.Machine], m *api.Machine, o *api.WorkOrder) (engine.Result, error) {
	if busy := atWork(tx, m.Uuid); busy != nil {
		return engine.Result{Waiting: behind(busy, m), Until: now.Add(queuePoll)}, nil
	}
	if first := w.oldest(tx, m, contextOf(o, m)); first != nil && first.Uuid != o.Uuid {
		return engine.Result{Waiting: "queued behind work order " + first.Uuid + ", which is older", Until: now.Add(queuePoll)}, nil
	}
	started, err := w.start(tx, now, m, o)
	if err != nil || started == nil {
		return engine.Result{}, err
	}
	return w.Flow.Drive(tx, now, &workflow.Cursor{Kind: k, On: m, Order: started})
}

// queuePoll is how often a queued order looks whether it is its turn, beside
// being woken when another ends.
const queuePoll = 5 * time.Second

// atWork is the order that has its turn on a machine, nil if there is none. One
// that waits for machines and has nothing in hand lets others go first: one of
// them may be the release that frees what it waits for.
func atWork(r resource.Reader, machine string) *api.WorkOrder {
	if c := workflow.At(r, machine); c != nil && c.Order != nil && !c.Order.Yields {
		return c.Order
	}
	return nil
}

func behind(o *api.WorkOrder, m *api.Machine) string {
	return fmt.Sprintf("queued behind work order %s, which runs on %s", o.Uuid, m.Name)
}

func fail(tx *resource.Tx, now time.Time, id, why string) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error { return end(o, api.OrderFailed, now, why) })
}

// ParamKeep is how long ended orders are kept: a duration in profile global,
// such as 720h; "0" keeps them for ever.
const ParamKeep = "work-order/keep-ended"

// prune deletes an order that ended too long ago to matter. Its jobs stay.
func prune(tx *resource.Tx, now time.Time, o *api.WorkOrder) (engine.Result, error) {
	text, err := param.String(tx, param.Scope{}, ParamKeep)
	if err != nil {
		return engine.Result{}, nil // nobody says that it may go
	}
	keep, err := time.ParseDuration(text)
	if err != nil || keep <= 0 {
		return engine.Result{}, nil
	}
	if due := o.EndTime.Add(keep); now.Before(due) {
		return engine.Result{Until: due}, nil
	}
	return engine.Result{}, api.WorkOrders.Delete(tx, o.Uuid)
}
