package flexi

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
)

// rig is a machine in a database whose workflows are moved by hand.
type rig struct {
	*testing.T
	db    *resource.DB
	flow  *workflow.Flow
	vault *param.Vault
	id    string
}

// natives are the tasks of the universal pack that the server carries out.
var natives = map[string]string{
	"flexiflow-start": "flexiflow/start", "flexiflow-stop": "flexiflow/stop", "flexiflow-workflow": "flexiflow/workflow",
	"classify": "classify/run", "classify-stage-list-start": "classify/list-start", "classify-stage-list-stop": "classify/list-stop",
	"validation-start": "validation/start", "validation-stop": "validation/stop",
	"callback": "callback/call", "universal-skip": "universal/skip", "chain": "universal/chain",
}

func newRig(t *testing.T, m *api.Machine, stages ...*api.Stage) *rig {
	t.Helper()
	r := &rig{T: t, vault: param.NewVault(seal.NewMaster(seal.Key{1}))}
	r.flow = &workflow.Flow{Natives: Natives()}
	kinds := append(api.Kinds(), param.ObjectKeys, Renderings)
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: kinds,
		Hooks: append(append(r.vault.Hooks(kinds), r.flow.Hooks()...), Hooks()...)})
	require.NoError(t, err)
	r.db = db
	r.update(func(tx *resource.Tx) error {
		for name, op := range natives {
			task := &api.Task{Name: name}
			task.Meta = map[string]string{api.MetaNative: op}
			require.NoError(t, api.Tasks.Create(tx, task))
		}
		for _, name := range []string{"one", "two", "three"} {
			require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: name}))
		}
		flow := &api.Workflow{Name: "w"}
		for _, s := range stages {
			require.NoError(t, api.Stages.Create(tx, s))
			if !strings.HasPrefix(s.Name, "extra") {
				flow.Stages = append(flow.Stages, s.Name)
			}
		}
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "none"}))
		require.NoError(t, api.Workflows.Create(tx, flow))
		for _, name := range []string{"next", "universal-local", "universal-hardware"} {
			require.NoError(t, api.Workflows.Create(tx, &api.Workflow{Name: name}))
		}
		require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "local"}))
		m.Name, m.Workflow, m.BootEnv, m.Boot = "n1", "w", "local", &api.BootState{Env: "local", Home: true}
		return api.Machines.Create(tx, m)
	})
	r.id = m.Uuid
	return r
}

func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.Update(r.Context(), fn))
}

// drive moves the machine as far as the server does and says why it stops.
func (r *rig) drive() string {
	r.Helper()
	for range 1000 {
		var waiting string
		r.update(func(tx *resource.Tx) error {
			res, err := r.flow.Rules()[0].Step(tx, time.Unix(1000, 0), r.id)
			waiting = res.Waiting
			return err
		})
		if !r.fillIn() {
			return waiting
		}
	}
	r.Fatal("its templates never end")
	return ""
}

// fillIn does what the engine does with renderings that are due.
func (r *rig) fillIn() (some bool) {
	r.Helper()
	a := (&Renderer{DB: r.db}).Action()
	for o := range Renderings.All(r.db.View()) {
		if due, _ := a.Due(o, time.Unix(1000, 0)); due {
			change := a.Do(r.Context(), o)
			r.update(func(tx *resource.Tx) error { return Renderings.Modify(tx, o.Job, change) })
			some = true
		}
	}
	return some
}

func (r *rig) machine() *api.Machine {
	r.Helper()
	m, err := api.Machines.Get(r.db.View(), r.id)
	require.NoError(r, err)
	return m
}

func list(s ...string) []any {
	out := []any{}
	for _, x := range s {
		out = append(out, x)
	}
	return out
}

func TestFlexiFlow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		params resource.Params
		more   resource.Params // of the stage
		want   string
	}{
		"empty":    {nil, nil, "stage:s flexiflow-start flexiflow-stop stage:t three"},
		"tasks":    {resource.Params{"site/list": list("one", "two")}, nil, "stage:s flexiflow-start one two flexiflow-stop stage:t three"},
		"composed": {resource.Params{"site/list": list("one")}, resource.Params{"site/list": list("two")}, "stage:s flexiflow-start one two flexiflow-stop stage:t three"},
		"nearest": {resource.Params{"site/list": list("one")}, resource.Params{"site/list": list("two"), "flexiflow/no-compose": true},
			"stage:s flexiflow-start one flexiflow-stop stage:t three"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stage := &api.Stage{Name: "s", Tasks: []string{"flexiflow-start", "flexiflow-stop"}, Params: resource.Params{ParamList: "site/list"}}
			for k, v := range tc.more {
				stage.Params[k] = v
			}
			r := newRig(t, &api.Machine{Params: tc.params}, stage, &api.Stage{Name: "t", Tasks: []string{"three"}})
			assert.Contains(t, r.drive(), "waits for the machine's agent")
			assert.Equal(t, tc.want, strings.Join(r.machine().Tasks, " "))
			// From the start again, the part between is written anew.
			r.update(func(tx *resource.Tx) error {
				return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.CurrentTask = -1; return nil })
			})
			r.drive()
			assert.Equal(t, tc.want, strings.Join(r.machine().Tasks, " "))
		})
	}
}

func TestFlexiFlowFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ stage, params resource.Params }{
		"stage/s must name a param that holds a list": {nil, nil},
		"must be a list of strings":                   {resource.Params{ParamList: "x"}, resource.Params{"x": "one"}},
		"tasks/four: does not exist":                  {resource.Params{ParamList: "x"}, resource.Params{"x": list("four")}},
	} {
		r := newRig(t, &api.Machine{Params: tc.params}, &api.Stage{Name: "s", Tasks: []string{"flexiflow-start", "flexiflow-stop"}, Params: tc.stage})
		got := r.drive()
		assert.Contains(t, got, strings.TrimPrefix(name, "stage/s "))
		assert.False(t, r.machine().Runnable)
		j, err := api.Jobs.Get(r.db.View(), r.machine().CurrentJob)
		require.NoError(t, err)
		assert.Equal(t, "flexiflow-start", j.Task, "the job has the task's name")
		assert.Equal(t, api.JobFailed, j.State)
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	flows := func(to string) map[string]any { return map[string]any{"w": to} }
	chains := map[string]any{"app": flows("next"), "other": flows("universal-local")}
	for name, tc := range map[string]struct {
		params resource.Params
		want   string
	}{
		"nothing":        {nil, "w"},
		"no successor":   {resource.Params{ParamApplication: "else", ParamMap: chains}, "w"},
		"application":    {resource.Params{ParamApplication: "app", ParamMap: chains}, "next"},
		"index":          {resource.Params{ParamApplication: "app", ParamIndex: "other", ParamMap: chains}, "universal-local"},
		"override":       {resource.Params{ParamApplication: "app", ParamMap: chains, ParamOverride: flows("universal-local")}, "universal-local"},
		"itself":         {resource.Params{ParamOverride: flows("w")}, "w"},
		"not maintained": {resource.Params{ParamMaintenance: true}, "w"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &api.Machine{Params: tc.params}, &api.Stage{Name: "s", Tasks: []string{"chain"}})
			r.drive()
			r.drive()
			m := r.machine()
			assert.Equal(t, tc.want, m.Workflow)
			assert.True(t, m.WorkflowComplete)
			for j := range api.Jobs.By(r.db.View(), "Machine", r.id) {
				assert.Equal(t, api.JobFinished, j.State, j.Task)
			}
		})
	}
}

func TestMaintenanceEndsWithHardware(t *testing.T) {
	t.Parallel()
	r := newRig(t, &api.Machine{Params: resource.Params{ParamMaintenance: true}}, &api.Stage{Name: "s", Tasks: []string{"chain"}})
	r.update(func(tx *resource.Tx) error {
		if err := api.Workflows.Modify(tx, "universal-hardware", func(w *api.Workflow) error { w.Stages = []string{"s"}; return nil }); err != nil {
			return err
		}
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Workflow = "universal-hardware"; return nil })
	})
	r.drive()
	assert.Equal(t, "universal-local", r.machine().Workflow)
	assert.NotContains(t, r.machine().Params, ParamMaintenance)
}

func TestSkip(t *testing.T) {
	t.Parallel()
	r := newRig(t, &api.Machine{Params: resource.Params{"x": list("b", "a")}},
		&api.Stage{Name: "a", Tasks: []string{"universal-skip"}, Params: resource.Params{ParamSkip: "x"}},
		&api.Stage{Name: "b", Tasks: []string{"one"}}, &api.Stage{Name: "c", Tasks: []string{"two"}})
	r.drive()
	assert.Equal(t, []string{"stage:a", "universal-skip", "stage:c", "two"}, r.machine().Tasks)
}

func TestValidation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		errors, ignore []any
		want           string
	}{
		"nothing found": {nil, nil, ""},
		"found":         {list("disk is small", "no BMC"), nil, "validation found 2 errors: disk is small; no BMC"},
		"one passed":    {list("disk is small", "no BMC"), list("no BMC"), "validation found 1 errors: disk is small"},
		"all passed":    {list("no BMC"), list("no BMC", "else"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &api.Machine{Params: resource.Params{"x": list("one"), ParamErrors: list("of old")}},
				&api.Stage{Name: "s", Tasks: []string{"validation-start", "validation-stop"}, Params: resource.Params{ParamChecks: "x", ParamIgnore: tc.ignore}})
			assert.Contains(t, r.drive(), "task one waits")
			assert.NotContains(t, r.machine().Params, ParamErrors, "what earlier checks found is forgotten")
			r.update(func(tx *resource.Tx) error {
				n, err := r.flow.NextJob(tx, tx.Now(), r.id, "")
				require.NoError(t, err)
				if tc.errors != nil {
					require.NoError(t, api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Params[ParamErrors] = tc.errors; return nil }))
				}
				return api.Jobs.Modify(tx, n.Job.Uuid, func(j *api.Job) error { return j.Move(api.JobFinished, tx.Now()) })
			})
			got := r.drive()
			assert.Contains(t, got, tc.want)
			assert.Equal(t, tc.want == "", r.machine().WorkflowComplete)
		})
	}
}
