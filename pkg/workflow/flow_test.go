package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// rig is a machine in a server that only has the traces' workflow.
type rig struct {
	*testing.T
	db   *resource.DB
	flow *Flow
	id   string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	flow := &Flow{}
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Hooks: flow.Hooks()})
	require.NoError(t, err)
	r := &rig{T: t, db: db, flow: flow}
	r.update(func(tx *resource.Tx) error {
		var errs []error
		for _, env := range []string{"sledgehammer", "rocky-9-install", "local"} {
			errs = append(errs, api.BootEnvs.Create(tx, &api.BootEnv{Name: env}))
		}
		for _, task := range []string{"gohai", "ssh-access", "wipe", "set-host", "agent-install"} {
			errs = append(errs, api.Tasks.Create(tx, &api.Task{Name: task}))
		}
		for _, s := range []*api.Stage{
			{Name: "none"},
			{Name: "discover", BootEnv: "sledgehammer", Tasks: []string{"gohai", "ssh-access"}},
			{Name: "prep", Tasks: []string{"wipe"}},
			{Name: "os", BootEnv: "rocky-9-install", Tasks: []string{"set-host", "agent-install"}},
			{Name: "end", BootEnv: "local"},
		} {
			errs = append(errs, api.Stages.Create(tx, s))
		}
		m := &api.Machine{Name: "n1", BootEnv: "local"}
		errs = append(errs, api.Workflows.Create(tx, &api.Workflow{Name: "four", Stages: []string{"discover", "prep", "os", "end"}}),
			api.Machines.Create(tx, m))
		r.id = m.Uuid
		return errors.Join(errs...)
	})
	return r
}

func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.Update(r.Context(), fn))
}

func (r *rig) edit(fn func(m *api.Machine)) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { fn(m); return nil })
	})
}

func (r *rig) home(env string) {
	r.Helper()
	r.update(func(tx *resource.Tx) error { return Home(tx, r.id, env) })
}

func (r *rig) next() (n Next, err error) {
	err = r.db.Update(r.Context(), func(tx *resource.Tx) (err error) {
		n, err = r.flow.NextJob(tx, tx.Now(), r.id, "")
		return err
	})
	return n, err
}

// job asks for the next job, which must be a new one for that entry.
func (r *rig) job(index int, task string) *api.Job {
	r.Helper()
	n, err := r.next()
	require.NoError(r, err)
	require.NotNil(r, n.Job, n.Waiting)
	assert.False(r, n.Resumed)
	assert.Equal(r, fmt.Sprint(index, task, api.JobCreated), fmt.Sprint(n.Job.CurrentIndex, n.Job.Task, n.Job.State))
	return n.Job
}

func (r *rig) end(j *api.Job, states ...api.JobState) {
	r.Helper()
	for _, s := range states {
		r.update(func(tx *resource.Tx) error {
			return api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { j.State = s; return nil })
		})
	}
}

func (r *rig) done(index int, task string) {
	r.Helper()
	r.end(r.job(index, task), api.JobRunning, api.JobFinished)
}

// state is what the traces say of a machine.
func (r *rig) state() string {
	m, err := api.Machines.Get(r.db.View(), r.id)
	require.NoError(r, err)
	return fmt.Sprintf("at %d, stage %s, bootenv %s, runnable %t, complete %t", m.CurrentTask, m.Stage, m.BootEnv, m.Runnable, m.WorkflowComplete)
}

func (r *rig) begin() {
	r.Helper()
	r.edit(func(m *api.Machine) { m.Workflow = "four" })
	assert.Equal(r, "at -1, stage discover, bootenv sledgehammer, runnable false, complete false", r.state())
	_, err := r.next()
	assert.ErrorContains(r, err, "n1 has yet to boot into sledgehammer")
	r.home("sledgehammer")
}

// TestTraceOfAnInstallation differs from DRP at its end: the workflow is
// complete as soon as the last entry is passed. One that shall prove that the
// installed system runs ends with a task there.
func TestTraceOfAnInstallation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	m, err := api.Machines.Get(r.db.View(), r.id)
	require.NoError(t, err)
	assert.Equal(t, []string{"stage:discover", "bootenv:sledgehammer", "gohai", "ssh-access", "stage:prep", "wipe",
		"stage:os", "bootenv:rocky-9-install", "set-host", "agent-install", "stage:end", "bootenv:local"}, m.Tasks)

	r.done(2, "gohai")
	r.done(3, "ssh-access")
	r.job5(api.JobFinished)
	n, err := r.next()
	require.NoError(t, err)
	assert.Nil(t, n.Job)
	assert.Equal(t, "task set-host waits for the machine to boot into rocky-9-install", n.Waiting)
	assert.Equal(t, "at 8, stage os, bootenv rocky-9-install, runnable false, complete false", r.state())
	r.home("sledgehammer") // an agent of the old environment does not count
	assert.Equal(t, "at 8, stage os, bootenv rocky-9-install, runnable false, complete false", r.state())
	r.home("rocky-9-install")
	r.done(8, "set-host")
	r.done(9, "agent-install")
	n, err = r.next()
	require.NoError(t, err)
	assert.Nil(t, n.Job)
	assert.Equal(t, "at 12, stage end, bootenv local, runnable false, complete true", r.state())
	r.home("local")
	n, err = r.next()
	require.NoError(t, err)
	assert.Nil(t, n.Job)
	assert.Equal(t, "nothing to do", n.Waiting)
	assert.Equal(t, "at 12, stage end, bootenv local, runnable true, complete true", r.state())
}

