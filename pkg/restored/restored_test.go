package restored

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
	"drpd/pkg/trigger"
	"drpd/pkg/workflow"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// rig is a server as a restore leaves it, with machine "m".
type rig struct {
	*testing.T
	db    *resource.DB
	store *mem.Store
	id    string
}

func newRig(t *testing.T, edit func(m *api.Machine)) *rig {
	t.Helper()
	r := &rig{T: t, store: mem.New(mem.Config{})}
	r.open()
	r.update(func(tx *resource.Tx) error {
		m := &api.Machine{Name: "m", BootEnv: "local", HardwareAddrs: []string{"52:54:00:00:00:01"}}
		edit(m)
		errs := []error{
			datadir.Servers.Create(tx, &datadir.Server{Id: "x"}),
			api.Tasks.Create(tx, &api.Task{Name: "a"}), api.Tasks.Create(tx, &api.Task{Name: "b"}),
			api.Stages.Create(tx, &api.Stage{Name: "s", Tasks: []string{"a", "b"}}),
			api.Workflows.Create(tx, &api.Workflow{Name: "w", Stages: []string{"s"}}),
			api.Blueprints.Create(tx, &api.Blueprint{Name: "do", Tasks: []string{"a"}}),
			api.Machines.Create(tx, m),
		}
		r.id = m.Uuid
		return errors.Join(errs...)
	})
	r.restore(now)
	return r
}

func (r *rig) open() {
	r.Helper()
	kinds := append(api.Kinds(), trigger.Firings, datadir.Servers, Adoptions)
	db, err := resource.Open(r.Context(), resource.Config{Store: r.store, Kinds: kinds, Hooks: (&workflow.Flow{}).Hooks(), Now: func() time.Time { return now }})
	require.NoError(r, err)
	r.db = db
}

// restore has the server restored at a time; activate ends that.
func (r *rig) restore(at time.Time) {
	r.Helper()
	r.self(&datadir.Restored{At: at})
}

func (r *rig) self(to *datadir.Restored) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error { s.Restored = to; return nil })
	})
}

// takeOver is what an activation does; killed says that it does not come to its end.
func (r *rig) takeOver(killed bool) (lines []string) {
	r.Helper()
	r.update(Forget)
	r.update(func(tx *resource.Tx) error { return Machine(tx, r.id, HoldDestroy) })
	r.update(func(tx *resource.Tx) (err error) {
		for _, k := range api.MachineLike() {
			for m := range k.All(tx) {
				if k != api.Machines {
					did, err := Group(tx, k, m.Uuid)
					lines = append(lines, did...)
					if err != nil {
						return err
					}
				}
			}
		}
		did, err := Rest(tx)
		lines = append(lines, did...)
		return err
	})
	if killed {
		r.open()
		return lines
	}
	r.self(nil)
	return lines
}

func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.Update(r.Context(), fn))
}

func (r *rig) note(env string) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return Note(tx, r.machine(), "", Report{Env: env, Address: "192.0.2.1", At: now})
	})
}

func (r *rig) machine() *api.Machine {
	r.Helper()
	m, err := api.Machines.Get(r.db.View(), r.id)
	require.NoError(r, err)
	return m
}

func (r *rig) adoption() Adoption {
	r.Helper()
	a := Of(r.db.View(), r.id)
	require.NotNil(r, a)
	return *a
}

// underWay gives the machine everything that a backup can catch half done.
func (r *rig) underWay() {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		errs := []error{
			api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Workflow, m.Runnable = "w", true; return nil }),
			api.Machines.Create(tx, &api.Machine{Name: "other", Uuid: "00000000-0000-0000-0000-0000000000aa", WorkOrderMode: true}),
			api.BMCActions.Create(tx, &api.BMCAction{Machine: r.id, Want: api.BMCOff, State: "working"}),
			api.BMCActions.Create(tx, &api.BMCAction{Machine: r.id, Want: api.BMCOn, State: "done"}),
			api.WorkOrders.Create(tx, &api.WorkOrder{Uuid: "00000000-0000-0000-0000-000000000001", Machine: r.id, Blueprint: "do"}),
			api.WorkOrders.Create(tx, &api.WorkOrder{Uuid: "00000000-0000-0000-0000-000000000002", Machine: "00000000-0000-0000-0000-0000000000aa", Blueprint: "do"}),
			api.Clusters.Create(tx, &api.Machine{Name: "c", Uuid: "00000000-0000-0000-0000-0000000000cc"}),
			api.Clusters.Modify(tx, "00000000-0000-0000-0000-0000000000cc", func(m *api.Machine) error { m.Workflow, m.Runnable = "w", true; return nil }),
			api.Batches.Create(tx, &api.Batch{Id: "00000000-0000-0000-0000-000000000003", WorkOrderTemplate: &api.WorkOrderTemplate{Blueprint: "do", Machine: r.id}}),
			api.Callbacks.Create(tx, &api.Callback{Job: "00000000-0000-0000-0000-000000000004", Machine: r.id, Action: "x"}),
			api.PluginCalls.Create(tx, &api.PluginCall{Job: "00000000-0000-0000-0000-000000000005", Machine: r.id}),
			trigger.Firings.Create(tx, &trigger.Firing{Trigger: "t", From: now.Add(-48 * time.Hour)}),
		}
		return errors.Join(errs...)
	})
}

