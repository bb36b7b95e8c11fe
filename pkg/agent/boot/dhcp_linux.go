package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	// A request is sent after 0, 2 and 6 seconds; a port of a switch that runs
	// spanning tree forwards after up to 30, which the rounds of BringUp cover.
	requestTimeout = 2 * time.Second
	requestTries   = 3
	// messageSize is what fits an Ethernet frame.
	messageSize = 1472
)

// Lease is what a DHCP server gave to one interface.
type Lease struct {
	Interface string
	MAC       net.HardwareAddr
	Addr      netip.Prefix
	Router    netip.Addr   // not valid if none was given
	DNS       []netip.Addr // may be empty
	Domain    string
	Hostname  string
	Server    netip.Addr
	Duration  time.Duration
}

// acquire makes one DHCP exchange on a link.
func acquire(ctx context.Context, link net.Interface, log *slog.Logger) (Lease, error) {
	conn, err := nclient4.NewRawUDPConn(link.Name, nclient4.ClientPort)
	if err != nil {
		return Lease{}, fmt.Errorf("dhcp on %s: open socket: %w", link.Name, err)
	}
	c, err := nclient4.NewWithConn(conn, link.HardwareAddr,
		nclient4.WithTimeout(requestTimeout), nclient4.WithRetry(requestTries))
	if err != nil {
		conn.Close()
		return Lease{}, fmt.Errorf("dhcp on %s: %w", link.Name, err)
	}
	defer c.Close()
	lease, err := exchange(ctx, c, link)
	if err != nil {
		return Lease{}, fmt.Errorf("dhcp on %s (%s): %w", link.Name, link.HardwareAddr, err)
	}
	log.Info("dhcp lease", "interface", link.Name, "address", lease.Addr, "router", lease.Router, "server", lease.Server)
	return lease, nil
}

func exchange(ctx context.Context, c *nclient4.Client, link net.Interface) (Lease, error) {
	// The library's own constructors ask for random numbers and wait; these
	// messages are made by hand.
	xid := transactionID(link.HardwareAddr, time.Now())
	offer, err := c.SendAndRead(ctx, nclient4.DefaultServers, discover(xid, link.HardwareAddr),
		nclient4.IsMessageType(dhcpv4.MessageTypeOffer))
	if err != nil {
		return Lease{}, fmt.Errorf("discover: %w", err)
	}
	server := offer.ServerIdentifier()
	if server == nil || offer.YourIPAddr.IsUnspecified() {
		return Lease{}, errors.New("offer without address or server identifier")
	}
	ack, err := c.SendAndRead(ctx, nclient4.DefaultServers, request(offer, link.HardwareAddr), nclient4.IsAll(
		nclient4.IsCorrectServer(server),
		nclient4.IsMessageType(dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak)))
	if err != nil {
		return Lease{}, fmt.Errorf("request %s of %s: %w", offer.YourIPAddr, server, err)
	}
	if ack.MessageType() == dhcpv4.MessageTypeNak {
		return Lease{}, fmt.Errorf("server %s refused %s: %s", server, offer.YourIPAddr, ack.Message())
	}
	return leaseOf(ack, link)
}

// discover is a DISCOVER with the client identifier that boot firmware sends,
// type 1 and the hardware address, so that the server knows the machine again
// and gives it the same lease.
func discover(xid [4]byte, mac net.HardwareAddr) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootRequest,
		HWType:        iana.HWTypeEthernet,
		TransactionID: xid,
		ClientHWAddr:  mac,
		ClientIPAddr:  net.IPv4zero,
		YourIPAddr:    net.IPv4zero,
		ServerIPAddr:  net.IPv4zero,
		GatewayIPAddr: net.IPv4zero,
		Options:       make(dhcpv4.Options),
	}
	m.SetBroadcast()
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
	m.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{1}, mac...)))
	m.UpdateOption(dhcpv4.OptMaxMessageSize(messageSize))
	m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter,
		dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName, dhcpv4.OptionHostName))
	return m
}

func request(offer *dhcpv4.DHCPv4, mac net.HardwareAddr) *dhcpv4.DHCPv4 {
	m := discover(offer.TransactionID, mac)
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest))
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	m.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	return m
}

// leaseOf checks what the server sent: it comes from the network.
func leaseOf(ack *dhcpv4.DHCPv4, link net.Interface) (Lease, error) {
	addr, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok || !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		return Lease{}, fmt.Errorf("lease with unusable address %s", ack.YourIPAddr)
	}
	mask := ack.SubnetMask()
	if mask == nil {
		mask = net.IP(addr.AsSlice()).DefaultMask()
	}
	ones, bits := mask.Size()
	if bits != 32 || ones == 0 {
		return Lease{}, fmt.Errorf("lease for %s with unusable netmask %s", addr, mask)
	}
	l := Lease{
		Interface: link.Name,
		MAC:       link.HardwareAddr,
		Addr:      netip.PrefixFrom(addr, ones),
		DNS:       addrs(ack.DNS()),
		Domain:    ack.DomainName(),
		Hostname:  ack.HostName(),
		Duration:  ack.IPAddressLeaseTime(0),
	}
	if r := addrs(ack.Router()); len(r) > 0 {
		l.Router = r[0]
	}
	if s := addrs([]net.IP{ack.ServerIdentifier()}); len(s) > 0 {
		l.Server = s[0]
	}
	return l, nil
}

func addrs(ips []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok {
			out = append(out, a)
		}
	}
	return out
}
