package dhcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Encode builds the packet that answers q, from the request (RFC 2131 table 3).
func Encode(q Query, r Reply) []byte {
	in := q.Packet
	p := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: in.HWType, TransactionID: in.TransactionID,
		Flags: in.Flags, ClientHWAddr: in.ClientHWAddr, GatewayIPAddr: in.GatewayIPAddr,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{},
	}
	for code, v := range r.Options {
		p.Options[code] = v
	}
	p.Options[53] = []byte{byte(r.Type)}
	p.Options[54] = r.Server.AsSlice()
	for _, code := range []uint8{61, 82, 97} { // client id (RFC 6842), relay information, machine id
		if v, ok := in.Options[code]; ok {
			p.Options[code] = v
		}
	}
	if r.Type == dhcpv4.MessageTypeNak {
		p.Options[56] = []byte(r.Why)
		if q.Relay.IsValid() {
			p.SetBroadcast() // the client may be on the wrong network
		}
		return p.ToBytes()
	}
	if q.Type == dhcpv4.MessageTypeRequest || q.Type == dhcpv4.MessageTypeInform {
		p.ClientIPAddr = in.ClientIPAddr
	}
	if r.Addr.IsValid() {
		p.YourIPAddr = r.Addr.AsSlice()
	}
	if r.Lease > 0 {
		p.Options[51] = seconds(r.Lease)
		p.Options[58] = seconds(r.Lease / 2)
		p.Options[59] = seconds(r.Lease * 3 / 4)
	}
	if r.Boot {
		p.ServerIPAddr = r.Next.AsSlice()
		p.ServerHostName = r.Next.String()
		if len(r.File) <= 127 {
			p.BootFileName = r.File
		}
	}
	return p.ToBytes()
}

func seconds(d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(d/time.Second))
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// destination says where a reply goes (RFC 2131 section 4.1). A client without
// an address gets it by broadcast, unless arp can make it reachable.
func destination(q Query, r Reply, ports ports, arp func(netip.Addr) error) (netip.AddrPort, error) {
	all := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), ports.client)
	switch {
	case q.Relay.IsValid():
		return netip.AddrPortFrom(q.Relay, ports.server), nil
	case q.asksIfAlive():
		return q.From, nil
	case r.Type == dhcpv4.MessageTypeNak:
		return all, nil
	case q.BINL && q.From.Addr().IsValid() && !q.From.Addr().IsUnspecified():
		return q.From, nil
	case q.Client.IsValid():
		return netip.AddrPortFrom(q.Client, ports.client), nil
	case q.Packet.IsBroadcast() || !r.Addr.IsValid() || arp == nil:
		return all, nil
	}
	if err := arp(r.Addr); err != nil {
		return all, fmt.Errorf("unicast to %s: %w", r.Addr, err)
	}
	return netip.AddrPortFrom(r.Addr, ports.client), nil
}

// ports in use; other than 67 and 68 only in tests.
type ports struct{ server, client uint16 }
