package boot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// carrierCheck is how often links are looked at while waiting for one.
const carrierCheck = 100 * time.Millisecond

// ethernetLinks lists the interfaces DHCP can be tried on.
func ethernetLinks() ([]net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var links []net.Interface
	for _, l := range all {
		if len(l.HardwareAddr) == 6 && l.Flags&net.FlagLoopback == 0 {
			links = append(links, l)
		}
	}
	return links, nil
}

// raise brings the links and the loopback up. A link that fails is logged.
func raise(links []net.Interface, log *slog.Logger) {
	for _, name := range append([]string{"lo"}, names(links)...) {
		if err := linkUp(name); err != nil {
			log.Warn("bring link up", "interface", name, "err", err)
		}
	}
}

func names(links []net.Interface) []string {
	var s []string
	for _, l := range links {
		s = append(s, l.Name)
	}
	return s
}

func linkUp(name string) error {
	return withIfreq(name, func(fd int, r *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
			return err
		}
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
}

// setAddress gives the interface its one IPv4 address.
func setAddress(name string, p netip.Prefix) error {
	err := withIfreq(name, func(fd int, r *unix.Ifreq) error {
		if err := r.SetInet4Addr(p.Addr().AsSlice()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, r); err != nil {
			return err
		}
		if err := r.SetInet4Addr(net.CIDRMask(p.Bits(), 32)); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, r)
	})
	if err != nil {
		return fmt.Errorf("set address %s on %s: %w", p, name, err)
	}
	return nil
}

func withIfreq(name string, do func(fd int, r *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	return do(fd, r)
}

// setDefaultRoute replaces the IPv4 default route. The router is taken to be on
// the link even if the netmask says otherwise, as with /32 leases.
func setDefaultRoute(ifIndex int, router netip.Addr) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, routeMessage(ifIndex, router), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("set default route by %s: %w", router, err)
	}
	if err := netlinkAnswer(fd); err != nil {
		return fmt.Errorf("set default route by %s: %w", router, err)
	}
	return nil
}

func routeMessage(ifIndex int, router netip.Addr) []byte {
	ne := binary.NativeEndian
	m := make([]byte, unix.SizeofNlMsghdr, 64)
	ne.PutUint16(m[4:], unix.RTM_NEWROUTE)
	ne.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	ne.PutUint32(m[8:], 1)
	// struct rtmsg: family, lengths, tos, table, protocol, scope, type, flags.
	m = append(m, unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_DHCP, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST)
	m = ne.AppendUint32(m, unix.RTNH_F_ONLINK)
	m = append(attrHeader(m, unix.RTA_GATEWAY), router.AsSlice()...)
	m = ne.AppendUint32(attrHeader(m, unix.RTA_OIF), uint32(ifIndex))
	ne.PutUint32(m[0:], uint32(len(m)))
	return m
}

// attrHeader starts an attribute of four bytes.
func attrHeader(m []byte, kind uint16) []byte {
	return binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(m, 8), kind)
}

// netlinkAnswer reads the acknowledgment of one request.
func netlinkAnswer(fd int) error {
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return errors.New("kernel gave no acknowledgment")
	}
	if code := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

func hasCarrier(name string) bool {
	link, err := net.InterfaceByName(name)
	return err == nil && link.Flags&net.FlagRunning != 0
}

// waitCarrier returns the links that have a carrier as soon as one has, or none
// when ctx is done.
func waitCarrier(ctx context.Context, links []net.Interface) []net.Interface {
	for {
		var up []net.Interface
		for _, l := range links {
			if hasCarrier(l.Name) {
				up = append(up, l)
			}
		}
		if len(up) > 0 {
			return up
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(carrierCheck):
		}
	}
}
