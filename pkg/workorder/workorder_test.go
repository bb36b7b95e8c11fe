package workorder

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
)

// rig is a server with two machines in WorkOrder mode whose agents the test
// plays; its filters are REST's.
type rig struct {
	*testing.T
	db     *resource.DB
	orders *Orders
	now    time.Time
}

func filters(r resource.Reader, m *api.Machine, filter string) (bool, error) {
	o, err := api.Machines.Lookup(r, m.Uuid)
	if err != nil {
		return false, err
	}
	return rest.Match(r, api.Machines, o, filter, func(r resource.Reader, val any, name string) (any, bool) {
		v, _, ok := param.Get(r, param.Scope{Machine: val.(*api.Machine)}, name)
		return v, ok
	})
}

func newRig(t *testing.T) *rig {
	t.Helper()
	flow := &workflow.Flow{}
	r := &rig{T: t, orders: &Orders{Flow: flow, Match: filters}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	flow.Begin = r.orders.Begin
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: append(flow.Hooks(), r.orders.Hooks()...),
		Now: func() time.Time { return r.now }})
	require.NoError(t, err)
	r.db = db
	r.update(func(tx *resource.Tx) error {
		errs := []error{
			api.Profiles.Create(tx, &api.Profile{Name: "global", Params: resource.Params{ParamKeep: "24h"}}),
			api.Profiles.Create(tx, &api.Profile{Name: "extra"}),
			api.ParamDefs.Create(tx, &api.Param{Name: "cluster/tags"}),
			api.Tasks.Create(tx, &api.Task{Name: "one"}), api.Tasks.Create(tx, &api.Task{Name: "two"}),
			api.Blueprints.Create(tx, &api.Blueprint{Name: "both", Tasks: []string{"one", "two"}, Params: resource.Params{"p": "blue", "q": "blue"}, Profiles: []string{"extra"}}),
			api.Machines.Create(tx, &api.Machine{Name: "a", Params: resource.Params{"cluster/tags": []any{"workers"}}}),
			api.Machines.Create(tx, &api.Machine{Name: "b"}),
		}
		for _, name := range []string{"a", "b"} {
			errs = append(errs, api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, name).Uuid, func(m *api.Machine) error {
				m.WorkOrderMode = true
				return nil
			}))
		}
		return errors.Join(errs...)
	})
	return r
}

// update is one transaction, a second after the last.
func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.try(fn))
}

func (r *rig) try(fn func(tx *resource.Tx) error) error {
	r.now = r.now.Add(time.Second)
	return r.db.Update(r.Context(), fn)
}

func (r *rig) machine(name string) *api.Machine {
	r.Helper()
	m := api.Machines.One(r.db.View(), api.ByName, name)
	require.NotNil(r, m)
	return m
}

func (r *rig) order(id string) *api.WorkOrder {
	r.Helper()
	o, err := api.WorkOrders.Get(r.db.View(), id)
	require.NoError(r, err)
	return o
}

func (r *rig) create(o *api.WorkOrder) string {
	r.Helper()
	o.Blueprint = "both"
	r.update(func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, o) })
	r.look(o.Uuid)
	return o.Uuid
}

func (r *rig) on(name string) string { return r.create(&api.WorkOrder{Machine: r.machine(name).Uuid}) }

// look runs the rule on an order.
func (r *rig) look(id string) {
	r.Helper()
	r.update(func(tx *resource.Tx) error { _, err := r.orders.drive(tx, r.now, id); return err })
}

// next is what a runner of a context is told to do.
func (r *rig) next(name, context string) (*api.Job, error) {
	var n workflow.Next
	id := r.machine(name).Uuid
	err := r.try(func(tx *resource.Tx) (err error) {
		n, err = r.orders.Flow.NextJob(tx, r.now, id, context)
		return err
	})
	return n.Job, err
}

// work does one task, or finds that there is none.
func (r *rig) work(name string, outcome api.JobState) string {
	r.Helper()
	j, err := r.next(name, "")
	require.NoError(r, err)
	if j == nil {
		return ""
	}
	r.update(func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { return j.Move(outcome, r.now) })
	})
	r.look(j.WorkOrder)
	return j.Task
}

