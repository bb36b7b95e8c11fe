package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// socket is one UDP port, on one interface or on all.
type socket struct {
	net.PacketConn
	p    *ipv4.PacketConn
	binl bool
}

// packet is one datagram with where it came in.
type packet struct {
	data    []byte
	ifindex int
	dst     netip.Addr
	from    netip.AddrPort
	sock    *socket
}

// maxPacket bounds a request, in bytes.
const maxPacket = 2048

// listen opens the DHCP port and the BINL port on every served interface.
func (s *Server) listen() ([]*socket, error) {
	names := slices.Compact(slices.Sorted(slices.Values(s.cfg.Interfaces)))
	if len(names) == 0 {
		names = []string{""}
	}
	var out []*socket
	for _, name := range names {
		for _, port := range []int{s.cfg.Port, s.cfg.BINLPort} {
			if port < 0 {
				continue
			}
			k, err := open(name, port)
			if err != nil {
				for _, k := range out {
					k.Close()
				}
				return nil, fmt.Errorf("listen for DHCP on interface %q port %d: %w", name, port, err)
			}
			k.binl = port == s.cfg.BINLPort
			out = append(out, k)
		}
	}
	return out, nil
}

func open(ifname string, port int) (*socket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) {
			// Never SO_REUSEADDR: with it any user of this host binds one of our
			// addresses beside us and gets what is sent there. Sockets of different
			// interfaces do without.
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			if ifname != "" && err == nil {
				err = os.NewSyscallError("bind to "+ifname, unix.BindToDevice(int(fd), ifname))
			}
		})
		return errors.Join(ctlErr, err)
	}}
	c, err := lc.ListenPacket(context.Background(), "udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(c)
	if err := p.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true); err != nil {
		c.Close()
		return nil, err
	}
	return &socket{PacketConn: c, p: p}, nil
}

// read queues packets until the socket is closed.
func (s *Server) read(ctx context.Context, k *socket) error {
	buf := make([]byte, maxPacket)
	for {
		n, cm, src, err := k.p.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read DHCP socket: %w", err)
		}
		p := packet{data: append([]byte(nil), buf[:n]...), sock: k}
		if cm != nil {
			p.ifindex = cm.IfIndex
			p.dst, _ = netip.AddrFromSlice(cm.Dst.To4())
		}
		if u, ok := src.(*net.UDPAddr); ok {
			a := u.AddrPort()
			p.from = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
		select {
		case s.jobs <- p:
		default:
			if n := s.dropped.Add(1); n&(n-1) == 0 {
				s.cfg.Log.Warn("DHCP packets dropped: more than can be answered", "dropped", n)
			}
		}
	}
}

func (k *socket) write(data []byte, to netip.AddrPort, ifindex int) error {
	cm := &ipv4.ControlMessage{IfIndex: ifindex}
	if !limited(to.Addr()) {
		cm.IfIndex = 0 // the routing table knows better
	}
	_, err := k.p.WriteTo(data, cm, net.UDPAddrFromAddrPort(to))
	return err
}

// atfCom marks a complete entry: the hardware address is known.
const atfCom = 0x02

// arpReq is the kernel's struct arpreq of <net/if_arp.h>.
type arpReq struct {
	proto unix.RawSockaddrInet4
	hw    unix.RawSockaddr
	flags int32
	mask  unix.RawSockaddr
	dev   [16]byte
}

// arp tells the kernel where a client is that cannot answer ARP yet.
func (k *socket) arp(ifname string, a netip.Addr, mac net.HardwareAddr) error {
	req := arpReq{flags: atfCom}
	req.proto.Family, req.proto.Addr = unix.AF_INET, a.As4()
	req.hw.Family = unix.ARPHRD_ETHER
	for i, b := range mac {
		req.hw.Data[i] = int8(b)
	}
	copy(req.dev[:15], ifname)
	raw, err := k.PacketConn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, unix.SIOCSARP, uintptr(unsafe.Pointer(&req)))
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("SIOCSARP", errno)
	}
	return err
}

// iface is what is known of one interface.
type iface struct {
	name  string
	addrs []netip.Prefix
	until time.Time
}

// ifaceCache spares asking the kernel for every packet.
type ifaceCache struct {
	mu sync.Mutex
	m  map[int]iface
}

// ifaceTTL is how soon a changed address is noticed.
const ifaceTTL = 2 * time.Second

func (c *ifaceCache) get(index int) iface {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if i, ok := c.m[index]; ok && now.Before(i.until) {
		return i
	}
	i := iface{until: now.Add(ifaceTTL)}
	if n, err := net.InterfaceByIndex(index); err == nil {
		i.name = n.Name
		addrs, _ := n.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				i.addrs = append(i.addrs, p)
			}
		}
	}
	if c.m == nil {
		c.m = map[int]iface{}
	}
	c.m[index] = i
	return i
}
