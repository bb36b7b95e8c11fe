package dhcp

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// link is the network that a client is on, as far as we serve it.
type link struct {
	subnet *api.Subnet // nil: only reservations within net
	net    netip.Prefix
	start  uint32
	end    uint32 // inclusive
	server netip.Addr
}

// on finds the network of the client: named by its relay, or the one of its
// own address when it renews directly, or the one of our interface.
func on(r resource.Reader, q Query) (link, bool) {
	where := q.Link
	if !where.IsValid() {
		where = q.Relay
	}
	if !where.IsValid() && q.Client.IsValid() && q.Dst.IsValid() && !limited(q.Dst) {
		where = q.Client
	}
	l := link{server: serverID(q, where)}
	if !l.server.IsValid() {
		return link{}, false
	}
	if where.IsValid() {
		l.subnet, l.net = subnetOf(r, where)
		for _, p := range q.Local {
			if l.subnet == nil && p.Contains(where) {
				l.net = p.Masked()
			}
		}
	} else {
		for _, p := range q.Local {
			if s, net := subnetOf(r, p.Addr()); s != nil {
				l.subnet, l.net, l.server = s, net, orElse(q.Override, p.Addr())
				break
			}
		}
		if l.subnet == nil && len(q.Local) > 0 {
			l.net = q.Local[0].Masked()
		}
	}
	if l.subnet != nil {
		l.start, l.end = rangeOf(l.subnet)
	}
	return l, l.net.IsValid()
}

// serverID is the address that we go by towards this client.
func serverID(q Query, where netip.Addr) netip.Addr {
	for _, p := range q.Local {
		if where.IsValid() && p.Contains(where) {
			return orElse(q.Override, p.Addr())
		}
	}
	for _, p := range q.Local {
		if p.Addr() == q.Dst {
			return orElse(q.Override, p.Addr())
		}
	}
	if len(q.Local) > 0 {
		return orElse(q.Override, q.Local[0].Addr())
	}
	return q.Override
}

// subnetOf finds the subnet that holds an address; the smallest if they nest.
func subnetOf(r resource.Reader, a netip.Addr) (*api.Subnet, netip.Prefix) {
	var best *api.Subnet
	var net netip.Prefix
	for s := range api.Subnets.All(r) {
		p, err := netip.ParsePrefix(s.Subnet)
		if err == nil && p.Contains(a) && (best == nil || p.Bits() > net.Bits()) {
			best, net = s, p.Masked()
		}
	}
	return best, net
}

// leases says whether the subnet hands out addresses of its own now.
func (l link) leases() bool {
	return l.subnet != nil && l.subnet.Enabled && !l.subnet.Proxy && !l.subnet.OnlyReservations &&
		!slices.Contains(l.subnet.Pickers, "none")
}

// inRange says whether an address is one of those.
func (l link) inRange(a netip.Addr) bool {
	if !l.leases() || !l.net.Contains(a) {
		return false
	}
	n := num(a)
	return n >= l.start && n <= l.end && !l.special(a)
}

// special addresses are never leased: ours, the network's and its broadcast.
func (l link) special(a netip.Addr) bool {
	if a == l.server {
		return true
	}
	if p, err := netip.ParsePrefix(l.subnet.Subnet); err == nil && a == p.Addr() {
		return true
	}
	return l.net.Bits() < 31 && (a == l.net.Addr() || num(a) == num(l.net.Addr())|^uint32(0)>>l.net.Bits())
}

func rangeOf(s *api.Subnet) (start, end uint32) {
	a, err1 := netip.ParseAddr(s.ActiveStart)
	b, err2 := netip.ParseAddr(s.ActiveEnd)
	if err1 != nil || err2 != nil || !a.Is4() || !b.Is4() || b.Less(a) {
		return 1, 0
	}
	return num(a), num(b)
}

func num(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func fromNum(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func orElse(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// limited says whether a is the broadcast address of any network.
func limited(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }
