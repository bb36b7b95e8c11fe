package restored_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
	"drpd/pkg/restored"
	"drpd/pkg/store/mem"
)

const machineID = "11111111-1111-4111-8111-111111111111"

// stage is a restored server with one machine.
type stage struct {
	*testing.T
	db *resource.DB
}

func newStage(t *testing.T, m *api.Machine) stage {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), restored.Adoptions, datadir.Servers)})
	require.NoError(t, err)
	s := stage{t, db}
	m.Name, m.Uuid = "n1", machineID
	s.do(func(tx *resource.Tx) error {
		require.NoError(t, api.Blueprints.Create(tx, &api.Blueprint{Name: "b"}))
		return api.Machines.Create(tx, m)
	})
	return s
}

func (s stage) do(fn func(tx *resource.Tx) error) {
	s.Helper()
	require.NoError(s, s.db.Update(s.Context(), fn))
}

// takeOver activates the server, twice: doing it again changes nothing.
func (s stage) takeOver() (m *api.Machine, a *restored.Adoption) {
	s.Helper()
	for range 2 {
		s.do(func(tx *resource.Tx) error { return restored.Machine(tx, machineID, restored.HoldDestroy) })
	}
	m, err := api.Machines.Get(s.db.View(), machineID)
	require.NoError(s, err)
	a, err = restored.Adoptions.Get(s.db.View(), machineID)
	require.NoError(s, err)
	return m, a
}

// TestWhatNobodyHasIsHeld: also what was on its way to be Free, or held already
// with its power off: who has it now is not known.
func TestWhatNobodyHasIsHeld(t *testing.T) {
	t.Parallel()
	for _, was := range []api.PoolStatus{api.Free, api.Joining, api.HoldJoin, api.Destroying, api.HoldDestroy, api.Leaving, api.HoldLeave, "Another"} {
		in := &api.Machine{PoolStatus: was, Uses: 3, Owner: "", Unwiped: &api.Unwiped{Owner: "a cluster"}, Fence: &api.Fence{Off: true}}
		m, a := newStage(t, in).takeOver()
		assert.Equal(t, api.HoldDestroy, m.PoolStatus, was)
		assert.Equal(t, 4, m.Uses, "what was proven before counts no more: %s", was)
		assert.Equal(t, "a cluster", m.Unwiped.Owner, "whose data it holds is not forgotten: %s", was)
		assert.True(t, m.Fence.Spared, "its power is left as it is: %s", was)
		assert.False(t, m.Fence.Off, "and is not known: %s", was)
		assert.False(t, m.Runnable, was)
		assert.Contains(t, a.Held, "it must be proven blank again", was)
	}
	m, _ := newStage(t, &api.Machine{PoolStatus: api.Free}).takeOver()
	assert.NotNil(t, m.Unwiped)
	for _, is := range []api.PoolStatus{api.InUse, api.Building, api.HoldBuild} {
		m, a := newStage(t, &api.Machine{PoolStatus: is, Uses: 3}).takeOver()
		assert.Equal(t, is, m.PoolStatus)
		assert.Equal(t, 3, m.Uses)
		assert.Empty(t, a.Held)
	}
}

// TestNothingGoesOn: what the backup has under way is set aside.
func TestNothingGoesOn(t *testing.T) {
	t.Parallel()
	s := newStage(t, &api.Machine{PoolStatus: api.InUse, Runnable: true, Workflow: "w", Tasks: []string{"a", "b"}, CurrentTask: 1,
		Boot: &api.BootState{Intent: "i", Env: "discovery"}})
	s.do(func(tx *resource.Tx) error {
		require.NoError(t, api.BMCActions.Create(tx, &api.BMCAction{Machine: machineID, Want: api.BMCBootPXE, State: "working"}))
		return api.WorkOrders.Create(tx, &api.WorkOrder{Machine: machineID, Blueprint: "b"})
	})
	m, a := s.takeOver()
	assert.False(t, m.Runnable)
	assert.Equal(t, restored.Reason, m.Boot.Error)
	j, err := api.Jobs.Get(s.db.View(), m.CurrentJob)
	require.NoError(t, err)
	assert.Equal(t, api.JobFailed, j.State)
	assert.Equal(t, "b", j.Task, "it stands where it stood")
	assert.Len(t, a.Aside, 4)
	for b := range api.BMCActions.All(s.db.View()) {
		assert.Equal(t, "cancelled", b.State)
	}
	for o := range api.WorkOrders.All(s.db.View()) {
		assert.Equal(t, api.OrderCancelled, o.State)
	}
}

// TestMachinesAreWhatTheySay: one that has reported is at home there; another is
// told nothing until it does.
func TestMachinesAreWhatTheySay(t *testing.T) {
	t.Parallel()
	s := newStage(t, &api.Machine{PoolStatus: api.InUse, BootEnv: "discovery", Boot: &api.BootState{Intent: "i", Env: "discovery"}})
	s.do(func(tx *resource.Tx) error {
		m, err := api.Machines.Get(tx, machineID)
		require.NoError(t, err)
		return restored.Note(tx, m, "", restored.Report{Env: "local", Address: "10.0.0.9", At: time.Unix(1, 0)})
	})
	m, a := s.takeOver()
	assert.Equal(t, "local", m.BootEnv)
	assert.Equal(t, api.BootState{Env: "local", Home: true, Since: m.Boot.Since}, *m.Boot, "it is booted into nothing")
	assert.False(t, a.Pending)
	assert.Equal(t, "has discovery in the backup and runs local", a.Differs())

	s = newStage(t, &api.Machine{PoolStatus: api.InUse, BootEnv: "discovery"})
	_, a = s.takeOver()
	assert.True(t, a.Pending)
	assert.True(t, restored.Pending(s.db.View(), machineID))
	s.do(func(tx *resource.Tx) error {
		m, err := api.Machines.Get(tx, machineID)
		require.NoError(t, err)
		fresh, err := restored.Reported(tx, m, restored.Report{Env: "local"})
		assert.True(t, fresh)
		return err
	})
	assert.False(t, restored.Pending(s.db.View(), machineID))
}
