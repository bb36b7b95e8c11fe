package workflow

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// try edits the machine as a user does and returns the refusal.
func (r *rig) try(force bool, fn func(m *api.Machine)) error {
	ctx := resource.WithOptions(context.Background(), resource.Options{Force: force})
	return r.db.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { fn(m); return nil })
	})
}

func TestEditsOfTheTaskList(t *testing.T) {
	t.Parallel()
	const executed = "Cannot remove tasks that have already executed or are already executing"
	const changed = "Cannot change tasks that have already executed or are executing"
	const beyond = "Cannot change tasks beyond the current stage, or insert stages, unless forced"
	// The machine runs ssh-access, at 3; the next stage begins at 4.
	rest := " stage:prep wipe stage:os bootenv:rocky-9-install set-host agent-install stage:end bootenv:local"
	now := "stage:discover bootenv:sledgehammer gohai ssh-access"
	for name, c := range map[string]struct {
		list  string
		force bool
		want  string
	}{
		"insert after the running task":   {list: now + " wipe action:power/off" + rest},
		"remove the running task":         {list: "stage:discover bootenv:sledgehammer gohai", want: executed},
		"replace the running task":        {list: "stage:discover bootenv:sledgehammer gohai wipe" + rest, want: changed},
		"change what has run":             {list: "stage:discover bootenv:sledgehammer wipe ssh-access" + rest, want: changed},
		"insert a stage":                  {list: now + " stage:end" + rest, want: beyond},
		"insert a stage with force":       {list: now + " stage:end" + rest, force: true},
		"drop the rest":                   {list: now, want: beyond},
		"change a later stage":            {list: strings.Replace(now+rest, "set-host", "wipe", 1), want: beyond},
		"change a later stage with force": {list: strings.Replace(now+rest, "set-host", "wipe", 1), force: true},
		"change what has run, with force": {list: "stage:discover bootenv:sledgehammer wipe ssh-access" + rest, force: true, want: changed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.begin()
			r.done(2, "gohai")
			r.end(r.job(3, "ssh-access"), api.JobRunning)
			err := r.try(c.force, func(m *api.Machine) { m.Tasks = strings.Fields(c.list) })
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				assert.Equal(t, resource.Invalid, resource.CodeOf(err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "at 3, stage discover, bootenv sledgehammer, runnable true, complete false", r.state())
		})
	}
}

func TestEditsOfTheCursorAndStage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit  func(m *api.Machine)
		force bool
		want  string // an error, or the state
	}{
		"forward":         {edit: func(m *api.Machine) { m.CurrentTask = 5 }, want: "Cannot advance CurrentTask from 3 to 5 without running jobs"},
		"back":            {edit: func(m *api.Machine) { m.CurrentTask = 2 }, want: "at 2, stage discover, bootenv sledgehammer, runnable true, complete false"},
		"same workflow":   {edit: func(m *api.Machine) { m.Workflow = "four" }, want: "at 3, stage discover, bootenv sledgehammer, runnable true, complete false"},
		"stage":           {edit: func(m *api.Machine) { m.Stage = "prep" }, want: "Stage and BootEnv of n1 are set by its workflow four"},
		"no workflow":     {edit: func(m *api.Machine) { m.Workflow = "" }, want: "at 0, stage none, bootenv sledgehammer, runnable true, complete true"},
		"only a stage":    {edit: func(m *api.Machine) { m.Workflow, m.Stage = "", "prep" }, want: "at -1, stage prep, bootenv sledgehammer, runnable true, complete false"},
		"another bootenv": {edit: func(m *api.Machine) { m.Workflow, m.Stage = "", "end" }, want: "at 0, stage end, bootenv local, runnable false, complete true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.begin()
			r.done(2, "gohai")
			r.end(r.job(3, "ssh-access"), api.JobRunning)
			if err := r.try(c.force, c.edit); err != nil {
				assert.ErrorContains(t, err, c.want)
				return
			}
			assert.Equal(t, c.want, r.state())
		})
	}
}