// job5 runs the task of the second stage to some end.
func (r *rig) job5(end api.JobState) *api.Job {
	r.Helper()
	j := r.job(5, "wipe")
	assert.Equal(r, "prep", j.Stage, "entry 4 was the server's")
	r.end(j, api.JobRunning, end)
	return j
}

func TestTraceOfACrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	r.done(2, "gohai")
	r.done(3, "ssh-access")
	r.job5(api.JobFailed)
	assert.Equal(t, "at 5, stage prep, bootenv sledgehammer, runnable false, complete false", r.state())
	r.edit(func(m *api.Machine) { m.Runnable, m.CurrentTask = true, -1 })
	r.done(2, "gohai")
	r.done(3, "ssh-access")
	r.job5(api.JobFinished)
}

// TestResetStopsAtTheBootEnvironment never goes back over a boot.
func TestResetStopsAtTheBootEnvironment(t *testing.T) {
	t.Parallel()
	tasks := []string{"stage:a", "bootenv:x", "t1", "stage:b", "t2", "stage:c", "t0", "bootenv:y", "t3", "stage:d", "t4"}
	for from, want := range map[int]int{0: 0, 2: 0, 4: 0, 6: 0, 7: 5, 8: 5, 10: 5, 11: 5} {
		m := &api.Machine{Tasks: tasks, CurrentTask: -1, WorkflowComplete: true}
		r := newRig(t)
		r.update(func(tx *resource.Tx) error { return reset(tx, m, from) })
		assert.Equal(t, want, m.CurrentTask, "from %d", from)
		assert.False(t, m.WorkflowComplete)
	}
	r := newRig(t)
	r.begin()
	r.done(2, "gohai")
	j := r.job(3, "ssh-access")
	r.edit(func(m *api.Machine) { m.CurrentTask = -1 })
	was, err := api.Jobs.Get(r.db.View(), j.Uuid)
	require.NoError(t, err)
	assert.Equal(t, api.JobCancelled, was.State)
	assert.Equal(t, []string{"the task list was reset"}, was.ResultErrors)
	r.job(2, "gohai")
}

func TestTraceOfAFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	j := r.job(2, "gohai")
	r.end(j, api.JobRunning, api.JobFailed)
	assert.Equal(t, "at 2, stage discover, bootenv sledgehammer, runnable false, complete false", r.state())
	_, err := r.next()
	assert.Equal(t, resource.Conflict, resource.CodeOf(err))
	r.edit(func(m *api.Machine) { m.Runnable = true })
	again := r.job(2, "gohai")
	assert.NotEqual(t, j.Uuid, again.Uuid)
	assert.Equal(t, j.Uuid, again.Previous)
}

func TestTraceOfAnIncompleteTask(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	j := r.job(2, "gohai")
	r.end(j, api.JobRunning, api.JobIncomplete)
	n, err := r.next()
	require.NoError(t, err)
	assert.True(t, n.Resumed)
	assert.Equal(t, j.Uuid, n.Job.Uuid)
	r.end(j, api.JobRunning, api.JobFinished)
	r.job(3, "ssh-access")
}

func TestTraceOfConcurrentClaims(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	var wg sync.WaitGroup
	jobs := make([]*api.Job, 8)
	for i := range jobs {
		wg.Go(func() {
			n, err := r.next()
			if jobs[i] = n.Job; err != nil {
				assert.Equal(t, resource.Conflict, resource.CodeOf(err), "%v", err)
				jobs[i] = nil
			}
		})
	}
	wg.Wait()
	var won []*api.Job
	for _, j := range jobs {
		if j != nil {
			won = append(won, j)
		}
	}
	require.Len(t, won, 1)
	_, err := r.next()
	assert.ErrorContains(t, err, "task gohai of n1 is still created")
	r.end(won[0], api.JobRunning)
	_, err = r.next()
	assert.ErrorContains(t, err, "task gohai of n1 is still running")
	r.end(won[0], api.JobFinished)
	err = r.db.Update(context.Background(), func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, won[0].Uuid, func(j *api.Job) error { j.State = api.JobRunning; return nil })
	})
	assert.ErrorContains(t, err, "a finished job cannot become running")
}

func TestSilentAgentIsOverdue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	j := r.job(2, "gohai")
	r.end(j, api.JobRunning)
	drive := func(after time.Duration) (waiting string) {
		r.update(func(tx *resource.Tx) error {
			res, err := r.flow.drive(tx, tx.Now().Add(after), r.id)
			waiting = res.Waiting
			return err
		})
		return waiting
	}
	assert.Contains(t, drive(29*time.Minute), "task gohai runs on the agent since")
	assert.Contains(t, drive(31*time.Minute), "task gohai failed: overdue: no result within 30m0s")
	assert.Equal(t, "at 2, stage discover, bootenv sledgehammer, runnable false, complete false", r.state())
}
