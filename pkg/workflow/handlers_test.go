package workflow

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// handling is a rig whose wipe is handled by a list of tasks.
func handling(t *testing.T, list ...string) *rig {
	t.Helper()
	r := newRig(t)
	r.flow.Handlers = func(_ resource.Reader, _ *api.Machine, task string) ([]string, error) {
		if task != "wipe" {
			return nil, nil
		}
		if list[0] == "bad" {
			return nil, errors.New("no list")
		}
		return list, nil
	}
	r.begin()
	r.done(2, "gohai")
	r.done(3, "ssh-access")
	return r
}

func (r *rig) machine() *api.Machine {
	r.Helper()
	m, err := api.Machines.Get(r.db.View(), r.id)
	require.NoError(r, err)
	return m
}

func (r *rig) jobOf(id string) *api.Job {
	r.Helper()
	j, err := api.Jobs.Get(r.db.View(), id)
	require.NoError(r, err)
	return j
}

// drives moves the machine by the server's rule and says why it waits.
func (r *rig) drives() (waiting string) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		res, err := r.flow.drive(tx, tx.Now(), r.id)
		waiting = res.Waiting
		return err
	})
	return waiting
}

const atWipe = "at 5, stage prep, bootenv sledgehammer, runnable false, complete false"

func TestFailureIsHandled(t *testing.T) {
	t.Parallel()
	r := handling(t, "gohai", "set-host")
	before := r.machine().Tasks
	bad := r.job(5, "wipe")
	r.end(bad, api.JobRunning)
	r.edit(func(m *api.Machine) { m.Runnable = false }) // as an agent does
	r.end(bad, api.JobFailed)
	m := r.machine()
	assert.Equal(t, []api.TaskStack{{CurrentTask: 5, TaskList: before, Job: bad.Uuid}}, m.TaskErrorStacks)
	assert.Equal(t, []string{"gohai", "set-host"}, m.Tasks)
	assert.Equal(t, "at 0, stage prep, bootenv sledgehammer, runnable true, complete false", r.state())
	assert.Contains(t, r.drives(), "task wipe failed, which is being handled: task gohai waits for the machine's agent")

	first := r.job(0, "gohai")
	assert.Equal(t, bad.Uuid, first.Previous)
	r.end(first, api.JobRunning, api.JobFinished)
	r.done(1, "set-host")
	r.drives()
	assert.Equal(t, atWipe, r.state())
	m = r.machine()
	assert.Equal(t, before, m.Tasks)
	assert.Empty(t, m.TaskErrorStacks)
	assert.Equal(t, bad.Uuid, m.CurrentJob)
	assert.True(t, r.jobOf(bad.Uuid).Current)
	assert.Contains(t, r.drives(), "task wipe failed")
	_, err := r.next()
	assert.Equal(t, resource.Conflict, resource.CodeOf(err), "it waits for repair")

	r.edit(func(m *api.Machine) { m.Runnable = true })
	again := r.job(5, "wipe")
	assert.Equal(t, bad.Uuid, again.Previous)
	assert.Equal(t, 1, r.machine().RetryTaskAttempt)
	r.end(again, api.JobRunning, api.JobFinished)
	assert.Len(t, r.machine().Tasks, len(before))
}

func TestFailedHandlerEndsTheHandling(t *testing.T) {
	t.Parallel()
	r := handling(t, "wipe", "gohai") // wipe itself is in its list: depth 1
	bad := r.job(5, "wipe")
	r.end(bad, api.JobRunning, api.JobFailed)
	worse := r.job(0, "wipe")
	r.end(worse, api.JobRunning, api.JobFailed)
	assert.Equal(t, atWipe, r.state())
	assert.Equal(t, bad.Uuid, r.machine().CurrentJob)
	assert.False(t, r.jobOf(worse.Uuid).Current)
	assert.Equal(t, []string{"task wipe, which handles the failure, failed too (drpcli jobs log " + worse.Uuid + ")"}, r.jobOf(bad.Uuid).ResultErrors)
}

func TestHandlersThatCannotRun(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"bad":           "its failure cannot be handled: no list",
		"nonesuch":      "does not exist",
		"bootenv:local": "its failure cannot be handled: bootenv:local: only tasks and actions may handle a failure",
	} {
		r := handling(t, entry)
		bad := r.job(5, "wipe")
		r.end(bad, api.JobRunning, api.JobFailed)
		assert.Equal(t, atWipe, r.state(), entry)
		require.Len(t, r.jobOf(bad.Uuid).ResultErrors, 1)
		assert.Contains(t, r.jobOf(bad.Uuid).ResultErrors[0], want)
	}
}

func TestHandlingGivesWay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit func(m *api.Machine)
		want string
	}{
		"an agent that starts anew": {func(m *api.Machine) { m.CurrentTask = -1 }, "at 2, stage discover, bootenv sledgehammer, runnable true, complete false"},
		"another workflow":          {func(m *api.Machine) { m.Workflow = "" }, "at 0, stage none, bootenv sledgehammer, runnable true, complete true"},
		"nothing left to handle":    {func(m *api.Machine) { m.Tasks = nil }, atWipe},
	} {
		r := handling(t, "gohai", "set-host")
		r.end(r.job(5, "wipe"), api.JobRunning, api.JobFailed)
		r.edit(tc.edit)
		r.drives()
		assert.Equal(t, tc.want, r.state(), name)
		assert.Empty(t, r.machine().TaskErrorStacks, name)
	}
}

func TestHandlersOfTheServerRunAtOnce(t *testing.T) {
	t.Parallel()
	r := handling(t, "action:note", "action:note", "action:nonesuch")
	r.flow.Natives = map[string]engine.Native{"note": func(*resource.Tx, time.Time, string) (engine.Result, error) {
		return engine.Result{Done: true}, nil
	}}
	bad := r.job(5, "wipe")
	r.end(bad, api.JobRunning, api.JobFailed)
	r.drives()
	assert.Contains(t, r.drives(), "task wipe failed")
	assert.Equal(t, atWipe, r.state())
	assert.Contains(t, r.jobOf(bad.Uuid).ResultErrors[0], "task action:nonesuch, which handles the failure, failed too")
	assert.Equal(t, 7, api.Jobs.Len(r.db.View()), "three of them were those of the handling")
}
