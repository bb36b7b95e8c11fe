package api

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"drpd/pkg/resource"
)

// DhcpOption is one DHCP option; Value is a template over the request.
type DhcpOption struct {
	Code  byte
	Value string
}

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

// Reservation ties an address to a token (a MAC address).
type Reservation struct {
	resource.Common
	Documented
	Addr       string
	Token      string
	Strategy   string
	Subnet     string
	Scoped     bool
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
	State      string // PROBE, OFFER, ACK, INVALID
	ExpireTime time.Time
	Duration   int32 // seconds
	Via        string
	NextServer string
	Options    []DhcpOption
	SkipBoot   bool
}

// The kinds of the network.
var (
	Subnets = &resource.Kind[Subnet]{
		Name: "subnets", Key: func(o *Subnet) string { return o.Name },
		Common: func(o *Subnet) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes:  []resource.Index[Subnet]{{Name: ByName, Of: func(o *Subnet) []string { return one(o.Name) }, Unique: true}},
		Default:  (*Subnet).fill,
		Validate: (*Subnet).problems,
	}
	Reservations = &resource.Kind[Reservation]{
		Name: "reservations", Key: func(o *Reservation) string { return o.Addr },
		Common: func(o *Reservation) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Reservation]{
			{Name: "Addr", Of: func(o *Reservation) []string { return one(o.Addr) }, Unique: true},
			{Name: "Token", Of: func(o *Reservation) []string { return one(o.Token) }},
		},
		Default: func(o *Reservation) {
			o.Token = strings.ToLower(o.Token)
			if o.Strategy == "" {
				o.Strategy = "MAC"
			}
			if o.Duration == 0 {
				o.Duration = 7200
			}
		},
		Validate: func(o *Reservation) []string {
			p := problems{}
			p.ipv4("Addr", o.Addr)
			p.mac("Token", o.Token)
			return p
		},
	}
	Leases = &resource.Kind[Lease]{
		Name: "leases", Key: func(o *Lease) string { return o.Addr },
		Common: func(o *Lease) *resource.Common { return &o.Common },
		Engine: append([]string{"Addr", "Token", "State", "ExpireTime"}, engineCommon...),
		Indexes: []resource.Index[Lease]{
			{Name: "Addr", Of: func(o *Lease) []string { return one(o.Addr) }, Unique: true},
			{Name: "Token", Of: func(o *Lease) []string { return one(o.Token) }},
			{Name: "State", Of: func(o *Lease) []string { return one(o.State) }},
		},
	}
)

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
	if o.Options == nil {
		o.Options = []DhcpOption{}
	}
}

func (o *Subnet) problems() []string {
	p := problems(named(o.Name, machineName))
	prefix, err := netip.ParsePrefix(o.Subnet)
	if err != nil || !prefix.Addr().Is4() {
		p.add("Subnet %q is not an IPv4 network such as 192.168.124.1/24", o.Subnet)
		return p
	}
	if o.Proxy && o.Unmanaged {
		p.add("Proxy and Unmanaged exclude each other")
	}
	if o.ActiveLeaseTime < 60 {
		p.add("ActiveLeaseTime is %d seconds, at least 60", o.ActiveLeaseTime)
	}
	if o.ReservedLeaseTime < 7200 {
		p.add("ReservedLeaseTime is %d seconds, at least 7200", o.ReservedLeaseTime)
	}
	if o.OnlyReservations || o.Proxy {
		return p
	}
	start, err1 := netip.ParseAddr(o.ActiveStart)
	end, err2 := netip.ParseAddr(o.ActiveEnd)
	switch {
	case err1 != nil || err2 != nil:
		p.add("ActiveStart %q and ActiveEnd %q must be IPv4 addresses", o.ActiveStart, o.ActiveEnd)
	case !prefix.Contains(start) || !prefix.Contains(end):
		p.add("ActiveStart %s and ActiveEnd %s must lie in %s", start, end, prefix.Masked())
	case end.Less(start):
		p.add("ActiveEnd %s is before ActiveStart %s", end, start)
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
