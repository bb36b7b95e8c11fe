//go:build linux

package plugin_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/bundle"
	"drpd/pkg/child"
	"drpd/pkg/engine"
	"drpd/pkg/keeper"
	"drpd/pkg/plugin"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// rig is a supervisor over a DB, with the test binary as the program of all
// providers.
type rig struct {
	db    *resource.DB
	blobs *blob.Dir
	sup   *plugin.Supervisor
}

func openDB(t *testing.T, s store.Store) *resource.DB {
	t.Helper()
	packs := bundle.Packs{Kinds: api.Kinds()}
	db, err := resource.Open(t.Context(), resource.Config{Store: s, Kinds: append(api.Kinds(), engine.Waits), Hooks: []resource.Hook{packs.Hook(), plugin.Hook(nil)}})
	require.NoError(t, err)
	return db
}

func newRig(t *testing.T, ready, define time.Duration) *rig {
	t.Helper()
	r := &rig{db: openDB(t, mem.New(mem.Config{}))}
	var err error
	r.blobs, err = blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { r.blobs.Close() })
	r.sup = plugin.New(plugin.Config{DB: r.db, Blobs: r.blobs, Keeper: confines(t), Ready: ready, Define: define,
		Token: noToken, Env: func() []string { return nil }, Param: own(r.db)})
	return r
}

func confines(t *testing.T) child.Keeper {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can confine processes")
	}
	k := keeper.NewDirect(keeper.Config{})
	t.Cleanup(k.CloseAll)
	return k
}

func noToken(string) (string, func(), error) { return "secret", func() {}, nil }

// own finds params that objects have themselves.
func own(db *resource.DB) func(resource.Reader, *resource.Object, string) (any, bool, error) {
	return func(_ resource.Reader, o *resource.Object, name string) (any, bool, error) {
		if o == nil {
			return nil, false, nil
		}
		v, ok := (*db.Kind(o.Kind).ParamsOf(o.Val))[name]
		return v, ok, nil
	}
}

// run supervises until the test ends.
func (r *rig) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.sup.Run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-done) })
}

func program(how string) io.Reader {
	return strings.NewReader(fmt.Sprintf("#!/bin/sh\n%s=%s exec %s \"$@\"\n", envFake, how, seen))
}

func (r *rig) upload(t *testing.T, how string) {
	t.Helper()
	_, err := r.sup.Upload(t.Context(), how, program(how))
	require.NoError(t, err)
}

func (r *rig) update(t *testing.T, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, r.db.Update(t.Context(), fn))
}

func (r *rig) plugin(t *testing.T, name, provider string, params resource.Params) {
	t.Helper()
	r.update(t, func(tx *resource.Tx) error {
		return api.Plugins.Put(tx, &api.Plugin{Name: name, Provider: provider, Params: params})
	})
}

// event waits for one that fits.
func (r *rig) event(t *testing.T, after uint64, fits func(e resource.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for evs, err := range r.db.Watch(ctx, after, nil) {
		require.NoError(t, err)
		for _, e := range evs {
			if fits(e) {
				return
			}
		}
	}
	p := []string{}
	for o := range api.Plugins.All(r.db.View()) {
		p = append(p, o.Name+": "+strings.Join(o.PluginErrors, "; "))
	}
	require.Fail(t, "it did not happen", "%v", p)
}

func (r *rig) began(t *testing.T, after uint64, name string) {
	t.Helper()
	r.event(t, after, func(e resource.Event) bool { return e.Type == "plugins" && e.Action == "configed" && e.Key == name })
}

// wrong waits for an error of a plugin.
func (r *rig) wrong(t *testing.T, after uint64, name string) string {
	t.Helper()
	text := ""
	r.event(t, after, func(e resource.Event) bool {
		p, ok := e.New.(*api.Plugin)
		if ok && p.Name == name && len(p.PluginErrors) > 0 {
			text = strings.Join(p.PluginErrors, "; ")
		}
		return text != ""
	})
	return text
}

func (r *rig) machine(t *testing.T, params resource.Params) *resource.Object {
	t.Helper()
	m := &api.Machine{Name: "m", Params: params}
	r.update(t, func(tx *resource.Tx) error { return api.Machines.Create(tx, m) })
	o, err := api.Machines.Lookup(r.db.View(), m.Uuid)
	require.NoError(t, err)
	return &o
}

func (r *rig) do(t *testing.T, o *resource.Object, command string) (string, error) {
	t.Helper()
	out, err := r.sup.Do(t.Context(), plugin.Call{Object: o, Command: command, Params: map[string]any{}})
	return strings.TrimSpace(string(out)), err
}

func TestActions(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "good")
	at := r.db.Seq()
	r.plugin(t, "g", "good", resource.Params{"volume": 3.0})
	r.began(t, at, "g")
	m := r.machine(t, nil)
	names := func(o *resource.Object, of string) string {
		var out []string
		for _, a := range r.sup.Available(o, of) {
			out = append(out, a.Provider+"/"+a.Model+"/"+a.Command)
		}
		return strings.Join(out, " ")
	}
	assert.Equal(t, "good/machines/die good/machines/fail good/machines/flood", names(m, ""))
	_, err := r.do(t, m, "echo")
	require.ErrorContains(t, err, "action echo requires param tone")
	r.update(t, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Key, func(m *api.Machine) error { m.Params = resource.Params{"tone": "c"}; return nil })
	})
	*m, err = api.Machines.Lookup(r.db.View(), m.Key)
	require.NoError(t, err)
	assert.Contains(t, names(m, "g"), "good/machines/echo")
	assert.Contains(t, names(m, "good"), "good/machines/echo")
	assert.Empty(t, names(m, "other"))
	assert.Equal(t, "good/system/heard", names(nil, ""))
	out, err := r.do(t, m, "echo")
	require.NoError(t, err)
	assert.JSONEq(t, `["g",{"tone":"c"},3]`, out)
	_, err = r.do(t, m, "fail")
	assert.Equal(t, &plugin.Error{Model: "bells", Key: "b", Type: "ring", Messages: []string{"stuck"}, Code: 409}, err)
	_, err = r.do(t, m, "flood")
	require.ErrorContains(t, err, "answered with more than 16777216 bytes")
	_, err = r.do(t, m, "nothing")
	assert.Equal(t, resource.NotFound, resource.CodeOf(err))
	out, err = r.do(t, nil, "heard")
	require.NoError(t, err)
	assert.Contains(t, out, "machines.")
}

func TestWhatAPluginTellsTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "good")
	at := r.db.Seq()
	r.plugin(t, "g", "good", nil)
	r.began(t, at, "g")
	o, err := api.Plugins.Lookup(r.db.View(), "g")
	require.NoError(t, err)
	at = r.db.Seq()
	out, err := r.do(t, &o, "own")
	require.NoError(t, err)
	assert.JSONEq(t, `["200 OK","400 Bad Request","200 OK"]`, out)
	r.event(t, at, func(e resource.Event) bool {
		return e.Type == "bells" && e.Action == "rung" && e.Principal == "plugins/g"
	})
	_, _ = r.do(t, &o, "leave") // it is ended before it answers
	assert.Equal(t, "the plugin says that it leaves: tired", r.wrong(t, at, "g"))
}

func TestWhyAPluginDoesNotRun(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{
		"crash": "its process ended: exit status 3: boom",
		"mute":  "its process did not print READY! within 300ms",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 300*time.Millisecond, 0)
			if how == "crash" {
				r = newRig(t, 0, 0)
			}
			r.run(t)
			r.upload(t, how)
			at := r.db.Seq()
			r.plugin(t, "p", how, nil)
			assert.Equal(t, want, r.wrong(t, at, "p"))
			p, err := api.Plugins.Get(r.db.View(), "p")
			require.NoError(t, err)
			assert.False(t, p.Available)
			assert.Equal(t, []string{want}, p.Errors)
			w, err := engine.Waits.Get(r.db.View(), plugin.Rule+" plugins p")
			require.NoError(t, err)
			assert.Equal(t, want, w.LastError)
		})
	}
}

func TestACrashedPluginIsStartedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "good")
	at := r.db.Seq()
	r.plugin(t, "g", "good", nil)
	r.began(t, at, "g")
	m := r.machine(t, nil)
	at = r.db.Seq()
	_, err := r.do(t, m, "die")
	require.ErrorContains(t, err, "plugins/g: action was not answered")
	assert.Equal(t, "its process ended: exit status 7", r.wrong(t, at, "g"))
	r.began(t, at, "g")
	_, err = r.do(t, m, "fail")
	assert.EqualError(t, err, "stuck")
}

// TestASocketOfSomebodyElse: the server speaks to the plugin's own socket only.
func TestASocketOfSomebodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "thief")
	at := r.db.Seq()
	r.plugin(t, "t", "thief", nil)
	assert.Contains(t, r.wrong(t, at, "t"), "to-plugin is no socket of the plugin's own")
}

func TestRefusedParamsAndRepair(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "good")
	at := r.db.Seq()
	r.plugin(t, "g", "good", resource.Params{"volume": "loud"})
	assert.Equal(t, "too loud", r.wrong(t, at, "g"))
	at = r.db.Seq()
	r.plugin(t, "g", "good", resource.Params{"volume": "low"})
	r.began(t, at, "g")
	p, err := api.Plugins.Get(r.db.View(), "g")
	require.NoError(t, err)
	assert.Empty(t, p.PluginErrors)
	at = r.db.Seq()
	r.plugin(t, "g", "good", resource.Params{"volume": "high"}) // the same process takes it
	r.began(t, at, "g")
	out, err := r.do(t, r.machine(t, resource.Params{"tone": "c"}), "echo")
	require.NoError(t, err)
	assert.JSONEq(t, `["g",{"tone":"c"},"high"]`, out)
}

func TestASlowPluginBlocksNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0, 0)
	r.run(t)
	r.upload(t, "slow")
	at := r.db.Seq()
	r.plugin(t, "s", "slow", nil)
	r.began(t, at, "s")
	for n := range 100 {
		r.update(t, func(tx *resource.Tx) error { return api.Profiles.Create(tx, &api.Profile{Name: fmt.Sprintf("p%d", n)}) })
	}
	m := r.machine(t, nil)
	_, err := r.do(t, m, "fail")
	assert.EqualError(t, err, "stuck")
}
