package api

import (
	"net/netip"
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// Subnet is a range of addresses that drpd leases out.
type Subnet struct {
	resource.Common
	Documented
	Name              string
	Enabled           bool
	Proxy             bool
	Unmanaged         bool
	Subnet            string // CIDR; the address part is ours on that network
	NextServer        string
	ActiveStart       string
	ActiveEnd         string
	ActiveLeaseTime   int32 // seconds, 60 or more
	ReservedLeaseTime int32 // seconds, 7200 or more
	OnlyReservations  bool
	Options           []DhcpOption
	Strategy          string
	Pickers           []string
	// AnswerRouterSolicitations makes drpd answer IPv6 router solicitations on
	// the subnet's interface (no prefix, no default route), so that iPXE does
	// not wait for them.
	AnswerRouterSolicitations bool `json:",omitempty"`
}

// pickers are the ways to choose an address.
var pickers = []string{"hint", "nextFree", "mostExpired", "none"}

// Subnets overlap with no other.
var Subnets = &resource.Kind[Subnet]{
	Name: "subnets", Key: func(o *Subnet) string { return o.Name },
	Common: func(o *Subnet) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Subnet]{
		keyed(ByName, func(o *Subnet) string { return o.Name }),
		scan(typed("Subnet", typeCIDR, func(o *Subnet) string { return o.Subnet })),
		ranged("Address", (*Subnet).network),
		ranged("ActiveAddress", (*Subnet).active),
		scan(boolean("Enabled", func(o *Subnet) bool { return o.Enabled })),
		scan(boolean("Proxy", func(o *Subnet) bool { return o.Proxy })),
		scan(boolean("Unmanaged", func(o *Subnet) bool { return o.Unmanaged })),
		scan(typed("NextServer", typeIP, func(o *Subnet) string { return o.NextServer })),
		scan(textual("Strategy", func(o *Subnet) string { return o.Strategy })),
	},
	Default:  (*Subnet).fill,
	Validate: (*Subnet).problems,
	Fit:      fitSubnet,
}

// ranged is an index of a range of addresses: its values are the ends, and it
// finds the object under every address between them.
func ranged(name string, of func(*Subnet) (first, last netip.Addr)) resource.Index[Subnet] {
	return resource.Index[Subnet]{Name: name, Type: typeIP, Scan: true, Unordered: true,
		Of: func(o *Subnet) []string {
			if first, last := of(o); first.IsValid() && last.IsValid() {
				return []string{first.String(), last.String()}
			}
			return nil
		},
		Has: func(o *Subnet, value string) bool {
			first, last := of(o)
			at, err := netip.ParseAddr(value)
			return err == nil && first.IsValid() && last.IsValid() && first.Compare(at) <= 0 && at.Compare(last) <= 0
		}}
}

// network is the first and the last address of the subnet, invalid ones if it
// cannot be read.
func (o *Subnet) network() (first, last netip.Addr) {
	net, err := netip.ParsePrefix(o.Subnet)
	if err != nil {
		return first, last
	}
	return bounds(net)
}

// active are the ends of the range that is leased out.
func (o *Subnet) active() (first, last netip.Addr) {
	first, _ = netip.ParseAddr(o.ActiveStart)
	last, _ = netip.ParseAddr(o.ActiveEnd)
	return first, last
}

// bounds are the first and the last address of an IPv4 network.
func bounds(net netip.Prefix) (first, last netip.Addr) {
	first = net.Masked().Addr()
	if !first.Is4() {
		return first, first
	}
	b := first.As4()
	for i := net.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return first, netip.AddrFrom4(b)
}

// fitSubnet refuses overlaps.
func fitSubnet(k *resource.Kind[Subnet], r resource.Reader, o *Subnet) []string {
	p := problems{}
	mine, err := netip.ParsePrefix(o.Subnet)
	if err != nil {
		return p
	}
	for other := range k.All(r) {
		if net, err := netip.ParsePrefix(other.Subnet); err == nil && other.Name != o.Name && net.Overlaps(mine) {
			p.add("Subnet %s overlaps with subnet %s, %s", o.Subnet, other.Name, other.Subnet)
		}
	}
	return p
}

func (o *Subnet) fill() {
	if o.Strategy == "" {
		o.Strategy = "MAC"
	}
	if len(o.Pickers) == 0 {
		o.Pickers = []string{"hint", "nextFree", "mostExpired"}
		if o.OnlyReservations {
			o.Pickers = []string{"none"}
		}
	}
	if o.ActiveLeaseTime == 0 {
		o.ActiveLeaseTime = 3600
	}
	if o.ReservedLeaseTime == 0 {
		o.ReservedLeaseTime = 7200
	}
	o.Options = fullOptions(o.Options)
}

func (o *Subnet) problems() []string {
	p := problems(named(o.Name, machineName))
	prefix, err := netip.ParsePrefix(o.Subnet)
	if err != nil || !prefix.Addr().Is4() {
		p.add("Subnet %q is not an IPv4 network such as 192.168.124.1/24", o.Subnet)
		return p
	}
	if o.NextServer != "" && o.NextServer != "0.0.0.0" {
		p.ipv4("NextServer", o.NextServer)
	}
	if o.Proxy && o.Unmanaged {
		p.add("Unmanaged and Proxy cannot both be true")
	}
	for _, name := range o.Pickers {
		if !slices.Contains(pickers, name) {
			p.add("Pickers: %q is not known; use %s", name, strings.Join(pickers, ", "))
		}
	}
	if o.ActiveLeaseTime < 60 {
		p.add("ActiveLeaseTime must be greater than or equal to 60 seconds, not %d", o.ActiveLeaseTime)
	}
	if o.ReservedLeaseTime < 7200 {
		p.add("ReservedLeaseTime must be greater than or equal to 7200 seconds, not %d", o.ReservedLeaseTime)
	}
	if o.OnlyReservations || o.Proxy {
		return p
	}
	start, err1 := netip.ParseAddr(o.ActiveStart)
	end, err2 := netip.ParseAddr(o.ActiveEnd)
	if err1 != nil || err2 != nil {
		p.add("ActiveStart %q and ActiveEnd %q must be IPv4 addresses", o.ActiveStart, o.ActiveEnd)
		return p
	}
	if !prefix.Contains(start) {
		p.add("ActiveStart %s not in subnet range %s", start, prefix.Masked())
	}
	if !prefix.Contains(end) {
		p.add("ActiveEnd %s not in subnet range %s", end, prefix.Masked())
	}
	if end.Less(start) {
		p.add("ActiveStart %s must be less than or equal to ActiveEnd %s", start, end)
	}
	return p
}
