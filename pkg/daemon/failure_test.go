package daemon

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
)

// member is a machine in use, at home, with a workflow of one agent task.
type member struct {
	*testing.T
	core *Core
	id   string
}

func newMember(t *testing.T) *member {
	t.Helper()
	core, err := NewCore(t.Context(), CoreConfig{Store: mem.New(mem.Config{}), Vault: param.NewVault(seal.NewMaster(seal.Key{1})), Match: match})
	require.NoError(t, err)
	x := &member{T: t, core: core}
	x.update(func(tx *resource.Tx) error {
		for _, name := range []string{"patch", "mend"} {
			require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: name}))
		}
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "patching", Tasks: []string{"patch"}}))
		require.NoError(t, api.Workflows.Create(tx, &api.Workflow{Name: "patching", Stages: []string{"patching"}}))
		require.NoError(t, api.Blueprints.Create(tx, &api.Blueprint{Name: "patching", Tasks: []string{"patch"}}))
		c := &api.Machine{Name: "c"}
		require.NoError(t, api.Clusters.Create(tx, c))
		m := &api.Machine{Name: "n1", Workflow: "patching", BootEnv: "local", Boot: &api.BootState{Env: "local", Home: true}}
		require.NoError(t, api.Machines.Create(tx, m))
		x.id = m.Uuid
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
			m.PoolStatus, m.PoolAllocated, m.Owner = api.InUse, true, c.Uuid
			return nil
		})
	})
	return x
}

func (x *member) update(fn func(tx *resource.Tx) error) {
	x.Helper()
	require.NoError(x, x.core.DB.Update(x.Context(), fn))
}

func (x *member) edit(change func(m *api.Machine)) {
	x.Helper()
	x.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, x.id, func(m *api.Machine) error { change(m); return nil })
	})
}

// does asks for the next job as the machine's agent and ends it.
func (x *member) does(end api.JobState, causes ...string) *api.Job {
	x.Helper()
	var out *api.Job
	x.update(func(tx *resource.Tx) error {
		n, err := x.core.Flow.NextJob(tx, tx.Now(), x.id, "")
		require.NoError(x, err)
		require.NotNil(x, n.Job, n.Waiting)
		out = n.Job
		return api.Jobs.Modify(tx, n.Job.Uuid, func(j *api.Job) error { return j.Move(api.JobRunning, tx.Now()) })
	})
	for range 2 { // an agent may report twice
		x.update(func(tx *resource.Tx) error {
			return api.Jobs.Modify(tx, out.Uuid, func(j *api.Job) error {
				j.State, j.ResultErrors = end, causes
				return nil
			})
		})
	}
	return out
}

// alerts counts those of jobs and finds the one that is not acknowledged.
func (x *member) alerts() (open *api.Alert, all int) {
	for range api.Alerts.By(x.core.DB.View(), api.ByName, "jobs of machine n1") {
		all++
	}
	return alert.Open(x.core.DB.View(), "jobs of machine n1"), all
}

func TestFailureOfAMachineInUseIsAnAlert(t *testing.T) {
	t.Parallel()
	x := newMember(t)
	j := x.does(api.JobFailed, "no space")
	open, all := x.alerts()
	require.NotNil(t, open)
	assert.Equal(t, 1, all)
	assert.Equal(t, 1, open.Count)
	assert.Equal(t, api.AlertError, open.Level)
	assert.Equal(t, "n1, in use from pool default by cluster c: task patch failed (drpcli jobs log "+j.Uuid+"): no space", open.Contents)

	x.edit(func(m *api.Machine) { m.Runnable = true })
	x.does(api.JobFailed, "still none")
	open, all = x.alerts()
	assert.Equal(t, []int{1, 2}, []int{all, open.Count}, "the same alert, twice")
	assert.Contains(t, open.Contents, "still none")

	first := open.Uuid
	x.update(func(tx *resource.Tx) error { return alert.Acknowledge(tx, tx.Now(), first, "anna") })
	x.edit(func(m *api.Machine) { m.Runnable = true })
	x.does(api.JobFailed)
	open, all = x.alerts()
	assert.Equal(t, []int{2, 1}, []int{all, open.Count}, "acknowledged, and then again")

	x.edit(func(m *api.Machine) { m.Runnable = true })
	x.does(api.JobFinished)
	open, all = x.alerts()
	assert.Equal(t, 2, all)
	assert.Equal(t, api.AlertInfo, open.Level)
	assert.Contains(t, open.Contents, "; task patch is finished since ")
	seen, err := api.Alerts.Get(x.core.DB.View(), first)
	require.NoError(t, err)
	assert.Equal(t, api.AlertError, seen.Level, "an acknowledged one stays as it was")
	assert.Equal(t, 2, seen.Count)
}

func TestFailedOrderOfAMachineInUseIsAnAlert(t *testing.T) {
	t.Parallel()
	x := newMember(t)
	x.does(api.JobFinished)
	order := func() {
		x.update(func(tx *resource.Tx) error {
			return api.WorkOrders.Create(tx, &api.WorkOrder{Blueprint: "patching", Machine: x.id})
		})
	}
	x.update(func(tx *resource.Tx) error { _, err := x.core.Flow.Rules()[0].Step(tx, tx.Now(), x.id); return err })
	x.edit(func(m *api.Machine) { m.WorkOrderMode = true })
	order()
	j := x.does(api.JobFailed, "no space")
	open, _ := x.alerts()
	require.NotNil(t, open)
	assert.Contains(t, open.Contents, "work order "+j.WorkOrder+": task patch failed")
	x.update(func(tx *resource.Tx) error { // which ends the order
		n, err := x.core.Flow.NextJob(tx, tx.Now(), x.id, "")
		assert.Nil(t, n.Job)
		return err
	})
	order()
	x.does(api.JobFinished)
	open, _ = x.alerts()
	assert.Equal(t, api.AlertInfo, open.Level, "another order did it")
}

func TestFailuresThatAreNoAlerts(t *testing.T) {
	t.Parallel()
	x := newMember(t)
	x.edit(func(m *api.Machine) { m.PoolStatus = api.Building })
	x.does(api.JobFailed)
	_, all := x.alerts()
	assert.Equal(t, 0, all, "the pool holds it")

	x = newMember(t)
	x.edit(func(m *api.Machine) {
		m.Params = resource.Params{"task-error-handlers": map[string]any{"patch": []any{"mend"}}}
	})
	x.does(api.JobFailed)
	x.does(api.JobFailed)
	open, _ := x.alerts()
	require.NotNil(t, open)
	assert.Equal(t, 1, open.Count, "the failed handler is no failure of its own")
	x.edit(func(m *api.Machine) { m.Workflow = "" })
	open, _ = x.alerts()
	assert.Equal(t, api.AlertInfo, open.Level)
	assert.Contains(t, open.Contents, "is complete since")
}
