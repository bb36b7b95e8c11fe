package dhcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// TestHeldMachinesKeepTheirAddress: one that is held and may still run uses the
// address that it had, however long ago its lease ended.
func TestHeldMachinesKeepTheirAddress(t *testing.T) {
	t.Parallel()
	held := func(change func(m *api.Machine)) *api.Machine {
		m := &api.Machine{Name: "held", HardwareAddrs: []string{macB}, PoolStatus: api.HoldDestroy}
		if change != nil {
			change(m)
		}
		return m
	}
	for name, c := range map[string]struct {
		m      *api.Machine
		leases []*api.Lease
		mac    string
		asks   string
		want   string // the address that is offered
	}{
		"held, its lease over":         {held(nil), []*api.Lease{lease("10.0.0.10", macB, "ACK", -240*time.Hour)}, macA, "10.0.0.10", "10.0.0.11"},
		"held, its address without":    {held(func(m *api.Machine) { m.Address = "10.0.0.10" }), nil, macA, "10.0.0.10", "10.0.0.11"},
		"held, and not known off":      {held(func(m *api.Machine) { m.Fence = &api.Fence{} }), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macA, "10.0.0.10", "10.0.0.11"},
		"held, its power left":         {held(func(m *api.Machine) { m.Fence = &api.Fence{Spared: true} }), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macA, "10.0.0.10", "10.0.0.11"},
		"held, and shown off":          {held(func(m *api.Machine) { m.Fence = &api.Fence{Off: true} }), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macA, "10.0.0.10", "10.0.0.10"},
		"not held":                     {held(func(m *api.Machine) { m.PoolStatus = api.Free }), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macA, "10.0.0.10", "10.0.0.10"},
		"held, and it asks itself":     {held(nil), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macB, "", "10.0.0.10"},
		"held, all others are taken":   {held(nil), full(), macA, "", ""},
		"held, it asks by another NIC": {held(func(m *api.Machine) { m.HardwareAddrs = []string{macB, macA} }), []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour)}, macA, "10.0.0.10", "10.0.0.10"},
	} {
		db := newDB(t, mem.New(mem.Config{}), func(tx *resource.Tx) error {
			for _, l := range c.leases {
				require.NoError(t, api.Leases.Create(tx, l))
			}
			require.NoError(t, api.Machines.Create(tx, c.m))
			return api.Subnets.Create(tx, subnet(nil))
		})
		var with []change
		if c.asks != "" {
			with = append(with, ip(50, c.asks))
		}
		var d Decider
		var got Reply
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) (err error) {
			got, err = d.Decide(tx, epoch, query(t, c.mac, discover, with...))
			return err
		}), name)
		if c.want == "" {
			assert.Equal(t, none, got.Type, name)
			continue
		}
		assert.Equal(t, c.want, got.Addr.String(), "%s: %s", name, got.Why)
	}
}

// full is a range of which only the held machine's old lease is over.
func full() []*api.Lease {
	return []*api.Lease{lease("10.0.0.10", macB, "ACK", -time.Hour), lease("10.0.0.11", "52:54:00:00:00:01", "ACK", time.Hour),
		lease("10.0.0.12", "52:54:00:00:00:02", "ACK", time.Hour), lease("10.0.0.13", "52:54:00:00:00:03", "ACK", time.Hour)}
}
