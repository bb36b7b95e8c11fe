package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// TestHomeWaitsForTheBMC: what became of an order to a BMC is known from the BMC,
// or an operator does without it.
func TestHomeWaitsForTheBMC(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state  string // of the order
		intent string // for which it was given
		said   bool   // by an operator
		home   bool
		want   string
	}{
		"wanted":               {"wanted", "i1", false, false, "wanted"},
		"under way":            {"working", "i1", false, false, "working"},
		"done":                 {"done", "i1", false, true, "done"},
		"failed":               {"failed", "i1", false, true, "failed"},
		"wanted, and let in":   {"wanted", "i1", true, true, "cancelled"},
		"failed, and let in":   {"failed", "i1", true, true, "failed"},
		"for a boot of before": {"wanted", "i0", false, true, "wanted"},
		"under way, let in":    {"working", "i1", true, false, "working"},
	} {
		r := newRig(t)
		a := &api.BMCAction{Machine: r.id, Want: api.BMCBootPXE, Intent: c.intent, State: c.state}
		r.update(func(tx *resource.Tx) error {
			require.NoError(t, api.BMCActions.Create(tx, a))
			if c.said {
				require.NoError(t, proof.Claims.Put(tx, &proof.Claim{Machine: r.id, Id: "c", Proof: proof.Operator, Intent: "i1"}))
			}
			return api.Machines.Modify(tx, r.id, func(m *api.Machine) error {
				m.Boot = &api.BootState{Intent: "i1", Env: m.BootEnv}
				return nil
			})
		})
		r.update(func(tx *resource.Tx) error { return Home(tx, r.id, "local") })
		m, err := api.Machines.Get(r.db.View(), r.id)
		require.NoError(t, err)
		assert.Equal(t, c.home, m.Boot.Home, name)
		is, err := api.BMCActions.Get(r.db.View(), a.Uuid)
		require.NoError(t, err)
		assert.Equal(t, []string{c.want, ""}, []string{is.State, is.Power}, name)
	}
}

// TestRetakenIsBootedAnew: a machine that is taken back where it is gets a new
// boot all the same, whoever saves, so that its last owner's system is not taken
// for the one that wipes.
func TestRetakenIsBootedAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bmc, moving bool
		to          api.PoolStatus
		anew        bool
	}{
		"released":                 {true, false, api.Destroying, true},
		"released by the workflow": {true, true, api.Destroying, true},
		"without a BMC":            {false, false, api.Destroying, false},
		"still in use":             {true, false, api.InUse, false},
	} {
		r := newRig(t)
		r.update(func(tx *resource.Tx) error {
			require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "net", Kernel: "k"}))
			return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Moving, m.BootEnv = true, "net"; return nil })
		})
		r.update(func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, r.id, func(m *api.Machine) error {
				m.PoolStatus, m.Runnable, m.Boot = api.InUse, true, &api.BootState{Intent: "i1", Env: "net", Home: true}
				if c.bmc {
					m.Params = map[string]any{"ipmi/address": "192.0.2.1"}
				}
				return nil
			})
		})
		r.update(func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Moving, m.PoolStatus = c.moving, c.to; return nil })
		})
		m, err := api.Machines.Get(r.db.View(), r.id)
		require.NoError(t, err)
		assert.Equal(t, []bool{!c.anew, !c.anew, !c.anew}, []bool{m.Boot.Intent == "i1", m.Boot.Home, m.Runnable}, name)
	}
}
