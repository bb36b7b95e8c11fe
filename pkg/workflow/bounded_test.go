package workflow

import (
	"fmt"
	"testing"

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
