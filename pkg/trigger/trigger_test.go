package trigger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
	"drpd/pkg/workflow"
	"drpd/pkg/workorder"
)

// rig is a server with machine "a" in WorkOrder mode, and "b" not, whose clock
// the test holds.
type rig struct {
	*testing.T
	db  *resource.DB
	x   *Triggers
	now time.Time
}

func object(r resource.Reader, o resource.Object, filter string) (bool, error) {
	return rest.Match(r, api.Machines, o, filter, nil)
}

func machine(r resource.Reader, m *api.Machine, filter string) (bool, error) {
	o, err := api.Machines.Lookup(r, m.Uuid)
	if err != nil {
		return false, err
	}
	return object(r, o, filter)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), x: &Triggers{Match: machine, Object: object, Pattern: rest.EventPattern}}
	orders := &workorder.Orders{Flow: &workflow.Flow{}, Match: machine}
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), Firings), Follow: r.x.Follow,
		Hooks: append(orders.Hooks(), r.x.Hooks()...), Now: func() time.Time { return r.now }})
	require.NoError(t, err)
	r.db = db
	r.update(func(tx *resource.Tx) error {
		errs := []error{
			api.Blueprints.Create(tx, &api.Blueprint{Name: "do"}),
			api.Machines.Create(tx, &api.Machine{Name: "a", WorkOrderMode: true, Runnable: true}),
			api.Machines.Create(tx, &api.Machine{Name: "b", Runnable: true}),
		}
		for _, p := range []string{Cron, Event, Webhook} {
			errs = append(errs, api.TriggerProviders.Create(tx, &api.TriggerProvider{Name: p}))
		}
		return errors.Join(errs...)
	})
	return r
}

func (r *rig) update(fn func(tx *resource.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.Update(r.Context(), fn))
}

func (r *rig) trigger(provider string, params resource.Params, edit ...func(*api.Trigger)) {
	r.Helper()
	t := &api.Trigger{Name: "t", Enabled: true, TriggerProvider: provider, Blueprint: "do", Params: params}
	for _, fn := range edit {
		fn(t)
	}
	r.update(func(tx *resource.Tx) error { return api.Triggers.Create(tx, t) })
}

// look runs the rule at a time and returns what it waits for.
func (r *rig) look(at string) string {
	r.Helper()
	var err error
	r.now, err = time.Parse(time.DateTime, at)
	require.NoError(r, err)
	var why string
	r.update(func(tx *resource.Tx) error {
		res, err := r.x.Step(tx, r.now, "t")
		why = res.Waiting
		return err
	})
	return why
}

func (r *rig) orders() (out []*api.WorkOrder) {
	for o := range api.WorkOrders.All(r.db.View()) {
		out = append(out, o)
	}
	return out
}

func (r *rig) edit(name string, fn func(m *api.Machine)) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, api.Machines.One(tx, api.ByName, name).Uuid, func(m *api.Machine) error { fn(m); return nil })
	})
}

func TestCron(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.trigger(Cron, resource.Params{ParamSchedule: "@hourly"})
	assert.Equal(t, "fires next at 2026-01-01T01:00:00Z", r.look("2026-01-01 00:30:00"))
	assert.Empty(t, r.orders())
	assert.Equal(t, "fires next at 2026-01-01T02:00:00Z", r.look("2026-01-01 01:00:00"))
	assert.Equal(t, "fires next at 2026-01-01T02:00:00Z", r.look("2026-01-01 01:00:00"))
	require.Len(t, r.orders(), 1)
	// Down for hours: one run makes up for all.
	assert.Equal(t, "fires next at 2026-01-01T10:00:00Z", r.look("2026-01-01 09:10:00"))
	require.Len(t, r.orders(), 2)
	// Disabled meanwhile: nothing to make up for.
	enable := func(on bool) {
		r.update(func(tx *resource.Tx) error {
			return api.Triggers.Modify(tx, "t", func(t *api.Trigger) error { t.Enabled = on; return nil })
		})
	}
	enable(false)
	r.look("2026-01-01 09:15:00")
	assert.Equal(t, "disabled: set Enabled to true", r.look("2026-01-01 11:10:00"))
	enable(true)
	assert.Equal(t, "fires next at 2026-01-01T13:00:00Z", r.look("2026-01-01 12:10:00"))
	require.Len(t, r.orders(), 2)
}

