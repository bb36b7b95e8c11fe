package dhcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Option and sub-option numbers that the library has no name for.
const (
	optIPXE       = 175 // iPXE's encapsulated options
	ipxeHTTP      = 19  // sub-option: speaks HTTP
	ipxeNoProxy   = 176 // sub-option: do not wait for proxy DHCP
	subLinkSelect = 5   // of option 82, RFC 3527
	subServerID   = 11  // of option 82, RFC 5107
)

// Query is what one packet says, with where it came in. Parse fills the part
// that is in the packet; the Server adds Local, Dst and BINL.
type Query struct {
	Type     dhcpv4.MessageType
	MAC      string     // lower case, with colons
	Client   netip.Addr // ciaddr
	Wanted   netip.Addr // option 50
	ServerID netip.Addr // option 54
	Relay    netip.Addr // giaddr
	Link     netip.Addr // link selection by the relay
	Override netip.Addr // server identifier override by the relay

	Vendor   string // option 60
	Host     string // option 12
	Arch     uint16 // option 93
	IPXE     bool
	NoHTTP   bool
	Asks     []byte // option 55
	AsksBoot bool   // wants option 67 and is a PXE or HTTP boot client

	Local  []netip.Prefix // of the interface that it came in on
	Dst    netip.Addr     // the address that it was sent to
	From   netip.AddrPort // who sent it
	BINL   bool           // came to port 4011
	Packet *dhcpv4.DHCPv4 // for building the reply
}

// asksIfAlive is how drpcli info status looks for a server: a REQUEST that
// requests nothing, which no client may send (RFC 2131, 4.3.2), from an address.
func (q *Query) asksIfAlive() bool {
	asked := q.Client.IsValid() || q.Wanted.IsValid() || q.ServerID.IsValid() || q.Relay.IsValid() || q.Vendor != ""
	return q.Type == dhcpv4.MessageTypeRequest && !asked && q.From.IsValid() && !q.From.Addr().IsUnspecified()
}

// Parse reads a request of an Ethernet client. Any bytes may be given.
func Parse(data []byte) (Query, error) {
	p, err := dhcpv4.FromBytes(data)
	if err != nil {
		return Query{}, fmt.Errorf("parse DHCP packet of %d bytes: %w", len(data), err)
	}
	if p.OpCode != dhcpv4.OpcodeBootRequest || p.HWType != iana.HWTypeEthernet || len(p.ClientHWAddr) != 6 {
		return Query{}, fmt.Errorf("not a request of an Ethernet client: opcode %d, hardware type %d", p.OpCode, p.HWType)
	}
	if bytes.Equal(p.ClientHWAddr, make([]byte, 6)) || p.ClientHWAddr[0]&1 != 0 {
		return Query{}, fmt.Errorf("%s is not the address of a client", p.ClientHWAddr)
	}
	q := Query{Type: p.MessageType(), MAC: p.ClientHWAddr.String(), Packet: p}
	if q.Type == dhcpv4.MessageTypeNone {
		return Query{}, fmt.Errorf("no DHCP message type: plain BOOTP is not served")
	}
	q.Client, q.Relay = addr(p.ClientIPAddr), addr(p.GatewayIPAddr)
	o := p.Options
	q.Wanted, q.ServerID = addr(o[50]), addr(o[54])
	q.Vendor, q.Host, q.Asks = string(o[60]), string(o[12]), o[55]
	if a := o[93]; len(a) >= 2 {
		q.Arch = binary.BigEndian.Uint16(a)
	}
	sub := dhcpv4.Options{}
	if sub.FromBytes(o[82]) == nil {
		q.Link, q.Override = addr(sub[subLinkSelect]), addr(sub[subServerID])
	}
	q.readIPXE(o)
	q.AsksBoot = bytes.IndexByte(q.Asks, 67) >= 0 && (strings.HasPrefix(q.Vendor, "PXEClient") || q.HTTPClient())
	return q, nil
}

// readIPXE finds out whether the client is an iPXE and can do HTTP. One that
// does not list its features is taken to be complete.
func (q *Query) readIPXE(o dhcpv4.Options) {
	// The user class may be plain text or, by RFC 3004, length-prefixed.
	uc := string(o[77])
	q.IPXE = uc == "iPXE" || uc == "\x04iPXE"
	enc, ok := o[optIPXE]
	if !q.IPXE || !ok {
		return
	}
	sub := dhcpv4.Options{}
	q.NoHTTP = sub.FromBytes(enc) == nil && len(sub) > 0 && !sub.Has(dhcpv4.GenericOptionCode(ipxeHTTP))
}

// HTTPClient says that it is UEFI firmware that boots by HTTP.
func (q Query) HTTPClient() bool { return strings.HasPrefix(q.Vendor, "HTTPClient") }

// asked says whether the client asked for an option; one that lists none gets all.
func (q Query) asked(code byte) bool {
	return len(q.Asks) == 0 || bytes.IndexByte(q.Asks, code) >= 0
}

// addr converts four bytes; anything else, and 0.0.0.0, is no address.
func addr(b []byte) netip.Addr {
	if len(b) == 16 { // the library keeps some addresses in 16 bytes
		a, _ := netip.AddrFromSlice(b)
		if a = a.Unmap(); a.Is4() && !a.IsUnspecified() {
			return a
		}
		return netip.Addr{}
	}
	if len(b) != 4 || bytes.Equal(b, []byte{0, 0, 0, 0}) {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}
