package workflow

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// TestListsAreBounded: what is stored cannot make an update make a list without
// end, be it of stages, or of tasks that want others.
func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(t, err)
	many := func(n int, of string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = of
		}
		return out
	}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: "one"}))
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "empty"}))
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "full", Tasks: many(101, "one")}))
		for name, stages := range map[string][]string{"most": many(maxExpanded, "empty"), "stages": many(maxExpanded+1, "empty"), "tasks": many(99, "full")} {
			require.NoError(t, api.Workflows.Create(tx, &api.Workflow{Name: name, Stages: stages}))
		}
		return nil
	}))
	for name, want := range map[string]string{"most": "", "stages": "more than 10000 entries", "tasks": "more than 10000 entries"} {
		list, err := Expand(db.View(), name)
		if want == "" {
			require.NoError(t, err)
			assert.Len(t, list, maxExpanded)
			continue
		}
		assert.ErrorContains(t, err, want, name)
	}
	_, err = ExpandTasks(db.View(), many(maxExpanded+2, "one"))
	assert.ErrorContains(t, err, "more than 10000 entries", fmt.Sprint(maxExpanded))
}

// TestOverdueCountsFromProgress where the task says so: how long a large disk
// takes nobody knows before.
func TestOverdueCountsFromProgress(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		meta  map[string]string
		tells []time.Duration // when the log has grown
		ends  time.Duration   // when it is overdue
	}{
		"silent":                  {map[string]string{"timeout": "30m", "progress": "log"}, nil, 30 * time.Minute},
		"getting on":              {map[string]string{"timeout": "30m", "progress": "log"}, []time.Duration{20 * time.Minute, 45 * time.Minute}, 75 * time.Minute},
		"of a task that must not": {map[string]string{"timeout": "30m"}, []time.Duration{20 * time.Minute}, 30 * time.Minute},
	} {
		db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
		require.NoError(t, err)
		j := &api.Job{Task: "wipe", State: api.JobRunning, StartTime: began}
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			task := &api.Task{Name: "wipe"}
			task.Meta = c.meta
			require.NoError(t, api.Tasks.Create(tx, task))
			m := &api.Machine{Name: "n1"}
			require.NoError(t, api.Machines.Create(tx, m))
			j.Machine = m.Uuid
			require.NoError(t, api.Jobs.Create(tx, j))
			for _, at := range c.tells {
				require.NoError(t, Progressed(tx, began.Add(at), j.Uuid))
			}
			is, err := api.Jobs.Get(tx, j.Uuid)
			require.NoError(t, err)
			s, over, err := overdue(tx, began.Add(c.ends-time.Second), is)
			require.NoError(t, err)
			assert.False(t, over, name)
			assert.Equal(t, began.Add(c.ends), s.until, name)
			_, over, err = overdue(tx, began.Add(c.ends), is)
			assert.True(t, over, name)
			return err
		}))
	}
}