// TestBackNeverOverABoot: entries before the last boot are not repeated without
// booting again.
func TestBackNeverOverABoot(t *testing.T) {
	t.Parallel()
	for to, want := range map[int]string{
		5: "Cannot move CurrentTask from 9 to 5: the machine booted into rocky-9-install at 6",
		6: "at 6, stage os, bootenv rocky-9-install, runnable true, complete false",
		8: "at 8, stage os, bootenv rocky-9-install, runnable true, complete false",
	} {
		r := newRig(t)
		r.begin()
		r.edit(func(m *api.Machine) {
			m.CurrentTask, m.Stage, m.BootEnv, m.Moving = 9, "os", "rocky-9-install", true
		})
		r.home("rocky-9-install")
		if err := r.try(false, func(m *api.Machine) { m.CurrentTask = to }); err != nil {
			assert.ErrorContains(t, err, want)
			continue
		}
		assert.Equal(t, want, r.state())
	}
}

// TestStageWithoutAWorkflow loads the stage's tasks, not over pending ones.
func TestStageWithoutAWorkflow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.try(false, func(m *api.Machine) { m.Stage = "prep" }))
	assert.Equal(t, "at -1, stage prep, bootenv local, runnable true, complete false", r.state())
	err := r.try(false, func(m *api.Machine) { m.Stage = "discover" })
	require.ErrorContains(t, err, "Can not change stages with pending tasks unless forced")
	require.NoError(t, r.try(true, func(m *api.Machine) { m.Stage = "discover" }))
	assert.Equal(t, "at -1, stage discover, bootenv sledgehammer, runnable false, complete false", r.state())
	err = r.try(false, func(m *api.Machine) { m.BootEnv = "local" })
	require.ErrorContains(t, err, "Can not change bootenvs while in stage discover unless forced")
	require.NoError(t, r.try(true, func(m *api.Machine) { m.BootEnv = "local" }))
}

// TestInstallerWithoutTasksIsBooted: two boot environments in a row, and the
// machine goes through the first.
func TestInstallerWithoutTasksIsBooted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.update(func(tx *resource.Tx) error {
		if err := api.Stages.Create(tx, &api.Stage{Name: "bare-os", BootEnv: "rocky-9-install"}); err != nil {
			return err
		}
		return api.Workflows.Create(tx, &api.Workflow{Name: "bare", Stages: []string{"prep", "bare-os", "end"}})
	})
	r.edit(func(m *api.Machine) { m.Workflow = "bare" })
	r.home("local")
	r.done(1, "wipe")
	n, err := r.next()
	require.NoError(t, err)
	assert.Equal(t, "the machine boots into rocky-9-install before it goes on to bootenv:local", n.Waiting)
	assert.Equal(t, "at 5, stage end, bootenv rocky-9-install, runnable false, complete false", r.state())
	r.home("rocky-9-install")
	_, err = r.next()
	require.NoError(t, err)
	assert.Equal(t, "at 6, stage end, bootenv local, runnable false, complete true", r.state())
}

func TestPrerequisites(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.update(func(tx *resource.Tx) error {
		for name, needs := range map[string][]string{"a": {"b", "c"}, "b": {"c"}, "c": nil} {
			if err := api.Tasks.Create(tx, &api.Task{Name: name, Prerequisites: needs}); err != nil {
				return err
			}
		}
		list, err := ExpandTasks(tx, []string{"a", "b"})
		require.NoError(t, err)
		assert.Equal(t, []string{"c", "b", "a", "b"}, list)
		return nil
	})
	err := r.db.Update(t.Context(), func(tx *resource.Tx) error {
		if err := api.Tasks.Modify(tx, "c", func(o *api.Task) error { o.Prerequisites = []string{"a"}; return nil }); err != nil {
			return err
		}
		_, err := ExpandTasks(tx, []string{"b"})
		return err
	})
	assert.ErrorContains(t, err, "is its own prerequisite through [b c a]")
}

