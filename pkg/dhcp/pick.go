package dhcp

import (
	"net/netip"
	"time"

	"drpd/pkg/api"
)

// window is how many addresses are looked at for one client once a whole range
// was found to be in use.
const window = 1024

// cursor is where the search for a free address in a subnet goes on. It is a
// hint: whatever it says, an address is checked before it is given.
type cursor struct {
	next uint32
	full bool // the last whole round found nothing
}

// pick chooses a fresh address by the subnet's pickers.
func (d *Decider) pick(h holder) netip.Addr {
	if !h.l.leases() || h.l.end < h.l.start {
		return netip.Addr{}
	}
	for _, p := range h.l.subnet.Pickers {
		a := netip.Addr{}
		switch p {
		case "hint":
			if w := h.q.Wanted; w.IsValid() && h.l.inRange(w) && h.free(w) {
				a = w
			}
		case "nextFree":
			a = d.search(h).free
		case "mostExpired":
			a = d.search(h).expired
		}
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// free says whether an address can be given to this client at once.
func (h *holder) free(a netip.Addr) bool { return !h.taken(a) }

// found is the outcome of a search: the first address that never was leased,
// and the one whose lease ended longest ago.
type found struct{ free, expired netip.Addr }

// search walks the range from the cursor: to the first free address, or all
// the way round if it is not known to be full, else only a window of it. So
// the cost for each client is small on average, whatever the fleet's size.
func (d *Decider) search(h holder) found {
	if d.cursors == nil {
		d.cursors = map[string]*cursor{}
	}
	c := d.cursors[h.l.subnet.Name]
	if c == nil {
		c = &cursor{}
		d.cursors[h.l.subnet.Name] = c
	}
	size := uint64(h.l.end) - uint64(h.l.start) + 1
	steps := size
	if c.full {
		steps = min(steps, window)
	}
	var f found
	var oldest time.Time
	for ; steps > 0; steps-- {
		if c.next < h.l.start || c.next > h.l.end {
			c.next = h.l.start
		}
		a := fromNum(c.next)
		c.next++
		if !h.l.inRange(a) || h.taken(a) {
			continue
		}
		l, err := api.Leases.Get(h.tx, a.String())
		if err != nil {
			f.free, c.full = a, false
			return f
		}
		if !f.expired.IsValid() || l.ExpireTime.Before(oldest) {
			f.expired, oldest = a, l.ExpireTime
		}
	}
	c.full = true
	return f
}
