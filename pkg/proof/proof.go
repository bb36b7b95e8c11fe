// Package proof says what a caller's claim to be a certain machine rests on,
// and who speaks for a machine now.
//
// A MAC address, a boot record or the fetching of a boot script proves nothing:
// anybody on the network can show them. Four things do prove something: a boot
// that we ordered and saw through the machine's BMC, an operator's word, a lease
// that we acknowledged, and a token that was given for one of these.
package proof

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Kind is what a claim rests on.
type Kind string

// The kinds, strongest first. With None a caller may only create a machine, or
// wait.
const (
	Operator Kind = "operator" // a one-use token, or admission, by an operator
	BMC      Kind = "bmc"      // a boot of ours whose power cycle was seen through the BMC
	Lease    Kind = "lease"    // an address that we leased to one of the machine's MACs
	None     Kind = ""
)

// Strong says whether the kind is enough for a machine that somebody uses, and
// ends what an earlier claimant held.
func (k Kind) Strong() bool { return k == Operator || k == BMC }

// Needs says whether a new claimant of the machine needs a strong proof: a
// machine in use has an agent of its own, which keeps its token over reboots.
func Needs(m *api.Machine) bool { return m.PoolStatus == api.InUse || m.WorkOrderMode }

// At is what an address alone proves of the machine, or why nothing. An address
// that is leased to another machine proves less than nothing, and so does any
// while the machine holds a lease elsewhere: foreign says so.
func At(r resource.Reader, now time.Time, m *api.Machine, addr netip.Addr) (k Kind, foreign string) {
	if owner := leasedTo(r, now, addr); owner != nil && owner.Uuid == m.Uuid {
		return Lease, ""
	}
	if foreign := another(r, now, m, addr); foreign != "" {
		return None, foreign
	}
	for _, mac := range m.HardwareAddrs {
		for l := range api.Leases.By(r, "Token", mac) {
			if running(l, now) && l.Addr != addr.String() {
				return None, fmt.Sprintf("%s holds the lease of %s", m.Name, l.Addr)
			}
		}
	}
	return None, ""
}

// another says that the address is leased to another machine. Unlike a lease that
// the machine holds elsewhere, which its system may have left for an address of
// its own, that no token and no operator's word outweighs.
func another(r resource.Reader, now time.Time, m *api.Machine, addr netip.Addr) string {
	if owner := leasedTo(r, now, addr); owner != nil && owner.Uuid != m.Uuid {
		return fmt.Sprintf("%s is leased to machine %s", addr, owner.Name)
	}
	return ""
}

func leasedTo(r resource.Reader, now time.Time, addr netip.Addr) *api.Machine {
	if mac := lessee(r, now, addr); mac != "" {
		return api.Machines.One(r, api.ByMAC, mac)
	}
	return nil
}

// lessee is the MAC that holds a running lease of the address, "" if none does.
func lessee(r resource.Reader, now time.Time, addr netip.Addr) string {
	l, err := api.Leases.Get(r, addr.Unmap().String())
	if err != nil || !running(l, now) {
		return ""
	}
	return l.Token
}

// running says whether we acknowledged the lease, and it lasts.
func running(l *api.Lease, now time.Time) bool {
	return l.State == "ACK" && l.Token != "" && l.ExpireTime.After(now)
}

// Ordered says whether we have told a BMC to boot the machine into what it shall
// boot now, from the network: then only who comes from that boot is the machine.
func Ordered(r resource.Reader, m *api.Machine) bool {
	return pending(r, m) && action(r, m) != nil
}

// Seen says whether the BMC has shown that this boot began: off, then on.
func Seen(r resource.Reader, m *api.Machine) bool {
	a := action(r, m)
	return pending(r, m) && a != nil && a.State == "done" && a.Power == "on"
}

// Awaited says whether only who comes from the boot that is wanted now is the
// machine: the system that is on it may be somebody's, who has no say in what
// happens after them. Where there is a BMC that is so from the wish on, before
// the BMC was told anything, until a claim rests on that boot.
func Awaited(r resource.Reader, m *api.Machine) bool {
	return m.Owned() && pending(r, m) && (param.HasBMC(r, m) || Ordered(r, m)) && !Shown(r, m)
}

// Shown says whether who speaks for the machine comes from the boot that was
// wanted last: its BMC showed the newest try of that, or an operator said so
// since it was wanted. A token that is only held says nothing of that.
func Shown(r resource.Reader, m *api.Machine) bool {
	c, err := Claims.Get(r, m.Uuid)
	return err == nil && c.from(r, m)
}

