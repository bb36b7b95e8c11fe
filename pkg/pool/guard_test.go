package pool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestPoolWithMachinesStaysUnlessForced(t *testing.T) {
	t.Parallel()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Hooks: Hooks()})
	require.NoError(t, err)
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		for _, id := range []string{"used", "empty"} {
			if err := api.Pools.Create(tx, &api.Pool{Id: id}); err != nil {
				return err
			}
		}
		return api.Machines.Create(tx, &api.Machine{Name: "m", Pool: "used"})
	}))
	remove := func(id string, force bool) error {
		ctx := resource.WithOptions(t.Context(), resource.Options{Force: force})
		return db.Update(ctx, func(tx *resource.Tx) error { return api.Pools.Delete(tx, id) })
	}
	require.NoError(t, remove("empty", false))
	err = remove("used", false)
	require.Equal(t, resource.Refused, resource.CodeOf(err), err)
	assert.ErrorContains(t, err, "1 machines are in pool used")
	require.NoError(t, remove("used", true))
	assert.Equal(t, "used", api.Machines.One(db.View(), api.ByName, "m").Pool, "the machine stays in it")
}
