// Package dhcp decides leases, then speaks DHCP, ProxyDHCP and BINL (DHCP on
// port 4011 for PXE).
//
// A packet becomes a Query; a Decider answers it in one update of the objects;
// the reply leaves only when that update is durable. Whatever is not clearly
// meant for us is met with silence, and so is everything while the store fails.
package dhcp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/dhcp/ra"
	"drpd/pkg/pxe"
	"drpd/pkg/resource"
)

// ProbeFunc asks the network for up to 3 s whether an address is in use.
type ProbeFunc func(ctx context.Context, addr netip.Addr) (used bool)

// Config makes a Server. DB is required.
type Config struct {
	DB         *resource.DB
	Log        *slog.Logger   // default: discard
	Boot       BootFunc       // default: no boot options
	Record     pxe.RecordFunc // default: none
	Probe      ProbeFunc      // nil: fresh addresses are not probed
	Interfaces []string       // served, no others; none: all
	Port       int            // default 67; clients listen on the next one
	BINLPort   int            // default 4011; -1: none
	Workers    int            // packets decided at once, default 128
	Queue      int            // packets that may wait, default 4096; more are dropped
	NoRA       bool           // never answer router solicitations
}

// Limits of probing.
const (
	probeTime   = 3 * time.Second
	probesAtMax = 1024
	probeTries  = 3
)

// Server speaks DHCP.
type Server struct {
	cfg     Config
	decider Decider // used only inside DB.Update, which runs one at a time
	ifaces  ifaceCache
	jobs    chan packet
	dropped atomic.Int64
}

// New fills in the defaults of cfg.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Record == nil {
		cfg.Record = func(string, string, string) {}
	}
	for p, def := range map[*int]int{&cfg.Port: 67, &cfg.BINLPort: 4011, &cfg.Workers: 128, &cfg.Queue: 4096} {
		if *p == 0 {
			*p = def
		}
	}
	return &Server{
		cfg: cfg, decider: Decider{Boot: cfg.Boot, Probing: cfg.Probe != nil},
		jobs: make(chan packet, cfg.Queue),
	}
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	socks, err := s.listen()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	probes := &errgroup.Group{}
	probes.SetLimit(probesAtMax)
	for _, k := range socks {
		context.AfterFunc(ctx, func() { k.Close() })
		g.Go(func() error { return s.read(ctx, k) })
	}
	for range s.cfg.Workers {
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case p := <-s.jobs:
					s.handle(ctx, p, probes)
				}
			}
		})
	}
	if !s.cfg.NoRA {
		g.Go(func() error { return s.advertise(ctx) })
	}
	err = g.Wait()
	probes.Wait()
	return err
}

// advertise answers router solicitations where a subnet says so. Leases do not
// depend on it, so a host without IPv6 only gets a warning.
func (s *Server) advertise(ctx context.Context) error {
	err := ra.Run(ctx, ra.Config{Log: s.cfg.Log, Interfaces: s.cfg.Interfaces, Answers: s.answersRS})
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("router solicitations are not answered: iPXE will boot some seconds later", "err", err)
	}
	return nil
}

func (s *Server) answersRS(ifindex int) bool {
	r := s.cfg.DB.View()
	for _, p := range s.ifaces.get(ifindex).addrs {
		if n, _ := subnetOf(r, p.Addr()); n != nil && n.Enabled && n.AnswerRouterSolicitations {
			return true
		}
	}
	return false
}

// handle answers one packet.
func (s *Server) handle(ctx context.Context, p packet, probes *errgroup.Group) {
	q, err := Parse(p.data)
	if err != nil {
		s.cfg.Log.Debug("packet ignored", "from", p.from, "err", err)
		return
	}
	q.Local, q.Dst, q.From, q.BINL = s.ifaces.get(p.ifindex).addrs, p.dst, p.from, p.sock.binl
	r, err := s.decide(ctx, q)
	if err != nil {
		s.cfg.Log.Warn("no reply", "mac", q.MAC, "type", q.Type, "err", err)
		return
	}
	if !r.Probe {
		s.send(p, q, r)
		return
	}
	if !probes.TryGo(func() error { s.probe(ctx, p, q, r); return nil }) {
		s.cfg.Log.Warn("too many probes at once: an address is offered unprobed", "addr", r.Addr)
		s.offer(ctx, p, q, r)
	}
}

// decide runs the decision in an update and returns when it is durable.
func (s *Server) decide(ctx context.Context, q Query) (r Reply, err error) {
	err = s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		r, err = s.decider.Decide(tx, s.cfg.DB.Now(), q)
		return err
	})
	return r, err
}

// probe asks whether the address is in use. If so it is parked and the next is
// tried.
func (s *Server) probe(ctx context.Context, p packet, q Query, r Reply) {
	for range probeTries {
		if !r.Probe {
			s.send(p, q, r)
			return
		}
		pctx, cancel := context.WithTimeout(ctx, probeTime)
		used := s.cfg.Probe(pctx, r.Addr)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if !used {
			s.offer(ctx, p, q, r)
			return
		}
		s.cfg.Log.Warn("address is used by somebody else: parked for an hour", "addr", r.Addr)
		var err error
		upErr := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
			now := s.cfg.DB.Now()
			if err := park(tx, now, r.Addr); err != nil {
				return err
			}
			r, err = s.decider.Decide(tx, now, q)
			return err
		})
		if upErr != nil {
			s.cfg.Log.Warn("no reply", "mac", q.MAC, "err", upErr)
			return
		}
	}
	s.cfg.Log.Warn("no offer: every probed address was in use", "mac", q.MAC, "tried", probeTries)
}

func (s *Server) offer(ctx context.Context, p packet, q Query, r Reply) {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error { return confirm(tx, s.cfg.DB.Now(), q, r.Addr) })
	if err != nil {
		s.cfg.Log.Warn("no offer", "mac", q.MAC, "addr", r.Addr, "err", err)
		return
	}
	s.send(p, q, r)
}

// send writes the reply and tells the log and the flight recorder.
func (s *Server) send(p packet, q Query, r Reply) {
	if r.Type == dhcpv4.MessageTypeNone {
		s.cfg.Log.Debug("silence", "mac", q.MAC, "type", q.Type, "why", r.Why)
		return
	}
	var arp func(netip.Addr) error
	if name := s.ifaces.get(p.ifindex).name; name != "" {
		arp = func(a netip.Addr) error { return p.sock.arp(name, a, q.Packet.ClientHWAddr) }
	}
	to, err := destination(q, r, ports{uint16(s.cfg.Port), uint16(s.cfg.Port + 1)}, arp)
	if err != nil {
		s.cfg.Log.Debug("reply is broadcast", "mac", q.MAC, "err", err)
	}
	if err := p.sock.write(Encode(q, r), to, p.ifindex); err != nil {
		s.cfg.Log.Warn("reply not sent", "mac", q.MAC, "to", to, "err", fmt.Errorf("write %s: %w", r.Type, err))
		return
	}
	s.cfg.Log.Info("dhcp", "mac", q.MAC, "in", q.Type, "out", r.Type, "addr", r.Addr, "file", r.File, "why", r.Why)
	if q.asksIfAlive() {
		return // it is not about to boot
	}
	step := "lease"
	if r.Boot {
		step = "dhcp"
	}
	s.cfg.Record(q.MAC, step, r.detail())
}
