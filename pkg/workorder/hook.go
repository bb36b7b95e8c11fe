package workorder

import (
	"fmt"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hooks run in every save of a work order, whoever makes it.
func (w *Orders) Hooks() []resource.Hook {
	return []resource.Hook{resource.OnSave(api.WorkOrders, w.save)}
}

func (w *Orders) save(tx *resource.Tx, old, new *api.WorkOrder) error {
	var err error
	switch {
	case old == nil:
		err = w.create(tx, new)
	case new == nil:
		err = checkDelete(tx, old)
	case old.State != new.State:
		err = moved(tx, old, new)
	}
	if err != nil {
		return err
	}
	return count(tx, old, new)
}

func (w *Orders) create(tx *resource.Tx, o *api.WorkOrder) error {
	if o.State != api.OrderCreated {
		return resource.Errorf(resource.Invalid, "work_orders", o.Uuid, "State of a new work order is %s, not %s", api.OrderCreated, o.State)
	}
	if o.CreateTime.IsZero() {
		o.CreateTime = tx.Now()
	}
	o.Machine = keyOf(tx, o.Machine)
	if o.Filter != "" && o.Machine == "" {
		if err := w.readable(tx, o.Filter); err != nil {
			return resource.Errorf(resource.Invalid, "work_orders", o.Uuid, "Filter %q: %v", o.Filter, err)
		}
	}
	return nil
}

// keyOf resolves a machine, cluster or broker given as Index:value.
func keyOf(r resource.Reader, ref string) string {
	for _, k := range api.MachineLike() {
		if o, err := k.Lookup(r, ref); ref != "" && err == nil {
			return o.Key
		}
	}
	return ref
}

// checkDelete lets go of ended orders only. Force cancels first: the hook of
// package workflow ends the job either way.
func checkDelete(tx *resource.Tx, o *api.WorkOrder) error {
	if o.Ended() || tx.Options().Force {
		return nil
	}
	return resource.Errorf(resource.Refused, "work_orders", o.Uuid, "the work order is %s: cancel it first (set State to cancelled), or delete it with force", o.State)
}

// moved checks what a move of the state means, and draws its consequences.
// Which moves are legal at all package workflow says.
func moved(tx *resource.Tx, old, new *api.WorkOrder) error {
	switch new.State {
	case api.OrderRunning:
		if new.Machine == "" || new.CurrentTask < 0 {
			return resource.Errorf(resource.Refused, "work_orders", new.Uuid, "a work order begins when a runner takes it; State cannot be set to running")
		}
	case api.OrderFinished:
		if new.CurrentTask < len(new.Tasks) {
			return resource.Errorf(resource.Refused, "work_orders", new.Uuid, "task %s of the work order has not run: cancel it instead", new.Tasks[max(new.CurrentTask, 0)])
		}
	case api.OrderCancelled:
		if new.Status == "" || new.Status == old.Status {
			new.Status = cancelled(old)
		}
	case api.OrderFailed:
		if old.State == api.OrderRunning {
			return runAgain(tx, new.Machine)
		}
	}
	return nil
}

func cancelled(o *api.WorkOrder) string {
	if o.State == api.OrderRunning && o.CurrentTask >= 0 && o.CurrentTask < len(o.Tasks) {
		return "cancelled at task " + o.Tasks[o.CurrentTask]
	}
	return "cancelled before it began"
}

// runAgain: agents stop their machine when a task fails. In WorkOrder mode
// that is the order's matter only, and the next order has its turn.
func runAgain(tx *resource.Tx, machine string) error {
	k, m := api.Runner(tx, machine)
	if m == nil || !m.WorkOrderMode || m.Runnable || m.Boot != nil && !m.Boot.Home {
		return nil
	}
	return k.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Runnable = true; return nil })
}

// count keeps on each machine how many orders wait for it and run on it.
func count(tx *resource.Tx, old, new *api.WorkOrder) error {
	if old != nil && new != nil && old.State == new.State && old.Machine == new.Machine {
		return nil
	}
	if err := add(tx, old, -1); err != nil {
		return err
	}
	return add(tx, new, 1)
}

func add(tx *resource.Tx, o *api.WorkOrder, n int) error {
	if o == nil || o.Ended() {
		return nil
	}
	k, m := api.Runner(tx, o.Machine)
	if m == nil {
		return nil
	}
	err := k.Modify(tx, m.Uuid, func(m *api.Machine) error {
		at := &m.PendingWorkOrders
		if o.State == api.OrderRunning {
			at = &m.RunningWorkOrders
		}
		*at = max(*at+n, 0)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count work orders of %s: %w", m.Name, err)
	}
	return nil
}
