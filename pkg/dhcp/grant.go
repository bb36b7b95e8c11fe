package dhcp

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"drpd/pkg/pxe"
	"drpd/pkg/resource"
)

// grant builds the reply that gives the client an address: the network's
// options, overridden by the reservation's, and the boot file.
func (d *Decider) grant(h holder, t dhcpv4.MessageType, a netip.Addr) Reply {
	r := Reply{Type: t, Addr: a, Server: h.l.server, Next: nextServer(h), Lease: h.term(), Options: dhcpv4.Options{}}
	own := settings(h)
	r.Options[1] = mask(h.l.net)
	if h.l.net.Bits() < 31 {
		r.Options[28] = binary.BigEndian.AppendUint32(nil, num(h.l.net.Addr())|^uint32(0)>>h.l.net.Bits())
	}
	for code, text := range own {
		v, err := encodeOption(code, text, h.q)
		switch {
		case err != nil:
			r.Why = err.Error()
		case code == 67 || len(v) == 0:
		case h.q.asked(code) || code == 1:
			r.Options[code] = v
		}
	}
	d.addBoot(&r, h.tx, h.q, h.l, own)
	return r
}

// settings merges the options of subnet and reservation.
func settings(h holder) map[byte]string {
	m := map[byte]string{}
	if h.l.subnet != nil {
		for _, o := range h.l.subnet.Options {
			m[o.Code] = o.Value
		}
	}
	if h.res != nil {
		for _, o := range h.res.Options {
			m[o.Code] = o.Value
		}
	}
	for _, code := range []byte{0, 50, 51, 52, 53, 54, 55, 58, 59, 82, 255} { // ours alone to say
		delete(m, code)
	}
	return m
}

func nextServer(h holder) netip.Addr {
	if h.res != nil {
		if a, err := netip.ParseAddr(h.res.NextServer); err == nil && a.Is4() {
			return a
		}
	}
	return subnetNext(h.l)
}

func subnetNext(l link) netip.Addr {
	if l.subnet != nil {
		if a, err := netip.ParseAddr(l.subnet.NextServer); err == nil && a.Is4() {
			return a
		}
	}
	return l.server
}

func mask(p netip.Prefix) []byte {
	return binary.BigEndian.AppendUint32(nil, ^(^uint32(0) >> p.Bits()))
}

// addBoot adds the boot file if the client asks to boot and may. An option 67
// that is set by hand wins; set to "" it forbids booting.
func (d *Decider) addBoot(r *Reply, tx resource.Reader, q Query, l link, own map[byte]string) {
	if q.IPXE {
		r.Options[optIPXE] = []byte{ipxeNoProxy, 1, 1}
	}
	if !q.AsksBoot || d.Boot == nil || (l.subnet != nil && l.subnet.Unmanaged) {
		return
	}
	explicit, byHand := own[67]
	a := d.Boot(tx, pxe.BootQuery{
		MAC: q.MAC, Addr: orElse(r.Addr, q.Client), Server: r.Next, Arch: q.Arch,
		IPXE: q.IPXE, NoHTTP: q.NoHTTP, HTTPClient: q.HTTPClient(),
	})
	if byHand {
		v, err := encodeOption(67, explicit, q)
		if err != nil {
			r.Why = err.Error()
			return
		}
		a.File = string(v)
	}
	if a.Why != "" {
		r.Why = a.Why
	}
	if a.File == "" {
		return
	}
	r.Boot, r.File, r.Env = true, a.File, a.Env
	if q.HTTPClient() {
		r.Options[60] = []byte("HTTPClient")
	}
	// Old firmware reads only the BOOTP field, which holds 127 bytes.
	if len(r.File) > 127 || strings.Contains(r.File, "://") {
		r.Options[67] = []byte(r.File)
	}
}

// proxy answers firmware that got its address from another DHCP server: with a
// boot file and no address (PXE specification 2.1, section 2.2).
func (d *Decider) proxy(tx *resource.Tx, q Query, l link) (Reply, error) {
	r := Reply{Server: l.server, Next: subnetNext(l), Options: dhcpv4.Options{}}
	switch {
	case l.subnet == nil || !l.subnet.Enabled:
		return silence("not on an enabled subnet of ours")
	case !strings.HasPrefix(q.Vendor, "PXEClient") && !q.HTTPClient():
		return silence("not a network boot client")
	case q.Type == dhcpv4.MessageTypeDiscover && !q.BINL:
		r.Type = dhcpv4.MessageTypeOffer
	case q.BINL && (q.Type == dhcpv4.MessageTypeRequest || q.Type == dhcpv4.MessageTypeInform):
		r.Type = dhcpv4.MessageTypeAck
	default:
		return silence("another server's lease")
	}
	q.AsksBoot = true
	d.addBoot(&r, tx, q, l, settings(holder{l: l}))
	if !r.Boot {
		return silence(r.Why)
	}
	r.Options[60] = []byte("PXEClient")
	if q.HTTPClient() {
		r.Options[60] = []byte("HTTPClient")
	} else if q.Arch == pxe.ArchBIOS {
		// Discovery control: take the boot file as it is, ask nobody else.
		r.Options[43] = []byte{6, 1, 8, 255}
	}
	return r, nil
}

// detail words the reply for the flight recorder.
func (r Reply) detail() string {
	out := r.Type.String()
	if r.Addr.IsValid() {
		out += " " + r.Addr.String()
	}
	if r.File != "" {
		out += " " + r.File
	}
	if r.Boot && r.Env == "" {
		out += " (boots its disk: " + r.Why + ")"
	}
	return out
}
