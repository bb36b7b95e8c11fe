package auth

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/resource"
)

// limit is what a tenant lets its users see. It comes before all roles. A nil
// limit hides nothing.
type limit struct {
	tenant  string
	users   []string
	members map[string]map[string]struct{} // kind -> keys; other kinds are not limited
}

func newLimit(t *api.Tenant) *limit {
	l := &limit{tenant: t.Name, users: t.Users, members: make(map[string]map[string]struct{}, len(t.Members))}
	for kind, keys := range t.Members {
		set := make(map[string]struct{}, len(keys))
		for _, key := range keys {
			set[key] = struct{}{}
		}
		l.members[kind] = set
	}
	return l
}

func (l *limit) sees(kind, key string) bool {
	if l == nil {
		return true
	}
	keys, limited := l.members[kind]
	if !limited {
		return true
	}
	_, ok := keys[key]
	return ok
}

// lets is sees for any request: what does not exist yet may be created, but a
// job only for a machine that is seen.
func (l *limit) lets(kind, action, key string) bool {
	switch {
	case l == nil:
		return true
	case action != "create":
		return l.sees(kind, key)
	case kind == api.Jobs.Name:
		return l.sees(api.Machines.Name, key)
	}
	return true
}

// within says whether claims reach no object that the tenant hides.
func (l *limit) within(claims []api.Claim) bool {
	if l == nil {
		return true
	}
	for _, c := range claims {
		for kind, keys := range l.members {
			if names := claim.Split(c.Scope); names[0] != "*" && !slices.Contains(names, kind) {
				continue
			}
			for _, key := range claim.Split(c.Specific) {
				if _, ok := keys[key]; !ok {
					return false
				}
			}
		}
	}
	return true
}

// adopt lists what a tenant's user made among the tenant's objects, and a user
// among its users: else they could not see what they made, and a new user
// would see what they cannot. Any other tenant that still lists the key, of an
// object that is gone, loses it.
func (l *limit) adopt(tx *resource.Tx, kind, key string) error {
	_, limited := l.members[kind]
	if !limited && kind != api.Users.Name {
		return nil
	}
	var others []string
	for t := range api.Tenants.All(tx) {
		if t.Name != l.tenant && slices.Contains(t.Members[kind], key) {
			others = append(others, t.Name)
		}
	}
	for _, name := range others {
		if err := api.Tenants.Modify(tx, name, func(t *api.Tenant) error {
			t.Members[kind] = slices.DeleteFunc(t.Members[kind], func(k string) bool { return k == key })
			return nil
		}); err != nil {
			return err
		}
	}
	return api.Tenants.Modify(tx, l.tenant, func(t *api.Tenant) error {
		if limited && !slices.Contains(t.Members[kind], key) {
			t.Members[kind] = append(t.Members[kind], key)
		}
		if kind == api.Users.Name && !slices.Contains(t.Users, key) {
			t.Users = append(t.Users, key)
		}
		return nil
	})
}
