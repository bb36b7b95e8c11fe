//go:build linux

package plugin_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
	"drpd/pkg/engine"
	"drpd/pkg/plugin"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
)

// withFlow is a rig whose machines run workflows.
func withFlow(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, 0, 0)
	flow := &workflow.Flow{Plugin: plugin.Native}
	packs := bundle.Packs{Kinds: api.Kinds()}
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), engine.Waits),
		Hooks: append(flow.Hooks(), packs.Hook(), plugin.Hook(nil), plugin.CallHook())})
	require.NoError(t, err)
	cfg := plugin.Config{DB: db, Blobs: r.blobs, Keeper: confines(t), Token: noToken, Env: func() []string { return nil }, Param: own(db)}
	r.db, r.sup = db, plugin.New(cfg)
	c := &plugin.Caller{DB: db, Sup: r.sup, Now: time.Now}
	e, err := engine.New(engine.Config{DB: db, Rules: flow.Rules(), Actions: []engine.Runner{c.Action()}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
	return r
}

// runs lets a machine run one entry and returns its job when that has ended.
func (r *rig) runs(t *testing.T, name, entry string) *api.Job {
	t.Helper()
	at := r.db.Seq()
	r.update(t, func(tx *resource.Tx) error {
		if err := api.Stages.Create(tx, &api.Stage{Name: name, Tasks: []string{entry}}); err != nil {
			return err
		}
		if err := api.Workflows.Create(tx, &api.Workflow{Name: name, Stages: []string{name}}); err != nil {
			return err
		}
		return api.Machines.Create(tx, &api.Machine{Name: name, Workflow: name, Params: resource.Params{"tone": "c"}})
	})
	var job *api.Job
	r.event(t, at, func(e resource.Event) bool {
		j, ok := e.New.(*api.Job)
		if ok && j.Task == entry && j.Ended() {
			job = j
		}
		return job != nil
	})
	return job
}

func TestActionsInTaskLists(t *testing.T) {
	t.Parallel()
	r := withFlow(t)
	r.run(t)
	r.upload(t, "good")
	at := r.db.Seq()
	r.plugin(t, "g", "good", nil)
	r.began(t, at, "g")
	for _, c := range []struct{ name, entry, state, says string }{
		{"plain", "action:echo", "finished", "plugin g answered to echo: [\"g\",{\"tone\":\"c\"},null]\n\n"},
		{"of-plugin", "action:g:echo", "finished", "plugin g answered to echo: [\"g\",{\"tone\":\"c\"},null]\n\n"},
		{"of-provider", "action:good:echo", "finished", "plugin g answered to echo: [\"g\",{\"tone\":\"c\"},null]\n\n"},
		{"fails", "action:fail", "failed", "plugins/g: stuck"},
		{"of-nobody", "action:other:echo", "failed", `this server has no action "other:echo", and no plugin has it for machines`},
		{"of-system", "action:heard", "failed", `this server has no action "heard", and no plugin has it for machines`},
		{"dies", "action:die", "failed", "plugins/g: action was not answered: Post \"http://plugin/api-plugin/v4/action\": EOF"},
	} {
		j := r.runs(t, c.name, c.entry)
		assert.Equal(t, c.state, string(j.State), c.name)
		if c.state == "failed" {
			assert.Equal(t, []string{c.says}, j.ResultErrors, c.name)
		} else {
			assert.Equal(t, c.says, j.Note[workflow.NoteLog], c.name)
		}
	}
	assert.Zero(t, api.PluginCalls.Len(r.db.View()), "calls go with their jobs")
}

// A plugin that just starts again is waited for.
func TestACallWaitsForItsPlugin(t *testing.T) {
	t.Parallel()
	r := withFlow(t)
	r.upload(t, "good")
	r.plugin(t, "g", "good", nil)
	began := make(chan *api.Job, 1)
	at := r.db.Seq()
	go func() { began <- r.runs(t, "late", "action:echo") }()
	r.event(t, at, func(e resource.Event) bool {
		c, ok := e.New.(*api.PluginCall)
		return ok && c.State == api.CallbackWanted && c.Error == "the plugin does not run (drpcli why plugins g)"
	})
	r.run(t)
	j := <-began
	require.NotNil(t, j)
	assert.Equal(t, api.JobFinished, j.State)
}

// What a plugin did when the server was killed is not known: it is not done twice.
func TestACallThatWasLostFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	a := (&plugin.Caller{DB: r.db, Sup: r.sup, Now: time.Now}).Action()
	o := &api.PluginCall{Job: "j", Plugin: "g", State: api.CallbackWorking, Tries: 1}
	due, _ := a.Due(o, time.Now())
	require.True(t, due)
	a.Claim(o, time.Now())
	require.NoError(t, a.Do(t.Context(), o)(o))
	assert.Equal(t, api.CallbackFailed, o.State)
	assert.Equal(t, "the server ended while the plugin carried it out: see whether it did, then set Runnable to try again", o.Error)
}
