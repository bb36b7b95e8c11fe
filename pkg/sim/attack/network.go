package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"drpd/pkg/sim/lab"
)

// The boot network: drpd is at .1, leases .100 to .200.
const (
	serverAddr = "10.77.0.1"
	networkOf  = "10.77.0."
	metadata   = "169.254.169.254" // what clouds serve secrets at
)

// network is the server's namespace with a bridge, and one for each host.
type network struct {
	prefix string // of the names of this run
	hosts  []*host
}

// host is one machine on the boot network. It may hold many addresses.
type host struct {
	namespace, mac string
	static         netip.Addr
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (n *network) server() string { return n.prefix + "s" }

// up makes everything. What it made goes with down, also after an error.
func (n *network) up(ctx context.Context, names ...string) error {
	s := n.server()
	steps := [][]string{
		{"netns", "add", s},
		{"-n", s, "link", "set", "lo", "up"},
		{"-n", s, "addr", "add", metadata + "/32", "dev", "lo"},
		{"-n", s, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"},
		{"-n", s, "addr", "add", serverAddr + "/24", "dev", "br0"},
		{"-n", s, "link", "set", "br0", "up"},
	}
	for i, name := range names {
		h := &host{namespace: n.prefix + name, mac: mac(250, i), static: netip.MustParseAddr(fmt.Sprintf("%s%d", networkOf, 10+i))}
		n.hosts = append(n.hosts, h)
		port := fmt.Sprintf("p%d", i)
		steps = append(steps,
			[]string{"netns", "add", h.namespace},
			[]string{"link", "add", port, "netns", s, "type", "veth", "peer", "name", "eth0", "netns", h.namespace},
			[]string{"-n", s, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", h.namespace, "link", "set", "lo", "up"},
			[]string{"-n", h.namespace, "link", "set", "eth0", "address", h.mac, "up"},
			[]string{"-n", h.namespace, "addr", "add", h.static.String() + "/24", "dev", "eth0"})
	}
	for _, step := range steps {
		if err := command(ctx, "ip", step...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	for _, name := range append([]string{n.server()}, n.namespaces()...) {
		if _, err := os.Stat("/run/netns/" + name); err == nil {
			errs = append(errs, command(ctx, "ip", "netns", "del", name))
		}
	}
	return errors.Join(errs...)
}

func (n *network) namespaces() []string {
	var out []string
	for _, h := range n.hosts {
		out = append(out, h.namespace)
	}
	return out
}

// mac is one of ours: locally administered, by group and number.
func mac(group, n int) string {
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", group, n>>8&0xff, n&0xff)
}

// dial connects from inside a namespace, from one of its addresses.
func dial(ctx context.Context, namespace string, from netip.Addr, network, addr string) (conn net.Conn, err error) {
	err = lab.Inside(namespace, func() error {
		d := net.Dialer{Timeout: 10 * time.Second}
		if from.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// listen listens inside a namespace.
func listen(ctx context.Context, namespace, addr string) (ln net.Listener, err error) {
	err = lab.Inside(namespace, func() error {
		var c net.ListenConfig
		ln, err = c.Listen(ctx, "tcp", addr)
		return err
	})
	return ln, err
}

// through is an HTTP client that calls from an address of a namespace.
func through(namespace string, from netip.Addr) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // who attacks does not care whom
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dial(ctx, namespace, from, network, addr)
		},
		MaxIdleConnsPerHost: 1, IdleConnTimeout: 20 * time.Second,
	}}
}

// offer asks for an address in the name of a MAC, which need not be the host's,
// and takes it if take is set.
func (h *host) offer(ctx context.Context, mac string, take bool) (netip.Addr, error) {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return netip.Addr{}, err
	}
	var c *nclient4.Client
	err = lab.Inside(h.namespace, func() error {
		conn, err := nclient4.NewRawUDPConn("eth0", nclient4.ClientPort)
		if err != nil {
			return err
		}
		c, err = nclient4.NewWithConn(conn, hw, nclient4.WithTimeout(3*time.Second), nclient4.WithRetry(10))
		return err
	})
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	broadcast := dhcpv4.WithBroadcast(true)
	var got net.IP
	if take {
		l, err := c.Request(ctx, broadcast)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("lease for %s: %w", mac, err)
		}
		got = l.ACK.YourIPAddr
	} else {
		o, err := c.DiscoverOffer(ctx, broadcast)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("offer for %s: %w", mac, err)
		}
		got = o.YourIPAddr
	}
	addr, ok := netip.AddrFromSlice(got.To4())
	if !ok {
		return addr, fmt.Errorf("%s got no address", mac)
	}
	return addr, command(ctx, "ip", "-n", h.namespace, "addr", "replace", addr.String()+"/24", "dev", "eth0")
}