// Nothing that the backup has half done goes on, and each is named.
func TestWhatIsUnderWayIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(*api.Machine) {})
	r.underWay()
	r.note("local")
	lines := r.takeOver(false)
	assert.Equal(t, []string{
		"c: workflow w at stage:s",
		"work order 00000000-0000-0000-0000-000000000002 (do)",
		"batch 00000000-0000-0000-0000-000000000003",
		"callback of job 00000000-0000-0000-0000-000000000004",
		"plugin call of job 00000000-0000-0000-0000-000000000005",
	}, lines)
	assert.Equal(t, []string{"BMC: poweroff", "work order 00000000-0000-0000-0000-000000000001 (do)", "workflow w at stage:s"}, r.adoption().Aside)
	v := r.db.View()
	for a := range api.BMCActions.All(v) {
		assert.True(t, a.Over(), a.Want)
		if a.Want == api.BMCOff {
			assert.Equal(t, Reason, a.Error)
			assert.Equal(t, "cancelled", a.State)
		}
	}
	for o := range api.WorkOrders.All(v) {
		assert.Equal(t, api.OrderCancelled, o.State, o.Uuid)
	}
	for b := range api.Batches.All(v) {
		assert.Equal(t, api.BatchCancelled, b.State)
	}
	for c := range api.Callbacks.All(v) {
		assert.True(t, c.Over())
	}
	for c := range api.PluginCalls.All(v) {
		assert.True(t, c.Over())
	}
	f, err := trigger.Firings.Get(v, "t")
	require.NoError(t, err)
	assert.Equal(t, now, f.From, "what was due since the backup does not fire")
	c, err := api.Clusters.Get(v, "00000000-0000-0000-0000-0000000000cc")
	require.NoError(t, err)
	for _, m := range []*api.Machine{r.machine(), c} {
		assert.False(t, m.Runnable, m.Name)
		j, err := api.Jobs.Get(v, m.CurrentJob)
		require.NoError(t, err)
		assert.Equal(t, api.JobFailed, j.State)
		assert.Equal(t, []string{Reason}, j.ResultErrors)
	}
}

// What a machine becomes, by what the backup says of it and what it says itself.
func TestMachine(t *testing.T) {
	t.Parallel()
	booting := &api.BootState{Intent: "i", Env: "discovery"}
	for what, c := range map[string]struct {
		edit    func(m *api.Machine)
		report  string // "" none
		env     string
		status  api.PoolStatus
		boot    *api.BootState // but for its intent
		pending bool
		held    bool
		differs string
	}{
		"in use, reports what it is": {func(m *api.Machine) { m.PoolStatus = api.InUse }, "local", "local", api.InUse,
			&api.BootState{Env: "local", Since: now, Home: true}, false, false, ""},
		"in use, not heard of": {func(m *api.Machine) { m.PoolStatus = api.InUse }, "", "local", api.InUse,
			nil, true, false, "has local in the backup and was not heard of"},
		"in use, was being installed, runs its disk": {func(m *api.Machine) { m.PoolStatus, m.BootEnv, m.Boot = api.InUse, "discovery", booting }, "local", "local", api.InUse,
			&api.BootState{Env: "local", Since: now, Home: true}, false, false, "has discovery in the backup and runs local"},
		"was being booted, not heard of": {func(m *api.Machine) { m.PoolStatus, m.BootEnv, m.Boot = api.InUse, "discovery", booting }, "", "discovery", api.InUse,
			&api.BootState{Env: "discovery", Since: now, Error: Reason}, true, false, "has discovery in the backup and was not heard of"},
		"Free, not heard of": {func(m *api.Machine) { m.PoolStatus = api.Free }, "", "local", api.HoldDestroy,
			nil, true, true, "has local in the backup and was not heard of"},
		"Free, and somebody runs it": {func(m *api.Machine) { m.PoolStatus, m.BootEnv = api.Free, "discovery" }, "local", "local", api.HoldDestroy,
			nil, false, true, "has discovery in the backup and runs local"},
		"held before": {func(m *api.Machine) { m.PoolStatus = api.HoldDestroy }, "local", "local", api.HoldDestroy,
			nil, false, true, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(*api.Machine) {})
			r.update(func(tx *resource.Tx) error {
				return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { c.edit(m); m.Moving = true; return nil })
			})
			uses := r.machine().Uses
			if c.report != "" {
				r.note(c.report)
			}
			check := func(when string) {
				t.Helper()
				m, a := r.machine(), r.adoption()
				assert.Equal(t, c.env, m.BootEnv, when)
				assert.Equal(t, c.status, m.PoolStatus, when)
				assert.Equal(t, c.pending, a.Pending, when)
				assert.Equal(t, c.held, a.Held != "", when)
				assert.Equal(t, c.held, Held(r.db.View(), m), when)
				assert.Equal(t, c.differs, a.Differs(), when)
				if c.held {
					assert.True(t, m.Fence.Spared, "%s: nobody switches off what may serve somebody", when)
					assert.Equal(t, uses+1, m.Uses, "%s: what was proven before counts no more", when)
					assert.NotNil(t, m.Unwiped, when)
					assert.False(t, m.Boot.Home, when)
					assert.NotEmpty(t, m.Boot.Error, "%s: it is not booted", when)
				} else if c.boot != nil {
					is := *m.Boot
					is.Intent, is.Since, is.Tries = "", now, 0
					assert.Equal(t, *c.boot, is, when)
				}
			}
			r.takeOver(true)
			check("killed before the end")
			before := r.machine()
			r.takeOver(false)
			check("a second time")
			assert.Equal(t, before, r.machine(), "a second takeover changes nothing")
		})
	}
}