// Vouched says whether what the machine's agent tells of its disks counts. Of
// one that is taken back it is the word of its last owner's system, unless the
// boot was shown, where something can show it. While the machine is built no
// disk becomes blank by anybody's word: what is told then ends with the use.
func Vouched(r resource.Reader, m *api.Machine) bool {
	return !m.Owned() || m.PoolStatus == api.Building || !param.HasBMC(r, m) || Shown(r, m)
}

// Basis is what the word of the machine's agent rests on now, and the id of its
// claim.
func Basis(r resource.Reader, m *api.Machine) (kind, claim string) {
	c, err := Claims.Get(r, m.Uuid)
	if err != nil {
		return "", ""
	}
	return string(c.Proof), c.Id
}

// Retaken says whether a machine that is taken back must be booted anew although
// it is to be where it is: whoever speaks for it there may be its last owner's.
func Retaken(r resource.Reader, old, m *api.Machine) bool {
	if m.PoolStatus != api.Destroying || old.PoolStatus == api.Destroying || m.Virtual {
		return false
	}
	env, err := api.BootEnvs.Get(r, m.BootEnv)
	return err == nil && env.NetBoots() && param.HasBMC(r, m) && (old.Owned() && old.PoolStatus != api.HoldDestroy || !Shown(r, m))
}

func pending(r resource.Reader, m *api.Machine) bool {
	if m.Boot == nil || m.Boot.Intent == "" || m.Boot.Home || m.Boot.Env != m.BootEnv {
		return false
	}
	env, err := api.BootEnvs.Get(r, m.BootEnv)
	return err == nil && env.NetBoots()
}

// action is the newest order to boot for the machine's present intent. Each of
// them goes through off, which the driver sees before it goes on.
func action(r resource.Reader, m *api.Machine) *api.BMCAction {
	var last *api.BMCAction
	for a := range api.BMCActions.By(r, "Machine", m.Uuid) {
		if m.Boot != nil && a.Intent == m.Boot.Intent && a.Intent != "" && (last == nil || a.Created.After(last.Created)) {
			last = a
		}
	}
	return last
}

// MayRead says whether the client at addr may read what is rendered for the
// machine alone, as its token: whoever could not claim it may not. An order to its
// BMC alone lets nobody: it may not be carried out yet, or never. Once the boot
// was shown, who has an address of another DHCP server may, for no lease of ours
// tells who that is.
func MayRead(r resource.Reader, now time.Time, m *api.Machine, addr netip.Addr) bool {
	k, foreign := At(r, now, m, addr)
	if foreign != "" {
		return false
	}
	return k == Lease || admitted(r, now, m) || Seen(r, m) && !ours(r, addr)
}

// ours says whether the address is of a subnet in which this server gives leases.
func ours(r resource.Reader, addr netip.Addr) bool {
	for s := range api.Subnets.All(r) {
		net, err := netip.ParsePrefix(s.Subnet)
		if err == nil && s.Enabled && !s.Proxy && net.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// Foreign says whether the client is known to be another than the machine.
func Foreign(r resource.Reader, now time.Time, m *api.Machine, addr netip.Addr) bool {
	_, foreign := At(r, now, m, addr)
	return foreign != ""
}

func admitted(r resource.Reader, now time.Time, m *api.Machine) bool {
	c, err := Claims.Get(r, m.Uuid)
	return err == nil && now.Before(c.Admit)
}

// SameSystem compares two system UUIDs as firmware and BMCs write them: of the
// first three fields each may have its bytes in either order (SMBIOS 2.6,
// section 7.2.1), or the whole may be backwards. Where one of them says nothing, they do not contradict.
func SameSystem(a, b string) bool {
	x, y := hexOf(a), hexOf(b)
	if meaningless(x) || meaningless(y) {
		return true
	}
	return x == y || x == swapped(y) || x == reversed(y)
}

// Tells says whether a system UUID means one system, and is no placeholder.
func Tells(system string) bool { return !meaningless(hexOf(system)) }

// reversed has all bytes in the other order, as IPMI sends a GUID (section 20.8).
func reversed(x string) string {
	var b strings.Builder
	for i := len(x) - 2; i >= 0; i -= 2 {
		b.WriteString(x[i : i+2])
	}
	return b.String()
}

func hexOf(s string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
}

func meaningless(x string) bool {
	return len(x) != 32 || strings.Count(x, x[:1]) == len(x) || strings.HasPrefix(x, "0300020004000500") ||
		strings.HasPrefix(x, "0001020304050607") || x == "12345678123456781234567812345678"
}

// swapped reverses the bytes of the first three fields.
func swapped(x string) string {
	var b strings.Builder
	for _, field := range []string{x[:8], x[8:12], x[12:16]} {
		for i := len(field) - 2; i >= 0; i -= 2 {
			b.WriteString(field[i : i+2])
		}
	}
	return b.String() + x[16:]
}
