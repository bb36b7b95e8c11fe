package bmc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// TestActionsGoWithTheirMachine, also one under way: nobody else may delete them.
func TestActionsGoWithTheirMachine(t *testing.T) {
	t.Parallel()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: []resource.Hook{Hook()}})
	require.NoError(t, err)
	goes, stays := &api.Machine{Name: "goes"}, &api.Machine{Name: "stays"}
	var left string
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		for _, m := range []*api.Machine{goes, stays} {
			require.NoError(t, api.Machines.Create(tx, m))
			for range 2 { // the first is cancelled by the second
				left, err = Order(tx, tx.Now(), m.Uuid, api.BMCOff, "")
				require.NoError(t, err)
			}
		}
		return nil
	}))
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Delete(tx, goes.Uuid) }))
	assert.Equal(t, 2, api.BMCActions.Len(db.View()))
	a, err := api.BMCActions.Get(db.View(), left)
	require.NoError(t, err)
	assert.Equal(t, stays.Uuid, a.Machine)
}
