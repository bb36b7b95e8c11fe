package proof_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

func TestSameSystem(t *testing.T) {
	t.Parallel()
	const id = "a1234567-89ab-4def-a123-456789abcdef"
	for other, want := range map[string]bool{
		id: true, "A123456789AB4DEFA123456789ABCDEF": true, " " + id + "\n": true,
		"674523a1-ab89-ef4d-a123-456789abcdef": true, // SMBIOS
		"efcdab89-6745-23a1-ef4d-ab89674523a1": true, // IPMI
		"b1234567-89ab-4def-a123-456789abcdef": false,
		"":                                     true, "x": true,
		"00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"03000200-0400-0500-0006-000700080009": true, // a vendor ships it
	} {
		assert.Equal(t, want, proof.SameSystem(id, other), other)
		assert.Equal(t, want, proof.SameSystem(other, id), other)
	}
}

const (
	victim  = "52:54:00:00:00:01"
	another = "52:54:00:00:00:02"
)

// An address proves to be a machine only by a running lease of one of its MACs,
// and less than nothing if it is another's, or the machine is elsewhere.
func TestAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	here := netip.MustParseAddr("10.0.0.10")
	for name, c := range map[string]struct {
		leases []api.Lease
		want   proof.Kind
		why    string
	}{
		"no lease":             {nil, proof.None, ""},
		"its lease":            {[]api.Lease{{Addr: "10.0.0.10", Token: victim, State: "ACK", ExpireTime: now.Add(time.Second)}}, proof.Lease, ""},
		"its lease, over":      {[]api.Lease{{Addr: "10.0.0.10", Token: victim, State: "ACK", ExpireTime: now}}, proof.None, ""},
		"offered to it":        {[]api.Lease{{Addr: "10.0.0.10", Token: victim, State: "OFFER", ExpireTime: now.Add(time.Hour)}}, proof.None, ""},
		"another machine's":    {[]api.Lease{{Addr: "10.0.0.10", Token: another, State: "ACK", ExpireTime: now.Add(time.Hour)}}, proof.None, "10.0.0.10 is leased to machine n2"},
		"a stranger's":         {[]api.Lease{{Addr: "10.0.0.10", Token: "52:54:00:00:00:09", State: "ACK", ExpireTime: now.Add(time.Hour)}}, proof.None, ""},
		"it is elsewhere":      {[]api.Lease{{Addr: "10.0.0.11", Token: victim, State: "ACK", ExpireTime: now.Add(time.Hour)}}, proof.None, "n1 holds the lease of 10.0.0.11"},
		"it was elsewhere":     {[]api.Lease{{Addr: "10.0.0.11", Token: victim, State: "ACK", ExpireTime: now.Add(-time.Hour)}}, proof.None, ""},
		"an address put aside": {[]api.Lease{{Addr: "10.0.0.10", State: "INVALID", ExpireTime: now.Add(time.Hour)}}, proof.None, ""},
	} {
		db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims)})
		require.NoError(t, err)
		m := &api.Machine{Name: "n1", HardwareAddrs: []string{victim}}
		require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
			for _, l := range c.leases {
				if err := api.Leases.Create(tx, &l); err != nil {
					return err
				}
			}
			if err := api.Machines.Create(tx, &api.Machine{Name: "n2", HardwareAddrs: []string{another}}); err != nil {
				return err
			}
			return api.Machines.Create(tx, m)
		}))
		k, why := proof.At(db.View(), now, m, here)
		assert.Equal(t, c.want, k, name)
		assert.Equal(t, c.why, why, name)
		assert.Equal(t, c.want == proof.Lease, proof.MayRead(db.View(), now, m, here), name)
	}
}
