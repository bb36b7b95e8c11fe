package api

import (
	"net"
	"net/netip"
	"time"

	"drpd/pkg/resource"
)

// DhcpOption is one DHCP option; Value is a template over the request.
type DhcpOption struct {
	Code  byte
	Value string
}

// Reservation ties an address to a token (a MAC address).
type Reservation struct {
	resource.Common
	Documented
	Addr       string
	Token      string
	Strategy   string
	Subnet     string // the one that Addr lies in
	Scoped     bool   // only while the client is on that subnet
	NextServer string
	Options    []DhcpOption
	Duration   int32
}

// Lease is one address in use.
type Lease struct {
	resource.Common
	Addr       string
	Token      string
	Strategy   string
	State      string // PROBE, OFFER, ACK, INVALID, FAKE
	ExpireTime time.Time
	Duration   int32 // seconds
	Via        string
	NextServer string
	Options    []DhcpOption
	// ProvidedOptions are those of the client's last request.
	ProvidedOptions []DhcpOption
	SkipBoot        bool
}

// The kinds of the network.
var (
	Reservations = &resource.Kind[Reservation]{
		Name: "reservations", Key: func(o *Reservation) string { return o.Addr },
		Common: func(o *Reservation) *resource.Common { return &o.Common }, Engine: append([]string{"Subnet"}, engineCommon...),
		Indexes: []resource.Index[Reservation]{
			keyed("Addr", func(o *Reservation) string { return o.Addr }),
			ofMAC(textual("Token", func(o *Reservation) string { return o.Token })),
			scan(textual("Strategy", func(o *Reservation) string { return o.Strategy })),
			scan(typed("NextServer", typeIP, func(o *Reservation) string { return o.NextServer })),
			scan(textual("Subnet", func(o *Reservation) string { return o.Subnet })),
			scan(boolean("Scoped", func(o *Reservation) bool { return o.Scoped })),
		},
		Default: func(o *Reservation) {
			o.Token = spelledMAC(o.Token)
			if o.Strategy == "" {
				o.Strategy = "MAC"
			}
			if o.Duration == 0 {
				o.Duration = 7200
			}
			o.Options = fullOptions(o.Options)
		},
		Validate: (*Reservation).problems,
		Fit:      fitReservation,
	}
	Leases = &resource.Kind[Lease]{
		Name: "leases", Key: func(o *Lease) string { return o.Addr },
		Common: func(o *Lease) *resource.Common { return &o.Common },
		Engine: append([]string{"Addr", "Token", "State", "ExpireTime"}, engineCommon...),
		Indexes: []resource.Index[Lease]{
			keyed("Addr", func(o *Lease) string { return o.Addr }),
			ofMAC(textual("Token", func(o *Lease) string { return o.Token })),
			textual("State", func(o *Lease) string { return o.State }),
			scan(textual("Strategy", func(o *Lease) string { return o.Strategy })),
			scan(typed("NextServer", typeIP, func(o *Lease) string { return o.NextServer })),
			timed("ExpireTime", func(o *Lease) time.Time { return o.ExpireTime }),
		},
		Default: func(o *Lease) {
			o.Options, o.ProvidedOptions = fullOptions(o.Options), fullOptions(o.ProvidedOptions)
		},
		Validate: func(o *Lease) []string {
			p := problems{}
			p.ipv4("Addr", o.Addr)
			return p
		},
	}
)

func fullOptions(list []DhcpOption) []DhcpOption {
	if list == nil {
		return []DhcpOption{}
	}
	return list
}

func (o *Reservation) problems() []string {
	p := problems{}
	p.ipv4("Addr", o.Addr)
	p.mac("Token", o.Token)
	if o.NextServer != "" {
		p.ipv4("NextServer", o.NextServer)
	}
	if o.Duration < 0 {
		p.add("Duration is %d seconds, at least 0", o.Duration)
	}
	return p
}

// fitReservation finds the subnet of the reservation. A client has one reservation, and
// beside it one for each subnet.
func fitReservation(k *resource.Kind[Reservation], r resource.Reader, o *Reservation) []string {
	p := problems{}
	o.Subnet = ""
	addr, _ := netip.ParseAddr(o.Addr)
	for s := range Subnets.All(r) {
		net, err := netip.ParsePrefix(s.Subnet)
		if err != nil || !net.Contains(addr) {
			continue
		}
		o.Subnet = s.Name
		if first, last := bounds(net); net.Bits() < 31 && (addr == first || addr == last) {
			p.add("Addr %s is the network or broadcast address of subnet %s", addr, s.Name)
		}
	}
	if o.Scoped && o.Subnet == "" {
		p.add("a scoped reservation needs a subnet that %s lies in", o.Addr)
	}
	for other := range k.By(r, "Token", o.Token) {
		if other.Addr != o.Addr && other.Strategy == o.Strategy && other.Scoped == o.Scoped && (!o.Scoped || other.Subnet == o.Subnet) {
			p.add("%s has reservation %s already: remove it, or make both scoped to different subnets", o.Token, other.Addr)
		}
	}
	return p
}

func (p *problems) ipv4(field, value string) {
	if a, err := netip.ParseAddr(value); err != nil || !a.Is4() {
		p.add("%s %q is not an IPv4 address", field, value)
	}
}

func (p *problems) mac(field, value string) {
	if hw, err := net.ParseMAC(value); err != nil || len(hw) != 6 {
		p.add("%s %q is not a MAC address", field, value)
	}
}