// TestOverdue: without a machine the run stays due, says so, and is made once
// one comes; a person is told once.
func TestOverdue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edit("a", func(m *api.Machine) { m.WorkOrderMode = false })
	r.trigger(Cron, resource.Params{ParamSchedule: "@hourly"})
	r.look("2026-01-01 00:30:00")
	want := `overdue since 2026-01-01T01:00:00Z: no runnable machine in WorkOrder mode matches ""`
	assert.Equal(t, want, r.look("2026-01-01 01:00:00"))
	rev := r.db.View().Rev()
	assert.Equal(t, want, r.look("2026-01-01 03:00:00"))
	assert.Equal(t, rev, r.db.View().Rev(), "nothing is written twice")
	alerts := 0
	for a := range api.Alerts.All(r.db.View()) {
		assert.Equal(t, want, a.Contents)
		alerts += a.Count
	}
	assert.Equal(t, 1, alerts)
	r.edit("a", func(m *api.Machine) { m.WorkOrderMode = true })
	assert.Equal(t, "fires next at 2026-01-01T05:00:00Z", r.look("2026-01-01 04:00:00"))
	assert.Len(t, r.orders(), 1)
}

func TestWhoGetsTheOrders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit     func(*api.Trigger)
		machines []string
		filter   string
	}{
		"one":      {func(*api.Trigger) {}, []string{"c"}, ""},
		"two":      {func(t *api.Trigger) { t.FilterCount = 2 }, []string{"c", "d"}, ""},
		"all":      {func(t *api.Trigger) { t.AllInFilter = true }, []string{"a", "c", "d"}, ""},
		"filtered": {func(t *api.Trigger) { t.Filter, t.FilterCount = "Name=In(a,b,d)", 5 }, []string{"a", "d"}, ""},
		"queue":    {func(t *api.Trigger) { t.Filter, t.QueueMode = "Name=a", true }, []string{""}, "Name=a WorkOrderMode=true Runnable=true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.update(func(tx *resource.Tx) error {
				busy := &api.WorkOrder{Blueprint: "do", Machine: api.Machines.One(tx, api.ByName, "a").Uuid}
				return errors.Join(api.WorkOrders.Create(tx, busy),
					api.Machines.Create(tx, &api.Machine{Name: "d", WorkOrderMode: true, Runnable: true}),
					api.Machines.Create(tx, &api.Machine{Name: "c", WorkOrderMode: true, Runnable: true}),
					api.Machines.Create(tx, &api.Machine{Name: "e", WorkOrderMode: true}))
			})
			r.trigger(Cron, resource.Params{ParamSchedule: "@every 1h"}, c.edit)
			r.look("2026-01-01 00:00:00")
			r.look("2026-01-01 01:00:00")
			var got []string
			for _, o := range r.orders() {
				if o.Meta[MetaTrigger] != "t" {
					continue
				}
				assert.Equal(t, c.filter, o.Filter)
				m, err := api.Machines.Get(r.db.View(), o.Machine)
				if err != nil {
					m = &api.Machine{}
				}
				got = append(got, m.Name)
			}
			assert.ElementsMatch(t, c.machines, got)
		})
	}
}

// TestEvent: the order is made in the update that makes the object come to fit
// the filter, once, and triggers do not fire at their own doing.
func TestEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.trigger(Event, resource.Params{ParamMatch: "machines.create,update.*", ParamFilter: "Name=In(b,new) Locked=true"}, func(t *api.Trigger) {
		t.MergeDataIntoParams, t.StoreDataInParameter = true, "what"
		t.WorkOrderParams = resource.Params{"mine": 1.0}
	})
	assert.Empty(t, r.look("2026-01-01 00:00:00"))
	r.edit("b", func(m *api.Machine) { m.OS = "x" })
	r.edit("a", func(m *api.Machine) { m.Locked = true })
	assert.Empty(t, r.orders())
	r.edit("b", func(m *api.Machine) { m.Locked = true })
	require.Len(t, r.orders(), 1)
	o := r.orders()[0]
	b := api.Machines.One(r.db.View(), api.ByName, "b")
	assert.Equal(t, []any{"machines", "update", b.Uuid, 1.0}, []any{o.Params["trigger/type"], o.Params["trigger/action"], o.Params["trigger/key"], o.Params["mine"]})
	assert.Equal(t, "b", o.Params["what"].(map[string]any)["object"].(map[string]any)["Name"])
	r.edit("b", func(m *api.Machine) { m.OS = "y" })
	require.Len(t, r.orders(), 1, "it fitted before")
	r.update(func(tx *resource.Tx) error { return api.Machines.Create(tx, &api.Machine{Name: "new", Locked: true}) })
	require.Len(t, r.orders(), 2)
	f, err := Firings.Get(r.db.View(), "t")
	require.NoError(t, err)
	assert.Equal(t, 2, f.Count)
}

