package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// TestWorkOrderModeRefusesAllThatDirects tries every field that says what comes
// next, filled and empty, on every kind that has the mode.
func TestWorkOrderModeRefusesAllThatDirects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(m *api.Machine)
		refused string
	}{
		"a workflow":       {func(m *api.Machine) { m.Workflow = "other" }, "Workflow"},
		"no workflow":      {func(m *api.Machine) { m.Workflow = "" }, "Workflow"},
		"a stage":          {func(m *api.Machine) { m.Stage = "s" }, "Stage"},
		"no stage":         {func(m *api.Machine) { m.Stage = "" }, "Stage"},
		"tasks":            {func(m *api.Machine) { m.Tasks = []string{"t"} }, "Tasks"},
		"a bootenv":        {func(m *api.Machine) { m.BootEnv = "other" }, "BootEnv"},
		"no bootenv":       {func(m *api.Machine) { m.BootEnv = "" }, "BootEnv"},
		"a context":        {func(m *api.Machine) { m.Context = "elsewhere" }, "Context"},
		"a cursor":         {func(m *api.Machine) { m.Tasks, m.CurrentTask = []string{"t"}, 1 }, "Tasks, CurrentTask"},
		"several":          {func(m *api.Machine) { m.Workflow, m.Stage = "", "s" }, "Workflow, Stage"},
		"an agent's reset": {func(m *api.Machine) { m.CurrentTask = -1 }, ""},
		"something else":   {func(m *api.Machine) { m.Description = "x" }, ""},
		"off, and a stage": {func(m *api.Machine) { m.WorkOrderMode, m.Workflow, m.Stage = false, "", "s" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, k := range api.MachineLike() {
				db := ordered(t, k)
				err := db.Update(t.Context(), func(tx *resource.Tx) error {
					return k.Modify(tx, "11111111-1111-4111-8111-111111111111", func(m *api.Machine) error { c.change(m); return nil })
				})
				if c.refused == "" {
					assert.NoError(t, err, k.Name)
					continue
				}
				assert.ErrorContains(t, err, "m is in WorkOrder mode, where workflows are not run and "+c.refused+" cannot be changed", k.Name)
				assert.Equal(t, resource.Refused, resource.CodeOf(err))
			}
		})
	}
}

// ordered has one machine, cluster or broker in WorkOrder mode, with its last
// workflow, stage and boot environment still named.
func ordered(t *testing.T, k *resource.Kind[api.Machine]) *resource.DB {
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: (&Flow{}).Hooks()})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		for _, name := range []string{"env", "other"} {
			if err := api.BootEnvs.Create(tx, &api.BootEnv{Name: name}); err != nil {
				return err
			}
			if err := api.Workflows.Create(tx, &api.Workflow{Name: name, Stages: []string{}}); err != nil {
				return err
			}
		}
		for _, s := range []string{"s", "last", "none"} {
			if err := api.Stages.Create(tx, &api.Stage{Name: s}); err != nil {
				return err
			}
		}
		m := &api.Machine{Name: "m", Uuid: "11111111-1111-4111-8111-111111111111", Stage: "last", BootEnv: "env"}
		if err := k.Create(tx, m); err != nil {
			return err
		}
		return k.Modify(tx, m.Uuid, func(m *api.Machine) error {
			m.Moving, m.WorkOrderMode, m.Workflow, m.Stage, m.BootEnv, m.CurrentTask = true, true, "env", "last", "env", 0
			return nil
		})
	}))
	return db
}
