// Package callout is the one way by which the server calls others: management
// controllers and services outside. Whoever may say where the server calls must
// not reach by it what trusts the server's own network: the server itself, what
// listens on loopback only, and services on link-local addresses.
package callout

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Flag is how an operator names what may be called all the same.
const Flag = "--callout-allow"

// Policy says which addresses may be called. The nil Policy allows none of the
// server's own. Addresses are checked as they are connected to, so what a name
// resolves to between two looks does not matter.
type Policy struct {
	Allow []netip.Prefix      // what an operator named
	Own   func() []netip.Addr // the server's addresses; nil: those of its interfaces
}

// Prefixes reads addresses and networks as operators write them.
func Prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if addr, bad := netip.ParseAddr(text); bad == nil {
			p, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q: give an address or a network, such as 192.0.2.7 or 192.0.2.0/24", Flag, text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// RefusedError says which address was not called, and why.
type RefusedError struct {
	Addr netip.Addr
	Why  string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is %s, which this server calls only if its operator names it (drpd %s %s)", e.Addr, e.Why, Flag, e.Addr)
}

// Check refuses an address that may not be called: a *RefusedError.
func (p *Policy) Check(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	if p != nil && slices.ContainsFunc(p.Allow, func(a netip.Prefix) bool { return a.Contains(addr) }) {
		return nil
	}
	for _, a := range meant(addr) {
		if why := special(a); why != "" {
			return &RefusedError{addr, why}
		}
		if slices.Contains(p.own(), a) {
			return &RefusedError{addr, "an address of this server"}
		}
	}
	return nil
}

func (p *Policy) own() []netip.Addr {
	if p != nil && p.Own != nil {
		return p.Own()
	}
	return Interfaces()
}

// Interfaces are the addresses of this host now.
func Interfaces() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out
}

// special says what kind of address nobody calls by accident.
func special(a netip.Addr) string {
	switch {
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return "an unspecified address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), siteLocal.Contains(a):
		return "a link-local address"
	case a.IsMulticast(), a.Is4() && a.As4()[0] >= 240:
		return "a multicast or broadcast address"
	}
	return ""
}

// Forms of IPv6 addresses that lead to an IPv4 address, and where in them it is.
var (
	siteLocal  = netip.MustParsePrefix("fec0::/10")
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("64:ff9b::/96")
	local      = netip.MustParsePrefix("64:ff9b:1::/48")
	mapped     = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// meant are the address and the IPv4 address within it, if it holds one.
func meant(a netip.Addr) []netip.Addr {
	out := []netip.Addr{a}
	if !a.Is6() || a.IsUnspecified() || a.IsLoopback() {
		return out
	}
	b := a.As16()
	switch {
	case sixToFour.Contains(a):
		out = append(out, netip.AddrFrom4([4]byte(b[2:6])))
	case compatible.Contains(a), translated.Contains(a), local.Contains(a), mapped.Contains(a):
		out = append(out, netip.AddrFrom4([4]byte(b[12:16])))
	}
	return out
}

// Dialer connects to what the policy allows.
func (p *Policy) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("call %s: not an address: %w", address, err)
		}
		return p.Check(to.Addr())
	}}
}

// Resolve is the first address of a host, for programs that call by themselves:
// give them the address, not the name. All must be allowed.
func (p *Policy) Resolve(ctx context.Context, host string) (netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(host, "[]"))
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range found {
		if err := p.Check(a); err != nil {
			return netip.Addr{}, err
		}
	}
	// IPv4 first: controllers without IPv6 are many.
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	return found[0].Unmap(), nil
}
