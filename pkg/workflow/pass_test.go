package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestPassFinished moves the cursor in the update that finishes its job, and
// for no other.
func TestPassFinished(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state  api.JobState
		change func(m *api.Machine, j *api.Job)
		want   int
	}{
		"its job is finished":  {api.JobFinished, nil, 3},
		"nothing ran before":   {api.JobFinished, func(m *api.Machine, j *api.Job) { m.CurrentTask, j.CurrentIndex = -1, 0 }, 1},
		"it is the last":       {api.JobFinished, func(m *api.Machine, j *api.Job) { m.CurrentTask, j.CurrentIndex = 11, 11 }, 12},
		"it still runs":        {api.JobRunning, nil, 2},
		"it failed":            {api.JobFailed, nil, 2},
		"it is incomplete":     {api.JobIncomplete, nil, 2},
		"another one is":       {api.JobFinished, func(m *api.Machine, _ *api.Job) { m.CurrentJob = "another" }, 2},
		"the list was reset":   {api.JobFinished, func(m *api.Machine, _ *api.Job) { m.PastJob = true }, 2},
		"the cursor has moved": {api.JobFinished, func(m *api.Machine, _ *api.Job) { m.CurrentTask = 5 }, 5},
		"in WorkOrder mode":    {api.JobFinished, func(m *api.Machine, _ *api.Job) { m.WorkOrderMode = true }, 2},
		"its machine is gone":  {api.JobFinished, func(_ *api.Machine, j *api.Job) { j.Machine = "nobody" }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.begin()
			r.update(func(tx *resource.Tx) error {
				m, err := api.Machines.Get(tx, r.id)
				require.NoError(t, err)
				j := &api.Job{Uuid: "5f0e2d0e-0000-4000-8000-000000000001", Machine: r.id, State: tc.state, CurrentIndex: 2}
				now := *m
				now.CurrentTask, now.CurrentJob, now.RetryTaskAttempt, now.Moving = 2, j.Uuid, 4, true
				if tc.change != nil {
					tc.change(&now, j)
				}
				require.NoError(t, api.Jobs.Create(tx, j))
				require.NoError(t, api.Machines.Modify(tx, r.id, func(m *api.Machine) error { *m = now; return nil }))
				for range 2 { // the second time it is past
					require.NoError(t, passFinished(tx, j.Uuid))
				}
				return passFinished(tx, "5f0e2d0e-0000-4000-8000-000000000002")
			})
			m := r.machine()
			assert.Equal(t, tc.want, m.CurrentTask)
			assert.False(t, m.WorkflowComplete, "that is for the rule to say")
			assert.Equal(t, name == "its job is finished" || name == "nothing ran before" || name == "it is the last", m.RetryTaskAttempt == 0)
		})
	}
}

// TestAFinishedJobMovesItsMachineAtOnce in one update, of a cluster too, and
// tells a follower once.
func TestAFinishedJobMovesItsMachineAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.begin()
	j := r.job(2, "gohai")
	r.end(j, api.JobRunning)
	from := r.db.Seq()
	r.end(j, api.JobFinished)
	assert.Equal(t, "at 3, stage discover, bootenv sledgehammer, runnable true, complete false", r.state())
	assert.Equal(t, from+2, r.db.Seq(), "job and machine, each once")
	assert.Equal(t, j.Uuid, r.machine().CurrentJob, "until there is a next one")

	c := &api.Machine{Name: "c"}
	r.update(func(tx *resource.Tx) error {
		require.NoError(t, api.Workflows.Create(tx, &api.Workflow{Name: "prep", Stages: []string{"prep"}}))
		c.Workflow = "prep"
		return api.Clusters.Create(tx, c)
	})
	r.update(func(tx *resource.Tx) error {
		n, err := r.flow.NextJob(tx, tx.Now(), c.Uuid, DefaultContext)
		j = n.Job
		return err
	})
	require.NotNil(t, j)
	r.end(j, api.JobRunning, api.JobFinished)
	got, err := api.Clusters.Get(r.db.View(), c.Uuid)
	require.NoError(t, err)
	assert.Equal(t, 2, got.CurrentTask)
}
