package api

import (
	"slices"

	"drpd/pkg/resource"
)

// Tenant limits what its users see: of a kind that Members names, only the
// keys listed there. Kinds that it does not name are unlimited.
type Tenant struct {
	resource.Common
	Documented
	Name    string
	Members map[string][]string // kind -> keys
	Users   []string
}

// Tenants, indexed by whom they limit: a user is in at most one.
var Tenants = &resource.Kind[Tenant]{
	Name: "tenants", Key: func(o *Tenant) string { return o.Name },
	Common: func(o *Tenant) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Tenant]{
		keyed(ByName, func(o *Tenant) string { return o.Name }),
		{Name: ByUser, Of: func(o *Tenant) []string { return o.Users }, Unique: true, Type: "list of string"},
	},
	Default: func(o *Tenant) {
		o.Users = full(o.Users)
		if o.Members == nil {
			o.Members = map[string][]string{}
		}
	},
	Validate: (*Tenant).problems,
	Refs:     func(o *Tenant) []resource.Ref { return refs(Users.Name, o.Users) },
}

// ByUser indexes tenants by their users.
const ByUser = "Users"

func (o *Tenant) problems() []string {
	p := problems(named(o.Name, plainName))
	for scope := range o.Members {
		if !isKind(scope) {
			p.add("Members: there is no kind %q", scope)
		}
	}
	slices.Sort(p)
	return p
}
