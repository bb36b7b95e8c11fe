package bmc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// TestFence: what is held is switched off, once, by what its BMC showed and
// nothing else.
func TestFence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	// ended is the fence's own order, as it came out.
	ended := func(state, power string, ago time.Duration) func(tx *resource.Tx, id string) {
		return func(tx *resource.Tx, id string) {
			a := &api.BMCAction{Machine: id, Want: api.BMCOff, State: state, Power: power, Created: now.Add(-ago), Ended: now.Add(-ago), Error: "no answer"}
			require.NoError(t, api.BMCActions.Create(tx, a))
			require.NoError(t, api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Fence = &api.Fence{Action: a.Uuid}; return nil }))
		}
	}
	for name, c := range map[string]struct {
		m      api.Machine
		given  func(tx *resource.Tx, id string)
		orders int // that are open afterwards
		off    bool
		says   string
	}{
		"held":                    {api.Machine{PoolStatus: api.HoldDestroy}, nil, 1, false, "it is being switched off"},
		"not held":                {api.Machine{PoolStatus: api.InUse}, nil, 0, false, ""},
		"of no hardware":          {api.Machine{PoolStatus: api.HoldDestroy, Virtual: true}, nil, 0, false, ""},
		"its power is left":       {api.Machine{PoolStatus: api.HoldDestroy, Fence: &api.Fence{Spared: true}}, nil, 0, false, ""},
		"without a BMC":           {api.Machine{PoolStatus: api.HoldDestroy, Params: resource.Params{}}, nil, 0, false, "it has no BMC that could show it switched off: it gets nothing to boot but its disk"},
		"shown off":               {api.Machine{PoolStatus: api.HoldDestroy}, ended("done", "off", time.Minute), 0, true, "it is off, as its BMC showed"},
		"done, and shown on":      {api.Machine{PoolStatus: api.HoldDestroy}, ended("done", "on", time.Minute), 0, false, "its BMC does not show it switched off"},
		"the BMC does not answer": {api.Machine{PoolStatus: api.HoldDestroy}, ended("failed", "", time.Minute), 0, false, "its BMC does not show it switched off (no answer)"},
		"and did not for an hour": {api.Machine{PoolStatus: api.HoldDestroy}, ended("failed", "", time.Hour), 1, false, "it is being switched off"},
		"another order came":      {api.Machine{PoolStatus: api.HoldDestroy}, ended("cancelled", "", time.Minute), 0, false, "another order to its BMC came after that"},
		"the BMC is about to boot": {api.Machine{PoolStatus: api.HoldDestroy}, func(tx *resource.Tx, id string) {
			require.NoError(t, api.BMCActions.Create(tx, &api.BMCAction{Machine: id, Want: api.BMCBootPXE, State: "working", Created: now}))
		}, 1, false, ""},
	} {
		db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Now: func() time.Time { return now }})
		require.NoError(t, err)
		m := c.m
		if m.Name = "n1"; m.Params == nil {
			m.Params = resource.Params{ParamAddress: "192.0.2.1"}
		}
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			require.NoError(t, api.Machines.Create(tx, &m))
			if c.given != nil {
				c.given(tx, m.Uuid)
			}
			return nil
		}))
		for range 2 { // looking again changes nothing
			require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { _, err := Fence(tx, now, m.Uuid); return err }), name)
		}
		open := 0
		for a := range api.BMCActions.All(db.View()) {
			if !a.Over() {
				open++
			}
		}
		assert.Equal(t, c.orders, open, name)
		is, err := api.Machines.Get(db.View(), m.Uuid)
		require.NoError(t, err)
		if c.says != "" && assert.NotNil(t, is.Fence, name) {
			assert.Contains(t, is.Fence.Says, c.says, name)
		}
		assert.Equal(t, c.off, is.Fence != nil && is.Fence.Off, name)
	}
}

// TestHeldNoMore: an order to switch a machine off does not outlive its reason.
func TestHeldNoMore(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"wanted": "cancelled", "": "cancelled", "working": "working", "done": "done"} {
		db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: []resource.Hook{Hook()}})
		require.NoError(t, err)
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			m := &api.Machine{Name: "n1", PoolStatus: api.HoldDestroy, Params: resource.Params{ParamAddress: "192.0.2.1"}}
			require.NoError(t, api.Machines.Create(tx, m))
			a := &api.BMCAction{Machine: m.Uuid, Want: api.BMCOff, State: state}
			require.NoError(t, api.BMCActions.Create(tx, a))
			require.NoError(t, api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Fence = &api.Fence{Action: a.Uuid}; return nil }))
			require.NoError(t, api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Description = "x"; return nil }))
			is, err := api.BMCActions.Get(tx, a.Uuid)
			require.NoError(t, err)
			before := is.State
			require.NoError(t, api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.PoolStatus = api.Destroying; return nil }))
			is, err = api.BMCActions.Get(tx, a.Uuid)
			require.NoError(t, err)
			if want == "cancelled" {
				assert.NotEqual(t, want, before, "as long as it is held")
			}
			assert.Equal(t, want, is.State, state)
			return nil
		}))
	}
}