func (r *rig) setState(id string, s api.OrderState) error {
	return r.try(func(tx *resource.Tx) error {
		return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error { o.State = s; return nil })
	})
}

func (r *rig) counts(name string) [2]int {
	m := r.machine(name)
	return [2]int{m.PendingWorkOrders, m.RunningWorkOrders}
}

// TestTraceG: an order with a filter stays unbound until a matching machine in
// WorkOrder mode asks; one that is cancelled before never gets a machine.
func TestTraceG(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gone := r.create(&api.WorkOrder{Filter: "cluster/tags=In(workers)"})
	id := r.create(&api.WorkOrder{Filter: "cluster/tags=In(workers) Name=Ne(b)"})
	assert.Equal(t, "waits for a machine in WorkOrder mode that matches cluster/tags=In(workers) Name=Ne(b)", r.order(id).Status)
	require.NoError(t, r.setState(gone, api.OrderCancelled))
	assert.Empty(t, r.work("b", api.JobFinished))
	assert.Empty(t, r.order(id).Machine)
	assert.Equal(t, "one", r.work("a", api.JobFinished))
	assert.Equal(t, r.machine("a").Uuid, r.order(id).Machine)
	assert.Equal(t, "two", r.work("a", api.JobFinished))
	assert.Equal(t, api.OrderFinished, r.order(id).State)
	assert.Empty(t, r.work("a", api.JobFinished))
	assert.Equal(t, api.OrderCancelled, r.order(gone).State)
	assert.Empty(t, r.order(gone).Machine)
	assert.Equal(t, "cancelled before it began", r.order(gone).Status)
}

// TestOldestFirst: those that name the machine before unbound ones, and a
// failed one leaves the machine in its mode, running the next, even if the
// agent stopped the machine.
func TestOldestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	unbound := r.create(&api.WorkOrder{Filter: "Name=a"})
	first, second := r.on("a"), r.on("a")
	assert.Equal(t, [2]int{2, 0}, r.counts("a"))
	assert.Equal(t, "queued for the agent of a", r.order(first).Status)
	j, err := r.next("a", "")
	require.NoError(t, err)
	assert.Equal(t, first, j.WorkOrder)
	assert.Equal(t, [2]int{1, 1}, r.counts("a"))
	r.look(second)
	assert.Equal(t, "queued behind work order "+first+", which runs on a", r.order(second).Status)
	r.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, r.machine("a").Uuid, func(m *api.Machine) error { m.Runnable = false; return nil })
	})
	r.update(func(tx *resource.Tx) error { return workflow.Fail(tx, r.now, j.Uuid, "no disk") })
	r.look(first)
	assert.Equal(t, api.OrderFailed, r.order(first).State)
	assert.Contains(t, r.order(first).Status, "task one failed: no disk")
	assert.True(t, r.machine("a").WorkOrderMode && r.machine("a").Runnable)
	assert.Equal(t, [2]int{1, 0}, r.counts("a"))
	for _, id := range []string{second, unbound} {
		j, err := r.next("a", "")
		require.NoError(t, err)
		require.NotNil(t, j)
		assert.Equal(t, id, j.WorkOrder)
		require.NoError(t, r.setState(id, api.OrderCancelled))
		assert.Equal(t, "cancelled at task one", r.order(id).Status)
		ended, err := api.Jobs.Get(r.db.View(), j.Uuid)
		require.NoError(t, err)
		assert.Equal(t, api.JobCancelled, ended.State)
		assert.Equal(t, []string{"its work order is cancelled"}, ended.ResultErrors)
	}
	assert.Equal(t, [2]int{0, 0}, r.counts("a"))
}

