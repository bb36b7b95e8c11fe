package pxe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestNoInstallerForAProtectedMember: neither when it is planned nor when it is
// about to go out, however the wish to boot it came to be.
func TestNoInstallerForAProtectedMember(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const id = "11111111-1111-4111-8111-111111111111"
	protect := func(on bool, status api.PoolStatus) {
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			if err := api.Clusters.Put(tx, &api.Machine{Name: "web", Uuid: id, Protected: on, ProtectedBy: "ann"}); err != nil {
				return err
			}
			return api.Machines.Modify(tx, uuidInst, func(m *api.Machine) error { m.Owner, m.PoolStatus = id, status; return nil })
		}))
	}
	protect(true, api.InUse)
	got, err := f.body(t, "52-54-00-00-00-0c.ipxe", someone)
	require.NoError(t, err)
	assert.Contains(t, got, "sanboot")
	assert.NotContains(t, got, "vmlinuz")
	assert.Contains(t, planFor(f.db.View(), macInst, someone).local, "cluster web is protected: nothing was done, inst is not installed")
	assert.ErrorIs(t, f.claim(t.Context(), uuidInst, "i1"), errSpent)

	protect(true, api.Building)
	p := planFor(f.db.View(), macInst, someone)
	assert.Empty(t, p.local, "its first installation")
	protect(false, api.InUse)
	assert.Empty(t, planFor(f.db.View(), macInst, someone).local)
	assert.NoError(t, f.claim(t.Context(), uuidInst, "i1"))
}