// TestEventWithoutFilter fires at each change, but not at what comes of it: an
// order is a change of its machine and of the orders.
func TestEventWithoutFilter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.trigger(Event, resource.Params{ParamMatch: []any{"machines.update.*", "work_orders.*.*"}})
	r.edit("b", func(m *api.Machine) { m.OS = "x" })
	require.Len(t, r.orders(), 1)
	require.NoError(t, r.db.Update(t.Context(), func(*resource.Tx) error { return nil }))
	require.Len(t, r.orders(), 1)
}

// TestEventProblems never fail the change itself.
func TestEventProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params resource.Params
		filter string
		want   string
	}{
		"no pattern":     {resource.Params{}, "", "param event-trigger/event-match is not set"},
		"bad pattern":    {resource.Params{ParamMatch: "machines"}, "", "is not <type>.<action>.<key>"},
		"bad filter":     {resource.Params{ParamMatch: "machines.*.*", ParamFilter: "nonsense"}, "", "nonsense"},
		"no machine":     {resource.Params{ParamMatch: "machines.*.*"}, "Name=x", "its last cause made no work order: no runnable machine in WorkOrder mode matches"},
		"machine filter": {resource.Params{ParamMatch: "machines.*.*"}, "nonsense", `Filter "nonsense"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.trigger(Event, c.params, func(t *api.Trigger) { t.Filter = c.filter })
			r.edit("b", func(m *api.Machine) { m.OS = "x" })
			assert.Equal(t, "x", api.Machines.One(r.db.View(), api.ByName, "b").OS)
			assert.Empty(t, r.orders())
			assert.Contains(t, r.look("2026-01-01 00:00:00"), c.want)
		})
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.trigger(Webhook, resource.Params{ParamKey: "secret"}, func(t *api.Trigger) { t.MergeDataIntoParams = true })
	call := func(c Call) (f *Firing, err error) {
		err = r.db.Update(t.Context(), func(tx *resource.Tx) error { f, err = r.x.Called(tx, r.now, "t", c); return err })
		return f, err
	}
	first, err := call(Call{Body: []byte(`{"ref": "main", "a b": 1}`), Delivery: "1"})
	require.NoError(t, err)
	require.Len(t, first.WorkOrders, 1)
	again, err := call(Call{Body: []byte(`{"ref": "main"}`), Delivery: "1"})
	require.NoError(t, err)
	assert.Equal(t, first.WorkOrders, again.WorkOrders)
	require.Len(t, r.orders(), 1)
	assert.Equal(t, resource.Params{"trigger/ref": "main", "trigger/a_b": 1.0}, r.orders()[0].Params)
	_, err = call(Call{Body: []byte(`[1]`)})
	require.NoError(t, err)
	_, err = call(Call{Body: []byte(`{`)})
	assert.ErrorContains(t, err, "the body is not JSON")
	_, err = call(Call{Body: make([]byte, MaxCall+1)})
	assert.ErrorContains(t, err, "262145 bytes, 262144 at most")
	r.edit("a", func(m *api.Machine) { m.Runnable = false })
	_, err = call(Call{Delivery: "2"})
	assert.ErrorContains(t, err, "made no work order: no runnable machine")
	r.edit("a", func(m *api.Machine) { m.Runnable = true })
	_, err = call(Call{Delivery: "2"})
	require.NoError(t, err, "a delivery that failed may be sent again")
	require.Len(t, r.orders(), 3)
	r.update(func(tx *resource.Tx) error { return api.Triggers.Delete(tx, "t") })
	assert.False(t, Firings.Has(r.db.View(), "t"))
}

func TestProves(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte("body"))
	sig := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	assert.True(t, Call{Key: "secret"}.Proves("secret"))
	assert.True(t, Call{Signature: sig, Body: []byte("body")}.Proves("secret"))
	for name, c := range map[string]Call{"nothing": {}, "wrong key": {Key: "Secret"}, "wrong body": {Signature: sig, Body: []byte("other")},
		"no hex": {Signature: "sha256=zz"}, "bad signature beats the key": {Key: "secret", Signature: "sha256="}} {
		assert.False(t, c.Proves("secret"), name)
	}
	assert.False(t, Call{}.Proves(""), "without a key nobody may call")
}
