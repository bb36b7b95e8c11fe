// Package ra answers IPv6 router solicitations with "there is no router here".
//
// iPXE waits for such an answer for 14 to 18 seconds before it boots over IPv4.
// The answer names no prefix and no default route, and sends nobody to DHCPv6,
// so no host changes its configuration because of it.
package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
)

// Config makes a responder. Answers is required.
type Config struct {
	Log        *slog.Logger           // default: discard
	Interfaces []string               // listened on; none: all that can multicast
	Answers    func(ifindex int) bool // whether to answer on an interface, asked each time
}

// rejoin is how often new interfaces are looked for.
const rejoin = 5 * time.Second

// Run answers until ctx ends. It needs the right to open raw sockets.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c, err := icmp.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return fmt.Errorf("listen for router solicitations: %w", err)
	}
	defer c.Close()
	p := c.IPv6PacketConn()
	var f ipv6.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv6.ICMPTypeRouterSolicitation)
	err = errors.Join(p.SetICMPFilter(&f), p.SetControlMessage(ipv6.FlagInterface|ipv6.FlagHopLimit, true), p.SetMulticastHopLimit(255))
	if err != nil {
		return fmt.Errorf("prepare socket for router solicitations: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	r := responder{cfg: cfg, p: p, joined: map[int]bool{}}
	for ctx.Err() == nil {
		r.join()
		if err := r.answer(); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

type responder struct {
	cfg    Config
	p      *ipv6.PacketConn
	joined map[int]bool
}

// join listens on interfaces that came up since the last time.
func (r *responder) join() {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	for _, i := range all {
		wanted := len(r.cfg.Interfaces) == 0 || slices.Contains(r.cfg.Interfaces, i.Name)
		if !wanted || r.joined[i.Index] || i.Flags&net.FlagMulticast == 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		if err := r.p.JoinGroup(&i, &net.IPAddr{IP: net.IPv6linklocalallrouters}); err != nil {
			r.cfg.Log.Debug("all-routers group not joined", "interface", i.Name, "err", err)
			continue
		}
		r.joined[i.Index] = true
	}
}

// answer serves packets until it is time to look for new interfaces.
func (r *responder) answer() error {
	if err := r.p.SetReadDeadline(time.Now().Add(rejoin)); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		n, cm, src, err := r.p.ReadFrom(buf)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read router solicitation: %w", err)
		}
		if cm == nil || cm.HopLimit != 255 || !r.joined[cm.IfIndex] || !r.cfg.Answers(cm.IfIndex) {
			continue
		}
		i, err := net.InterfaceByIndex(cm.IfIndex)
		if err != nil {
			continue
		}
		out, ok := Reply(buf[:n], i.HardwareAddr)
		if !ok {
			continue
		}
		to := &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: i.Name}
		if a, ok := src.(*net.IPAddr); ok && a.IP.IsLinkLocalUnicast() {
			to.IP = a.IP
		}
		if _, err := r.p.WriteTo(out, &ipv6.ControlMessage{IfIndex: i.Index, HopLimit: 255}, to); err != nil {
			r.cfg.Log.Debug("router advertisement not sent", "interface", i.Name, "to", to, "err", err)
		}
	}
}

// Reply answers a router solicitation (RFC 4861 section 4.1), if rs is one. The
// kernel fills in the checksum.
func Reply(rs []byte, hw net.HardwareAddr) ([]byte, bool) {
	if len(rs) < 8 || rs[0] != 133 || rs[1] != 0 {
		return nil, false
	}
	// Type, code, checksum (2); hop limit 64, flags 0, router lifetime 0 (2);
	// reachable time 0 (4), retransmission timer 0 (4).
	out := append([]byte{134, 0, 0, 0, 64}, make([]byte, 11)...)
	if len(hw) == 6 {
		out = append(append(out, 1, 1), hw...) // our link-layer address
	}
	return out, true
}
