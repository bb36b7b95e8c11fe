package auth

import (
	"net/netip"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// mayReserve lets a machine reserve for itself the address that is leased to it,
// and no other: its Address is its own word, and whoever has an address speaks
// for the machine that it is leased to.
func (i Identity) mayReserve(tx *resource.Tx, c resource.Change) error {
	is, ok := c.New.(*api.Reservation)
	if !ok || i.Machine() == "" || i.covered(c.Kind, "create", c.Key) {
		return nil
	}
	_, m := api.Runner(tx, i.g.machine)
	addr, err := netip.ParseAddr(is.Addr)
	if m == nil || err != nil {
		return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s has no such address", i.Name)
	}
	if mac, ok := api.MAC(is.Token); !ok || !slices.Contains(m.HardwareAddrs, mac) {
		return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s may reserve its address for itself only: %q is none of its MAC addresses", i.Name, is.Token)
	}
	if k, _ := proof.At(tx, tx.Now(), m, addr); k != proof.Lease {
		return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s is not leased to %s: it cannot reserve it", is.Addr, m.Name)
	}
	return nil
}