// TestChroot: the entry is given to the agent as a finished job of its own.
func TestChroot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.try(false, func(m *api.Machine) { m.Tasks = []string{"chroot:/mnt", "wipe"} }))
	n, err := r.next()
	require.NoError(t, err)
	assert.Equal(t, "chroot:/mnt finished true", fmt.Sprint(n.Job.Task, " ", n.Job.State, " ", n.Resumed))
	r.done(1, "wipe")
}

// TestContextEntry hands the list to an agent in a context and back.
func TestContextEntry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.try(false, func(m *api.Machine) { m.Tasks = []string{"context:box", "wipe", "context:", "gohai"} }))
	n, err := r.next()
	require.NoError(t, err)
	assert.Equal(t, "it is the turn of context box", n.Waiting)
	r.update(func(tx *resource.Tx) error {
		n, err := r.flow.NextJob(tx, tx.Now(), r.id, "box")
		require.NoError(t, err)
		assert.Equal(t, "wipe box", n.Job.Task+" "+n.Job.Context)
		if err := api.Jobs.Modify(tx, n.Job.Uuid, func(j *api.Job) error { return j.Move(api.JobFinished, tx.Now()) }); err != nil {
			return err
		}
		n, err = r.flow.NextJob(tx, tx.Now(), r.id, "box")
		assert.Equal(t, "it is the turn of the agent on the machine itself", n.Waiting)
		return err
	})
	r.job(3, "gohai")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := newRig(t)
	names := map[string]string{}
	r.update(func(tx *resource.Tx) error {
		for name, j := range map[string]*api.Job{
			"finished 3 days ago":     {State: api.JobFinished, EndTime: now.Add(-72 * time.Hour)},
			"failed 3 days ago":       {State: api.JobFailed, EndTime: now.Add(-72 * time.Hour)},
			"finished an hour ago":    {State: api.JobFinished, EndTime: now.Add(-time.Hour)},
			"running for 3 days":      {State: api.JobRunning},
			"current, 3 days ago":     {State: api.JobFinished, EndTime: now.Add(-72 * time.Hour)},
			"of a machine that is no": {State: api.JobRunning, Machine: "3e7031fe-3062-45f1-835c-92541bc9cbd3"},
		} {
			if j.Machine == "" {
				j.Machine = r.id
			}
			j.StartTime = now.Add(-72 * time.Hour)
			if name == "finished an hour ago" {
				j.StartTime = now.Add(-time.Hour)
			}
			if err := api.Jobs.Create(tx, j); err != nil {
				return err
			}
			names[j.Uuid] = name
			if strings.HasPrefix(name, "current") {
				if err := api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.CurrentJob, m.Moving = j.Uuid, true; return nil }); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for want, keep := range map[string]Retention{
		"":                    {},
		"finished 3 days ago": {CompleteAfter: 48 * time.Hour},
		"failed 3 days ago, of a machine that is no":                      {FailedAfter: 48 * time.Hour},
		"failed 3 days ago, finished 3 days ago":                          {Keep: 1},
		"failed 3 days ago, finished 3 days ago, of a machine that is no": {Keep: 1, FailedAfter: time.Hour},
	} {
		var got []string
		for _, id := range keep.Expired(r.db.View(), now, "") {
			got = append(got, names[id])
		}
		assert.ElementsMatch(t, strings.FieldsFunc(strings.ReplaceAll(want, ", ", ","), func(c rune) bool { return c == ',' }), got)
	}
	for text, want := range map[string]time.Duration{"0": 0, "90m": 90 * time.Minute, "30d": 720 * time.Hour, "3600": time.Hour} {
		got, err := parseAge(text)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := parseAge("soon")
	assert.ErrorContains(t, err, `"soon" is not a duration such as 90m, 720h or 30d`)
}
