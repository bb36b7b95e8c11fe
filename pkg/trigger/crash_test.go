package trigger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// TestOnceThroughFailures lets commits fail, and the server start again after
// each of them: every change fires once, every run of the schedule too.
func TestOnceThroughFailures(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := store.NewFaulty(mem.New(mem.Config{}), store.Faults{})
	x := &Triggers{Match: machine, Object: object, Pattern: rest.EventPattern}
	open := func() *resource.DB {
		db, err := resource.Open(t.Context(), resource.Config{Store: s, Kinds: append(api.Kinds(), Firings), Follow: x.Follow, Hooks: x.Hooks(), Now: func() time.Time { return now }})
		require.NoError(t, err)
		return db
	}
	db := open()
	failures := 0
	update := func(fn func(tx *resource.Tx) error) {
		t.Helper()
		for {
			err := db.Update(t.Context(), fn)
			if err == nil {
				return
			}
			require.Equal(t, resource.Unavailable, resource.CodeOf(err))
			failures++
			db = open()
		}
	}
	update(func(tx *resource.Tx) error {
		for _, err := range []error{
			api.Blueprints.Create(tx, &api.Blueprint{Name: "do"}),
			api.TriggerProviders.Create(tx, &api.TriggerProvider{Name: Event}), api.TriggerProviders.Create(tx, &api.TriggerProvider{Name: Cron}),
			api.Machines.Create(tx, &api.Machine{Name: "a", WorkOrderMode: true, Runnable: true}),
			api.Triggers.Create(tx, &api.Trigger{Name: "ev", Enabled: true, TriggerProvider: Event, Blueprint: "do", Params: resource.Params{ParamMatch: "profiles.create.*"}}),
			api.Triggers.Create(tx, &api.Trigger{Name: "tick", Enabled: true, TriggerProvider: Cron, Blueprint: "do", Params: resource.Params{ParamSchedule: "@hourly"}}),
		} {
			if err != nil {
				return err
			}
		}
		_, err := x.Step(tx, now, "tick")
		return err
	})
	s.Set(store.Faults{Every: 3})
	for i := range 20 {
		now = now.Add(30 * time.Minute)
		update(func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "p" + string(rune('a'+i))})
		})
		for range 2 { // a second look changes nothing
			update(func(tx *resource.Tx) error { _, err := x.Step(tx, now, "tick"); return err })
		}
	}
	made := map[string]int{}
	for o := range api.WorkOrders.All(db.View()) {
		made[o.Meta[MetaTrigger]]++
	}
	assert.Equal(t, map[string]int{"ev": 20, "tick": 10}, made)
	assert.Positive(t, failures)
}

// TestWant: what is told only if somebody waits for it is told to triggers.
func TestWant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := resource.Event{Type: "tftp", Action: "serve", Key: "x"}
	set := func(enabled bool, match string) {
		r.update(func(tx *resource.Tx) error {
			return api.Triggers.Put(tx, &api.Trigger{Name: "ev", Enabled: enabled, TriggerProvider: Event, Blueprint: "do", Params: resource.Params{ParamMatch: match}})
		})
	}
	assert.False(t, r.x.Want(r.db.View(), e), "there is no trigger")
	set(true, "tftp.serve.*")
	assert.True(t, r.x.Want(r.db.View(), e))
	assert.False(t, r.x.Want(r.db.View(), resource.Event{Type: "static", Action: "serve"}))
	set(false, "tftp.serve.*")
	assert.False(t, r.x.Want(r.db.View(), e), "disabled")
}