// Whom the takeover did not hear of is adopted when it reports, before or after
// the second try.
func TestReportsThatComeLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(m *api.Machine) { m.BootEnv, m.PoolStatus = "discovery", api.InUse })
	r.takeOver(true)
	require.True(t, Pending(r.db.View(), r.id))
	r.note("local")
	assert.True(t, Pending(r.db.View(), r.id), "it is noted; nothing is done before the next try")
	r.takeOver(false)
	assert.False(t, Pending(r.db.View(), r.id))
	assert.Equal(t, "local", r.machine().BootEnv)
	assert.True(t, r.machine().Boot.Home)

	r = newRig(t, func(m *api.Machine) { m.BootEnv, m.PoolStatus = "discovery", api.InUse })
	r.takeOver(false)
	for _, want := range []bool{true, false} {
		r.update(func(tx *resource.Tx) error {
			was, err := Reported(tx, r.machine(), Report{Env: "local", At: now})
			assert.Equal(t, want, was)
			return err
		})
	}
	assert.Equal(t, "local", r.machine().BootEnv)
	assert.False(t, Pending(r.db.View(), r.id))
}

// A server that was restored once and is restored again from a later backup takes
// nothing of the first time for done.
func TestASecondRestore(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(m *api.Machine) { m.PoolStatus = api.Free })
	r.update(func(tx *resource.Tx) error { return Note(tx, nil, "52:54:00:00:00:99", Report{Env: "local", At: now}) })
	r.takeOver(false)
	require.True(t, r.adoption().Pending)
	assert.Len(t, All(r.db.View()), 2, "the unknown one is listed")
	r.update(func(tx *resource.Tx) error { // it was proven blank meanwhile
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error {
			m.PoolStatus, m.PoolHoldReason, m.Fence, m.Unwiped = api.Free, "", nil, nil
			return nil
		})
	})
	assert.False(t, Held(r.db.View(), r.machine()))
	r.underWay()
	r.restore(now.Add(time.Hour))
	assert.Empty(t, All(r.db.View()), "what was said then says nothing now")
	assert.False(t, Pending(r.db.View(), r.id))
	r.note("discovery")
	r.takeOver(false)
	assert.Equal(t, api.HoldDestroy, r.machine().PoolStatus)
	assert.False(t, r.adoption().Pending)
	assert.Contains(t, r.adoption().Aside, "BMC: poweroff")
	assert.Len(t, All(r.db.View()), 1)
}

// A cluster that was set aside once, and was let go on since, is set aside again.
func TestAGroupASecondTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(*api.Machine) {})
	r.underWay()
	r.takeOver(true)
	assert.Empty(t, r.takeOver(false), "done before")
	id := "00000000-0000-0000-0000-0000000000cc"
	r.update(func(tx *resource.Tx) error {
		return api.Clusters.Modify(tx, id, func(m *api.Machine) error { m.Runnable = true; return nil })
	})
	r.restore(now.Add(time.Hour))
	assert.Equal(t, []string{"c: workflow w at stage:s"}, r.takeOver(false))
	c, err := api.Clusters.Get(r.db.View(), id)
	require.NoError(t, err)
	assert.False(t, c.Runnable)
}
