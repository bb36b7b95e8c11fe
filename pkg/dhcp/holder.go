package dhcp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// holder is one client on one link, with what it holds there.
type holder struct {
	tx    *resource.Tx
	now   time.Time
	q     Query
	l     link
	res   *api.Reservation // of this client on this link, nil if none
	lease *api.Lease       // of this client on this link, perhaps expired
}

// find looks up the client's reservation and lease.
func (h *holder) find() {
	for r := range api.Reservations.By(h.tx, "Token", h.q.MAC) {
		if a, err := netip.ParseAddr(r.Addr); err == nil && h.l.net.Contains(a) {
			h.res = r
			break
		}
	}
	for l := range api.Leases.By(h.tx, "Token", h.q.MAC) {
		a, err := netip.ParseAddr(l.Addr)
		if err != nil || l.State == stateInvalid || !h.l.net.Contains(a) {
			continue
		}
		if h.lease == nil || l.ExpireTime.After(h.lease.ExpireTime) {
			h.lease = l
		}
	}
	if h.res != nil && (h.lease == nil || h.lease.Addr != h.res.Addr) {
		h.lease = nil
		if l, err := api.Leases.Get(h.tx, h.res.Addr); err == nil && l.Token == h.q.MAC {
			h.lease = l
		}
	}
}

func (h *holder) resAddr() netip.Addr {
	a, _ := netip.ParseAddr(h.res.Addr)
	return a
}

func (h *holder) live(l *api.Lease) bool { return l != nil && l.ExpireTime.After(h.now) }

// serves says whether the client may hold an address here at all.
func (h *holder) serves() bool { return h.res != nil || h.l.leases() }

// isUs says whether a server identifier names us.
func (h *holder) isUs(id netip.Addr) bool {
	return id == h.l.server || id == h.q.Override ||
		slices.ContainsFunc(h.q.Local, func(p netip.Prefix) bool { return p.Addr() == id })
}

// taken says whether the address is kept for, or used by, somebody else.
func (h *holder) taken(a netip.Addr) bool {
	if r, err := api.Reservations.Get(h.tx, a.String()); err == nil && r.Token != h.q.MAC {
		return true
	}
	l, err := api.Leases.Get(h.tx, a.String())
	if err == nil && l.Token != h.q.MAC && (h.live(l) || h.fenced(api.Machines.One(h.tx, api.ByMAC, l.Token))) {
		return true
	}
	return h.fenced(api.Machines.One(h.tx, api.ByAddress, a.String()))
}

// fenced says that another client's machine is held and may still use the
// address that it had, however long ago.
func (h *holder) fenced(m *api.Machine) bool {
	return m != nil && m.Fenced() && (m.Fence == nil || !m.Fence.Off) && !slices.Contains(m.HardwareAddrs, h.q.MAC)
}

// own is the address that the client has a right to before any picking, and
// whether giving it makes a new lease.
func (h *holder) own() (a netip.Addr, fresh bool) {
	if h.res != nil {
		if a := h.resAddr(); !h.taken(a) {
			return a, h.lease == nil
		}
		return netip.Addr{}, false
	}
	if h.lease == nil {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(h.lease.Addr)
	if err != nil || h.taken(a) || !h.l.inRange(a) {
		return netip.Addr{}, false
	}
	return a, false
}

// term is how long the client's lease lasts: the longer of what a reservation
// and its subnet say.
func (h *holder) term() time.Duration {
	var s int32
	if h.l.subnet != nil {
		if s = h.l.subnet.ActiveLeaseTime; h.res != nil {
			s = h.l.subnet.ReservedLeaseTime
		}
	}
	if h.res != nil {
		s = max(s, h.res.Duration)
	}
	return time.Duration(max(s, 60)) * time.Second
}

// save writes the client's lease, and drops an offer that it held elsewhere on
// this link.
func (h *holder) save(a netip.Addr, state string, hold time.Duration) error {
	for l := range api.Leases.By(h.tx, "Token", h.q.MAC) {
		other, err := netip.ParseAddr(l.Addr)
		if err == nil && other != a && l.State != stateInvalid && h.l.net.Contains(other) {
			if err := api.Leases.Delete(h.tx, l.Addr); err != nil {
				return fmt.Errorf("drop lease %s: %w", l.Addr, err)
			}
		}
	}
	n := api.Lease{Addr: a.String(), Strategy: "MAC"}
	if old, err := api.Leases.Get(h.tx, n.Addr); err == nil {
		n.Common = old.Common
	}
	n.Token, n.State = h.q.MAC, state
	n.Duration, n.ExpireTime = int32(hold/time.Second), h.now.Add(hold).UTC()
	n.SkipBoot = !h.q.AsksBoot
	n.Via = h.l.server.String()
	if h.q.Relay.IsValid() {
		n.Via = h.q.Relay.String()
	}
	if err := api.Leases.Put(h.tx, &n); err != nil {
		return fmt.Errorf("save lease %s of %s: %w", n.Addr, n.Token, err)
	}
	return nil
}

// lost: the client took another server's offer, so ours is free at once.
func (h *holder) lost() (Reply, error) {
	if h.lease != nil && h.lease.State != stateAck {
		if err := api.Leases.Delete(h.tx, h.lease.Addr); err != nil {
			return Reply{}, fmt.Errorf("withdraw offer %s: %w", h.lease.Addr, err)
		}
	}
	return silence("it chose another server")
}

// mine returns the lease of that address if the client holds it and means us.
func (h *holder) mine(a netip.Addr) *api.Lease {
	if !a.IsValid() || (h.q.ServerID.IsValid() && !h.isUs(h.q.ServerID)) {
		return nil
	}
	l, err := api.Leases.Get(h.tx, a.String())
	if err != nil || l.Token != h.q.MAC || l.State == stateInvalid {
		return nil
	}
	return l
}

// release ends a lease; the client gets the same address again if it can.
func (h *holder) release() (Reply, error) {
	if l := h.mine(h.q.Client); l != nil && h.live(l) {
		n := *l
		n.ExpireTime = h.now.UTC()
		if err := api.Leases.Put(h.tx, &n); err != nil {
			return Reply{}, fmt.Errorf("release %s: %w", n.Addr, err)
		}
	}
	return silence("released")
}

// decline: the client found that somebody else uses the address.
func (h *holder) decline() (Reply, error) {
	if l := h.mine(h.q.Wanted); l != nil {
		if err := park(h.tx, h.now, h.q.Wanted); err != nil {
			return Reply{}, fmt.Errorf("park %s: %w", l.Addr, err)
		}
	}
	return silence("declined")
}

func (h *holder) nak() (Reply, error) {
	return Reply{Type: dhcpv4.MessageTypeNak, Why: "that address is not for this client", Server: h.l.server}, nil
}

// follow keeps the Address of the known machine: that of the interface it
// boots from, or of whichever it has if the old one is gone.
func (h *holder) follow(a netip.Addr, boots bool) error {
	m := api.Machines.One(h.tx, api.ByMAC, h.q.MAC)
	if m == nil || m.Address == a.String() {
		return nil
	}
	if !boots && m.Address != "" {
		l, err := api.Leases.Get(h.tx, m.Address)
		if err == nil && h.live(l) && l.Token != h.q.MAC && slices.Contains(m.HardwareAddrs, l.Token) {
			return nil
		}
	}
	err := api.Machines.Modify(h.tx, m.Uuid, func(m *api.Machine) error {
		m.Address = a.String()
		return nil
	})
	if err != nil {
		return fmt.Errorf("note address %s of machine %s: %w", a, m.Name, err)
	}
	return nil
}
