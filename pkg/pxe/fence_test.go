package pxe

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// TestHeldMachinesBootTheirDisk: whatever they are set to boot, by whatever name
// they ask.
func TestHeldMachinesBootTheirDisk(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for id, mac := range map[string]string{uuidKnown: macKnown, uuidInst: macInst} {
		f.lease(t, "10.0.0.20", mac)
		at := netip.MustParseAddr("10.0.0.20")
		before, err := f.body(t, fileOf(mac), at)
		require.NoError(t, err)
		require.Contains(t, before, "vmlinuz", "it boots from the network")
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, id, func(m *api.Machine) error {
				m.PoolStatus = api.HoldDestroy
				if m.Boot != nil {
					m.Boot.Served = false
				}
				return nil
			})
		}))
		for _, name := range []string{fileOf(mac), "10.0.0.20.ipxe", "pxelinux.cfg/01-" + dashed(mac), "grub/grub.cfg-01-" + dashed(mac), "grub/" + mac + ".cfg"} {
			got, err := f.body(t, name, at)
			require.NoError(t, err, name)
			assert.NotContains(t, got, "vmlinuz", name)
			assert.Contains(t, got, "it is held with data on its disks", name)
		}
	}
}

func dashed(mac string) string { return strings.ReplaceAll(mac, ":", "-") }

func fileOf(mac string) string { return dashed(mac) + ".ipxe" }

// TestWhoReadsWhatIsRendered: a script that may hold a token goes to who could
// claim to be the machine; others boot what unknown machines do.
func TestWhoReadsWhatIsRendered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given func(tx *resource.Tx) error
		reads bool
		gone  bool // nothing is there for it
	}{
		"nothing": {func(*resource.Tx) error { return nil }, false, false},
		"its lease": {func(tx *resource.Tx) error {
			return api.Leases.Put(tx, &api.Lease{Addr: someone.String(), Token: macLocal, State: "ACK", ExpireTime: epoch.Add(time.Hour)})
		}, true, false},
		"its lease, over": {func(tx *resource.Tx) error {
			return api.Leases.Put(tx, &api.Lease{Addr: someone.String(), Token: macLocal, State: "ACK", ExpireTime: epoch})
		}, false, false},
		"another's lease": {func(tx *resource.Tx) error {
			return api.Leases.Put(tx, &api.Lease{Addr: someone.String(), Token: macKnown, State: "ACK", ExpireTime: epoch.Add(time.Hour)})
		}, false, true},
		"its lease, elsewhere": {func(tx *resource.Tx) error {
			return api.Leases.Put(tx, &api.Lease{Addr: "10.0.0.98", Token: macLocal, State: "ACK", ExpireTime: epoch.Add(time.Hour)})
		}, false, true},
	} {
		f := newFixture(t)
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			if err := api.Machines.Modify(tx, uuidLocal, func(m *api.Machine) error { m.BootEnv = "work"; return nil }); err != nil {
				return err
			}
			return c.given(tx)
		}))
		got, err := f.body(t, fileOf(macLocal), someone)
		if c.gone {
			assert.ErrorIs(t, err, ErrNotFound, name)
		} else {
			require.NoError(t, err, name)
			assert.Contains(t, got, "vmlinuz", name)
			assert.Equal(t, c.reads, strings.Contains(got, "id="+uuidLocal), "%s: %s", name, got)
		}
		_, err = f.body(t, "machines/"+uuidLocal+"/preseed.cfg", someone)
		assert.Equal(t, c.reads, err == nil, "%s: %v", name, err)
	}
}

// TestAnInstallerIsFetchedOnce: whoever comes second gets none, also between the
// plan and its delivery; nor does one whose wish is another's, or none.
func TestAnInstallerIsFetchedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	set := func(boot *api.BootState) {
		require.NoError(t, f.db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, uuidInst, func(m *api.Machine) error { m.Boot = boot; return nil })
		}))
	}
	require.NoError(t, f.claim(t.Context(), uuidInst, "i1"))
	assert.ErrorIs(t, f.claim(t.Context(), uuidInst, "i1"), errSpent)
	for name, boot := range map[string]*api.BootState{
		"no wish": nil, "an empty one": {Env: "os-install"}, "for another environment": {Intent: "i2", Env: "work"},
		"it is home": {Intent: "i2", Env: "os-install", Home: true}, "served": {Intent: "i2", Env: "os-install", Served: true},
	} {
		set(boot)
		assert.NotEmpty(t, planFor(f.db.View(), macInst, someone).local, name)
		assert.Empty(t, planFor(f.db.View(), macInst, someone).intent, name)
	}
	set(&api.BootState{Intent: "i2", Env: "os-install"})
	assert.Empty(t, planFor(f.db.View(), macInst, someone).local)
	assert.ErrorIs(t, f.claim(t.Context(), uuidInst, "i1"), errSpent, "the wish of before")
}
