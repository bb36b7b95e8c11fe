package broker

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
	"drpd/pkg/store"
)

// finish completes what every machine runs and moves it on.
func (s *site) finish(t *testing.T) {
	t.Helper()
	for range 3 {
		for m := range api.Machines.All(s.db.View()) {
			require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
				if err := api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.WorkflowComplete = true; return nil }); err != nil {
					return err
				}
				_, err := pool.Transition(tx, tx.Now(), m.Uuid)
				return err
			}))
		}
	}
}

// TestPrivatePool: the members are moved into the cluster's own pool, taken
// there, and returned to where they came from; all or nothing.
func TestPrivatePool(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, 1, store.Faults{})
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Preferences.Create(tx, &api.Preference{Name: api.PrefReleaseProof, Value: api.ReleaseNone})
	}))
	require.NoError(t, s.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Pools.Modify(tx, "default", func(p *api.Pool) error { p.ExitActions = &api.PoolActions{Workflow: "work"}; return nil })
	}))
	ask := func(native string, names ...string) (bool, string) {
		t.Helper()
		members := map[string]any{}
		for _, n := range names {
			members[n] = []any{}
		}
		res, err := s.want(t, native, resource.Params{ParamMembers: members, ParamAllocate: false})
		require.NoError(t, err)
		return res.Done, res.Waiting
	}
	pools := func() map[string]int {
		out := map[string]int{}
		for m := range api.Machines.All(s.db.View()) {
			out[m.Pool+" "+string(m.PoolStatus)]++
		}
		return out
	}
	done, why := ask("broker/allocate", "a", "b", "c", "d")
	assert.False(t, done)
	assert.Equal(t, "cluster c0 needs 4 machines of pool default at once, 3 can be taken", why)
	assert.Equal(t, map[string]int{"default Free": 3}, pools())
	done, why = ask("broker/allocate", "a", "b")
	assert.False(t, done)
	assert.Equal(t, "machines on their way into pool c0: [n00: Leaving n01: Leaving]", why)
	ask("broker/allocate", "a", "b")
	assert.Equal(t, map[string]int{"default Leaving": 2, "default Free": 1}, pools())
	s.finish(t)
	assert.Equal(t, map[string]int{"c0 Free": 2, "default Free": 1}, pools())
	done, _ = ask("broker/allocate", "a", "b")
	assert.True(t, done)
	assert.Equal(t, map[string]int{"c0 InUse": 2, "default Free": 1}, pools())
	assert.Equal(t, []any{"default"}, s.member("a").Params[ParamStack])

	ask("broker/release", "a")
	assert.Equal(t, map[string]int{"c0 InUse": 1, "default Free": 2}, pools())
	ask("broker/release")
	done, _ = ask("broker/release")
	assert.True(t, done)
	assert.Equal(t, map[string]int{"default Free": 3}, pools())
	for m := range api.Machines.All(s.db.View()) {
		assert.Equal(t, resource.Params{}, m.Params)
	}
}
