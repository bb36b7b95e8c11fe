package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	carrierWait  = 10 * time.Second
	firstBackoff = time.Second
	maxBackoff   = 15 * time.Second
	// DefaultRounds of DHCP take about five minutes.
	DefaultRounds = 10
)

// Network says how to bring the network up.
type Network struct {
	BootMAC net.HardwareAddr // of the interface to prefer; may be nil
	Rounds  int              // DHCP rounds before giving up, DefaultRounds when 0
	Resolv  string           // resolver file, "/etc/resolv.conf" when empty
	Log     *slog.Logger
}

// BringUp raises all links and leases an address by DHCP, on the boot interface
// in the first round and on all links with carrier in the later ones, where the
// first answer wins. It sets address, default route and name servers. Each
// failure is logged with its cause.
func (n Network) BringUp(ctx context.Context) (Lease, error) {
	rounds := n.Rounds
	if rounds <= 0 {
		rounds = DefaultRounds
	}
	backoff := firstBackoff
	var lease Lease
	var err error
	for round := range rounds {
		if lease, err = n.round(ctx, round == 0); err == nil {
			return lease, n.configure(lease)
		}
		if ctx.Err() != nil || round == rounds-1 {
			break
		}
		n.Log.Warn("no network yet", "round", round+1, "of", rounds, "next_in", backoff, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return Lease{}, fmt.Errorf("bring network up, %d rounds: %w", rounds, err)
}

// round lists the links anew, because a driver may still be at work.
func (n Network) round(ctx context.Context, first bool) (Lease, error) {
	links, err := ethernetLinks()
	if err != nil {
		return Lease{}, err
	}
	if len(links) == 0 {
		return Lease{}, errors.New("no Ethernet interface: its driver is missing from the image, or there is none")
	}
	raise(links, n.Log)
	links = n.choose(links, first)
	wait, cancel := context.WithTimeout(ctx, carrierWait)
	defer cancel()
	ready := waitCarrier(wait, links)
	if len(ready) == 0 {
		return Lease{}, fmt.Errorf("no carrier on %v: cable or switch port", names(links))
	}
	return firstLease(ctx, ready, n.Log)
}

// choose prefers the boot interface in the first round.
func (n Network) choose(links []net.Interface, first bool) []net.Interface {
	if !first || n.BootMAC == nil {
		return links
	}
	for _, l := range links {
		if slices.Equal(l.HardwareAddr, n.BootMAC) {
			return []net.Interface{l}
		}
	}
	n.Log.Warn("boot interface is not there, trying all", "mac", n.BootMAC, "present", names(links))
	return links
}

// firstLease tries all links at once and takes the first lease.
func firstLease(ctx context.Context, links []net.Interface, log *slog.Logger) (Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		lease Lease
		err   error
	}
	results := make(chan result, len(links))
	for _, l := range links {
		go func() {
			lease, err := acquire(ctx, l, log)
			results <- result{lease, err}
		}()
	}
	var errs []error
	var won *Lease
	for range links {
		r := <-results
		if r.err == nil && won == nil {
			won = &r.lease
			cancel()
		}
		errs = append(errs, r.err)
	}
	if won == nil {
		return Lease{}, errors.Join(errs...)
	}
	return *won, nil
}

func (n Network) configure(l Lease) error {
	link, err := net.InterfaceByName(l.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w", l.Interface, err)
	}
	if err := setAddress(l.Interface, l.Addr); err != nil {
		return err
	}
	if l.Router.IsValid() {
		if err := setDefaultRoute(link.Index, l.Router); err != nil {
			return err
		}
	}
	path := n.Resolv
	if path == "" {
		path = "/etc/resolv.conf"
	}
	if err := os.WriteFile(path, resolvConf(l), 0o644); err != nil {
		return fmt.Errorf("write name servers: %w", err)
	}
	return nil
}

// isDomainName guards the resolver file: the value comes from the network.
func isDomainName(s string) bool {
	return s != "" && len(s) <= 253 && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-", unicode.ToLower(r))
	}) < 0
}

func resolvConf(l Lease) []byte {
	var b bytes.Buffer
	if isDomainName(l.Domain) {
		fmt.Fprintf(&b, "search %s\n", l.Domain)
	}
	for _, a := range l.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.Bytes()
}
