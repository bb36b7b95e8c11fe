package api

import (
	"strconv"

	"drpd/pkg/resource"
)

// Interface is one network interface of the server, as the system has it now.
type Interface struct {
	Name          string
	Index         int
	Addresses     []string // CIDR
	ActiveAddress string   // the one that machines reach us by; CIDR
	Gateway       string
	DnsServers    []string
	DnsDomain     string
	ReadOnly      bool
	Meta          map[string]string
}

// Interfaces are found by the server, held in memory, and read only.
var Interfaces = &resource.Kind[Interface]{
	Name: "interfaces", Key: func(o *Interface) string { return o.Name }, Virtual: true, Sealed: true,
	Engine: []string{"Name", "Index", "Addresses", "ActiveAddress", "Gateway", "DnsServers", "DnsDomain", "ReadOnly"},
	Indexes: []resource.Index[Interface]{
		keyed(ByName, func(o *Interface) string { return o.Name }),
		{Name: "Index", Of: func(o *Interface) []string { return []string{strconv.Itoa(o.Index)} }, Type: "number", Scan: true},
		{Name: "ActiveAddress", Of: func(o *Interface) []string { return one(o.ActiveAddress) }, Type: "CIDR Address", Scan: true},
	},
	Default: func(o *Interface) {
		o.ReadOnly = true
		o.Addresses, o.DnsServers = full(o.Addresses), full(o.DnsServers)
		if o.Meta == nil {
			o.Meta = map[string]string{}
		}
	},
}
