package dhcp

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"drpd/pkg/api"
	"drpd/pkg/pxe"
	"drpd/pkg/resource"
)

// Lease states.
const (
	stateProbe   = "PROBE"   // being asked whether somebody uses it
	stateOffer   = "OFFER"   // offered, not yet accepted
	stateAck     = "ACK"     // in use
	stateInvalid = "INVALID" // used by a stranger: parked
)

// How long things are held.
const (
	probeHold = 5 * time.Second
	offerHold = time.Minute // some firmware collects offers for long
	parkHold  = time.Hour
)

// BootFunc chooses a boot file; pxe.Server.Boot is one.
type BootFunc func(r resource.Reader, q pxe.BootQuery) pxe.BootAnswer

// Reply is what was decided. Type None means silence, and Why says why.
type Reply struct {
	Type  dhcpv4.MessageType
	Why   string
	Addr  netip.Addr // yiaddr
	Probe bool       // somebody must ask whether Addr is in use before this goes out

	Server  netip.Addr    // option 54
	Next    netip.Addr    // siaddr
	Lease   time.Duration // option 51
	Options dhcpv4.Options
	File    string
	Env     string // what the client will boot, for the log
	Boot    bool   // boot options are in it
}

// Decider decides what packets change and how they are answered. It holds no
// state of leases, only where to look for the next free address.
type Decider struct {
	Boot    BootFunc // nil: boot options are never given
	Probing bool     // fresh addresses are to be probed
	cursors map[string]*cursor
}

func silence(why string) (Reply, error) { return Reply{Why: why}, nil }

// Decide answers one packet and writes the lease. It must run inside
// resource.DB.Update, and its Reply be sent only after that returned.
func (d *Decider) Decide(tx *resource.Tx, now time.Time, q Query) (Reply, error) {
	if q.asksIfAlive() {
		return Reply{Type: dhcpv4.MessageTypeNak, Server: q.Dst, Why: "somebody asks whether we are alive"}, nil
	}
	l, ok := on(tx, q)
	if !ok {
		return silence("no subnet of ours")
	}
	if q.BINL || (l.subnet != nil && l.subnet.Proxy) {
		return d.proxy(tx, q, l)
	}
	h := holder{tx: tx, now: now, q: q, l: l}
	h.find()
	switch q.Type {
	case dhcpv4.MessageTypeDiscover:
		return d.discover(h)
	case dhcpv4.MessageTypeRequest:
		return d.request(h)
	case dhcpv4.MessageTypeRelease:
		return h.release()
	case dhcpv4.MessageTypeDecline:
		return h.decline()
	case dhcpv4.MessageTypeInform:
		return d.inform(h)
	}
	return silence("not a message for servers: " + q.Type.String())
}

// discover offers an address and holds it for a while.
func (d *Decider) discover(h holder) (Reply, error) {
	if !h.serves() {
		return silence("subnet leases nothing to this client")
	}
	if h.lease != nil && h.lease.State == stateProbe && h.live(h.lease) {
		return silence("its offer is being probed")
	}
	a, fresh := h.own()
	if !a.IsValid() {
		if a = d.pick(h); !a.IsValid() {
			return silence("no free address")
		}
		fresh = true
	}
	state, hold := stateOffer, offerHold
	if fresh && d.Probing && h.res == nil {
		state, hold = stateProbe, probeHold
	}
	if fresh || !h.live(h.lease) {
		if err := h.save(a, state, hold); err != nil {
			return Reply{}, err
		}
	}
	r := d.grant(h, dhcpv4.MessageTypeOffer, a)
	r.Probe = state == stateProbe
	return r, nil
}

// request accepts, renews or refuses, by RFC 2131 section 4.3.2.
func (d *Decider) request(h holder) (Reply, error) {
	q := h.q
	want := orElse(q.Wanted, q.Client)
	switch {
	case q.ServerID.IsValid() && !h.isUs(q.ServerID):
		return h.lost()
	case !want.IsValid():
		return silence("it asks for no address")
	case !h.serves():
		return silence("subnet leases nothing to this client")
	case h.lease != nil && h.lease.State == stateProbe && h.live(h.lease):
		return silence("its offer is being probed")
	}
	if a, _ := h.own(); a == want && h.lease != nil && h.lease.Addr == want.String() {
		return d.ack(h, want)
	}
	if h.res != nil && h.resAddr() == want && !h.taken(want) {
		return d.ack(h, want) // reserved: good without an offer of ours
	}
	reboot := !q.ServerID.IsValid() && !q.Client.IsValid()
	switch {
	case h.l.net.Contains(want):
		// In INIT-REBOOT a client that nobody here knows may be another server's.
		if reboot && h.res == nil && h.lease == nil && !h.taken(want) {
			return silence("it reboots with a lease that is not known here")
		}
	default:
		if s, _ := subnetOf(h.tx, want); s == nil && h.res == nil && h.lease == nil {
			return silence("it asks for an address outside every subnet")
		}
	}
	return h.nak()
}

func (d *Decider) ack(h holder, a netip.Addr) (Reply, error) {
	r := d.grant(h, dhcpv4.MessageTypeAck, a)
	if err := h.save(a, stateAck, r.Lease); err != nil {
		return Reply{}, err
	}
	return r, h.follow(a, r.Boot)
}

// inform tells a client with an address of its own the network's options.
func (d *Decider) inform(h holder) (Reply, error) {
	if !h.q.Client.IsValid() || !h.l.net.Contains(h.q.Client) || h.l.subnet == nil || !h.l.subnet.Enabled {
		return silence("not on an enabled subnet of ours")
	}
	r := d.grant(h, dhcpv4.MessageTypeAck, h.q.Client)
	r.Addr, r.Lease = netip.Addr{}, 0
	return r, nil
}

// confirm turns a probed address into an offer.
func confirm(tx *resource.Tx, now time.Time, q Query, a netip.Addr) error {
	return api.Leases.Modify(tx, a.String(), func(l *api.Lease) error {
		if l.Token != q.MAC || l.State != stateProbe {
			return resource.Errorf(resource.Conflict, "leases", l.Addr, "not being probed for %s any more", q.MAC)
		}
		l.State, l.ExpireTime = stateOffer, now.Add(offerHold).UTC()
		return nil
	})
}

// park takes an address that somebody else uses out of service for an hour.
func park(tx *resource.Tx, now time.Time, a netip.Addr) error {
	return api.Leases.Put(tx, &api.Lease{
		Addr: a.String(), Strategy: "MAC", State: stateInvalid,
		ExpireTime: now.Add(parkHold).UTC(), Duration: int32(parkHold / time.Second),
	})
}
