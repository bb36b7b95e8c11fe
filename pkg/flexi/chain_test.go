package flexi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// ring is a machine whose chain leads from w over next back to w. Stage "t" of
// next has tasks.
func newRing(t *testing.T, tasks ...string) *rig {
	t.Helper()
	m := &api.Machine{Params: resource.Params{ParamApplication: "app", ParamMap: map[string]any{"app": map[string]any{"w": "next", "next": "w"}}}}
	r := newRig(t, m, &api.Stage{Name: "s", Tasks: []string{"flexiflow-stop", "chain"}})
	r.update(func(tx *resource.Tx) error {
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "t", Tasks: append(tasks, "chain")}))
		return api.Workflows.Modify(tx, "next", func(w *api.Workflow) error { w.Stages = []string{"t"}; return nil })
	})
	return r
}

// rounds drives the machine, whose agent does what it is asked, and says which
// workflows it runs and why it stops.
func (r *rig) rounds(n int) (flows []string, waiting string) {
	r.Helper()
	for range n {
		if flow := r.machine().Workflow; len(flows) == 0 || flows[len(flows)-1] != flow {
			flows = append(flows, flow)
		}
		if waiting = r.drive(); strings.Contains(waiting, "waits for the machine's agent") {
			r.agent(api.JobFinished)
		}
	}
	return flows, waiting
}

// agent does one task.
func (r *rig) agent(end api.JobState) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		n, err := r.flow.NextJob(tx, tx.Now(), r.id, "")
		require.NoError(r, err)
		require.NotNil(r, n.Job, n.Waiting)
		return api.Jobs.Modify(tx, n.Job.Uuid, func(j *api.Job) error { return j.Move(end, tx.Now()) })
	})
}

func (r *rig) set(change func(m *api.Machine)) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { change(m); return nil })
	})
}

func TestChainThatLeadsNowhereStops(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	flows, waiting := r.rounds(20)
	assert.Equal(t, []string{"w", "next", "w"}, flows)
	assert.Contains(t, waiting, "task chain failed: workflows/next: workflows follow each other without end, and no task between them does any work: "+
		"w -> next -> w; change entry app of param universal/workflow-chain-map, then set Runnable, or set another workflow")
	assert.False(t, r.machine().Runnable)

	r.set(func(m *api.Machine) { m.Runnable = true })
	_, waiting = r.rounds(3)
	assert.Contains(t, waiting, "without end", "nothing was repaired")

	r.set(func(m *api.Machine) { m.Workflow = "next" })
	flows, waiting = r.rounds(20)
	assert.Equal(t, []string{"next", "w", "next"}, flows, "a person chose it: the chain begins anew")
	assert.Contains(t, waiting, "next -> w -> next;")

	r.set(func(m *api.Machine) {
		m.Runnable, m.Params[ParamMap] = true, map[string]any{"app": map[string]any{"next": "universal-local"}}
	})
	r.rounds(3)
	assert.Equal(t, "universal-local", r.machine().Workflow, "repaired")
	assert.True(t, r.machine().WorkflowComplete)
}

// TestChainsThatMayGoRound because something is done at each turn, or another
// rule sent the machine on.
func TestChainsThatMayGoRound(t *testing.T) {
	t.Parallel()
	t.Run("an agent works", func(t *testing.T) {
		t.Parallel()
		flows, _ := newRing(t, "one").rounds(40)
		assert.Greater(t, len(flows), 6)
	})
	t.Run("the server works", func(t *testing.T) {
		t.Parallel()
		r := newRing(t, "action:site/work")
		r.flow.Natives["site/work"] = r.flow.Natives["flexiflow/stop"]
		flows, _ := r.rounds(40)
		assert.Greater(t, len(flows), 6)
	})
	t.Run("another application", func(t *testing.T) {
		t.Parallel()
		r := newRing(t)
		r.rounds(2)
		assert.Equal(t, "w", r.machine().Workflow)
		r.set(func(m *api.Machine) {
			m.Params[ParamApplication] = "other"
			m.Params[ParamMap] = map[string]any{"other": map[string]any{"w": "next", "next": "universal-local"}}
		})
		r.rounds(4)
		assert.Equal(t, "universal-local", r.machine().Workflow)
	})
	t.Run("from the start again", func(t *testing.T) {
		t.Parallel()
		r := newRing(t, "one")
		for range 3 {
			r.rounds(1)
			require.Equal(t, "next", r.machine().Workflow)
			r.set(func(m *api.Machine) { m.CurrentTask = -1 })
			r.set(func(m *api.Machine) { m.Workflow = "" })
			r.set(func(m *api.Machine) { m.Workflow = "w" })
			assert.Empty(t, r.machine().Chained)
		}
	})
}

func TestCircleIsBounded(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	long := make([]api.ChainStep, maxChained)
	r.update(func(tx *resource.Tx) error {
		x := &run{tx: tx, on: r.machine(), kind: api.Machines, job: &api.Job{Task: "chain", State: api.JobRunning, Workflow: "w"}}
		x.on.Chained = long
		_, err := x.become("next", "a rule")
		assert.ErrorContains(t, err, "without end")
		assert.Less(t, len(err.Error()), 400)
		return nil
	})
	assert.Greater(t, workflow.MaxTasks, maxChained)
}
