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
		state string // of the order
		said  bool   // by an operator
		home  bool
		want  string
	}{
		"wanted":             {"wanted", false, false, "wanted"},
		"under way":          {"working", false, false, "working"},
		"done":               {"done", false, true, "done"},
		"failed":             {"failed", false, true, "failed"},
		"wanted, and let in": {"wanted", true, true, "cancelled"},
		"under way, let in":  {"working", true, false, "working"},
		"failed, and let in": {"failed", true, true, "failed"},
	} {
		r := newRig(t)
		a := &api.BMCAction{Machine: r.id, Want: api.BMCBootPXE, Intent: "i1", State: c.state}
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