// TestBlueprintIsCopiedAtPickup and not before; what the order says itself stays.
func TestBlueprintIsCopiedAtPickup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create(&api.WorkOrder{Machine: r.machine("a").Uuid, Params: resource.Params{"q": "mine"}})
	r.update(func(tx *resource.Tx) error {
		return api.Blueprints.Modify(tx, "both", func(b *api.Blueprint) error {
			b.Tasks, b.Params["p"], b.Meta["color"] = []string{"two"}, "new", "red"
			return nil
		})
	})
	assert.Equal(t, resource.Params{"q": "mine"}, r.order(id).Params)
	assert.Equal(t, "two", r.work("a", api.JobFailed))
	o := r.order(id)
	assert.Equal(t, resource.Params{"p": "new", "q": "mine"}, o.Params)
	assert.Equal(t, []string{"extra"}, o.Profiles)
	assert.Equal(t, "red", o.Meta["color"])

	var again *api.WorkOrder
	r.update(func(tx *resource.Tx) (err error) { again, err = Rerun(tx, r.now, id); return err })
	o = r.order(again.Uuid)
	assert.Equal(t, resource.Params{"q": "mine"}, o.Params)
	assert.Equal(t, []string{}, o.Profiles)
	assert.NotContains(t, o.Meta, "color")
	assert.Equal(t, "two", r.work("a", api.JobFinished))
	assert.Equal(t, api.OrderFinished, r.order(again.Uuid).State)
	err := r.try(func(tx *resource.Tx) error { _, err := Rerun(tx, r.now, r.on2(tx, "a")); return err })
	assert.ErrorContains(t, err, "the work order is created")
}

// on2 is on within a transaction.
func (r *rig) on2(tx *resource.Tx, name string) string {
	o := &api.WorkOrder{Blueprint: "both", Machine: r.machine(name).Uuid}
	assert.NoError(r, api.WorkOrders.Create(tx, o))
	return o.Uuid
}

func TestContextsTakeTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.create(&api.WorkOrder{Machine: r.machine("a").Uuid, Context: "box"})
	assert.Equal(t, "queued for the runner of context box for a: there is no such context; create it", r.order(id).Status)
	assert.Empty(t, r.work("a", api.JobFinished))
	j, err := r.next("a", "box")
	require.NoError(t, err)
	require.NotNil(t, j)
	assert.Equal(t, []string{id, "box"}, []string{j.WorkOrder, j.Context})
	r.on("a")
	other, err := r.next("a", "")
	require.NoError(t, err)
	assert.Nil(t, other, "one at a time")
}

func TestEnteringAndLeavingTheMode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mode := func(name string, on bool) error {
		return r.try(func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, r.machine(name).Uuid, func(m *api.Machine) error { m.WorkOrderMode = on; return nil })
		})
	}
	m := r.machine("a")
	assert.Equal(t, []any{[]string{}, -1, ""}, []any{m.Tasks, m.CurrentTask, m.CurrentJob})
	running := r.on("a")
	queuedID := r.on("a")
	_, err := r.next("a", "")
	require.NoError(t, err)
	require.NoError(t, mode("a", false))
	r.look(running)
	r.look(queuedID)
	assert.Equal(t, []any{api.OrderFailed, "a has left WorkOrder mode"}, []any{r.order(running).State, r.order(running).Status})
	assert.Equal(t, []any{api.OrderCreated, "a is not in WorkOrder mode"}, []any{r.order(queuedID).State, r.order(queuedID).Status})
	r.update(func(tx *resource.Tx) error {
		return errors.Join(api.Stages.Create(tx, &api.Stage{Name: "none"}), api.Stages.Create(tx, &api.Stage{Name: "s", Tasks: []string{"one"}}), api.Workflows.Create(tx, &api.Workflow{Name: "w", Stages: []string{"s"}}),
			api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Workflow = "w"; return nil }))
	})
	assert.ErrorContains(t, mode("a", true), "a: workflow w is not complete; WorkOrder mode begins after that")
	r.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Workflow = ""; return nil })
	})
	require.NoError(t, mode("a", true))
	assert.Equal(t, "one", r.work("a", api.JobFinished))
	assert.Equal(t, api.OrderRunning, r.order(queuedID).State)
}

func TestWhatUsersMayDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.on("a")
	assert.ErrorContains(t, r.setState(id, api.OrderRunning), "State cannot be set to running")
	remove := func(ctx resource.Options) error {
		return r.db.Update(resource.WithOptions(t.Context(), ctx), func(tx *resource.Tx) error { return api.WorkOrders.Delete(tx, id) })
	}
	assert.ErrorContains(t, remove(resource.Options{}), "cancel it first")
	j, err := r.next("a", "")
	require.NoError(t, err)
	assert.ErrorContains(t, r.setState(id, api.OrderFinished), "task one of the work order has not run")
	require.NoError(t, remove(resource.Options{Force: true}))
	j, err = api.Jobs.Get(r.db.View(), j.Uuid)
	require.NoError(t, err)
	assert.Equal(t, api.JobCancelled, j.State)
	assert.Equal(t, [2]int{0, 0}, r.counts("a"))
	bad := func(o *api.WorkOrder, want string) {
		t.Helper()
		o.Blueprint = "both"
		assert.ErrorContains(t, r.try(func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, o) }), want)
	}
	assert.Equal(t, r.machine("b").Uuid, r.order(r.create(&api.WorkOrder{Machine: "Name:b"})).Machine)
	bad(&api.WorkOrder{Filter: "nonsense"}, "nonsense")
	bad(&api.WorkOrder{Machine: "x", State: api.OrderFinished}, "State of a new work order")
	bad(&api.WorkOrder{}, "exactly one of Machine and Filter")
	bad(&api.WorkOrder{Machine: r.machine("a").Uuid, Filter: "Name=a"}, "exactly one of Machine and Filter")
}

// TestABadOrderHoldsUpNobody: one whose blueprint went away fails, and the
// next in the queue is taken in the same breath.
func TestABadOrderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bad := &api.WorkOrder{Blueprint: "gone", Machine: r.machine("a").Uuid}
	r.update(func(tx *resource.Tx) error { return api.WorkOrders.Create(tx, bad) })
	good := r.on("a")
	j, err := r.next("a", "")
	require.NoError(t, err)
	require.NotNil(t, j)
	assert.Equal(t, good, j.WorkOrder)
	assert.Equal(t, []any{api.OrderFailed, `blueprint "gone" does not exist`}, []any{r.order(bad.Uuid).State, r.order(bad.Uuid).Status})
}

func TestLockedMachinesAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lock := func(on bool) {
		r.update(func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, r.machine("a").Uuid, func(m *api.Machine) error { m.Locked = on; return nil })
		})
	}
	lock(true)
	id := r.on("a")
	assert.Equal(t, [2]int{1, 0}, r.counts("a"))
	require.NoError(t, r.setState(id, api.OrderCancelled))
	assert.Equal(t, [2]int{0, 0}, r.counts("a"))
}

func TestOldOrdersArePruned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.on("a")
	require.NoError(t, r.setState(id, api.OrderCancelled))
	ended := r.order(id).EndTime
	r.update(func(tx *resource.Tx) error {
		res, err := r.orders.drive(tx, ended.Add(23*time.Hour), id)
		assert.Equal(t, ended.Add(24*time.Hour), res.Until)
		return err
	})
	keep := func(v string) {
		r.update(func(tx *resource.Tx) error {
			return api.Profiles.Modify(tx, "global", func(p *api.Profile) error { p.Params[ParamKeep] = v; return nil })
		})
	}
	for _, v := range []string{"0", "soon"} {
		keep(v)
		r.update(func(tx *resource.Tx) error { _, err := r.orders.drive(tx, ended.Add(1e6*time.Hour), id); return err })
		assert.True(t, api.WorkOrders.Has(r.db.View(), id))
	}
	keep("24h")
	r.update(func(tx *resource.Tx) error { _, err := r.orders.drive(tx, ended.Add(24*time.Hour), id); return err })
	assert.False(t, api.WorkOrders.Has(r.db.View(), id))
}
