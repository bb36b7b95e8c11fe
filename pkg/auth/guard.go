package auth

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/auth/claim"
	"drpd/pkg/resource"
)

// Guard looks at every change that is made in the caller's name, by whatever
// route: nobody gives rights that they do not have, and what a tenant's user
// makes belongs to the tenant.
func (i Identity) Guard() resource.Guard {
	return func(tx *resource.Tx, changes []resource.Change) error {
		for _, c := range changes {
			if err := i.mayGive(tx, c); err != nil {
				return err
			}
			if err := i.mayTrust(tx, c); err != nil {
				return err
			}
			if err := i.mayReserve(tx, c); err != nil {
				return err
			}
			if c.Old == nil && i.g != nil && i.g.limit != nil {
				if err := i.g.limit.adopt(tx, c.Kind, c.Key); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// mayGive refuses roles, users and tasks that get claims which the caller has
// not, and tenants that one of a tenant would escape by.
func (i Identity) mayGive(tx *resource.Tx, c resource.Change) error {
	switch is := c.New.(type) {
	case *api.Role:
		was, _ := c.Old.(*api.Role)
		claims := is.Claims
		if is.Name == Superuser {
			claims = []api.Claim{claim.Everything()}
		}
		if was == nil || !slices.Equal(was.Claims, is.Claims) {
			return i.contains(claims, c, "this role")
		}
	case *api.User:
		var had []string
		// whoever sets another's password gets their roles
		if was, ok := c.Old.(*api.User); ok && (was.PasswordHash == is.PasswordHash || is.Name == i.Key && i.IsUser()) {
			had = was.Roles
			if was.Meta[AuthMethod] != is.Meta[AuthMethod] { // it decides who gets in, like the password
				if !i.Allow(c.Kind, "password", c.Key) {
					return resource.Errorf(resource.Forbidden, c.Kind, c.Key,
						"%s may not set Meta %s, which says who checks the password of %s: that takes the right to set it (password) and the user's own rights", i.Name, AuthMethod, is.Name)
				}
				if is.Name != i.Key || !i.IsUser() {
					had = nil
				}
			}
		}
		return i.mayAssign(tx, c, had, is.Roles)
	case *api.Task:
		return i.mayElevate(tx, c, is)
	case *api.ContentPack: // whoever writes the tasks of a pack that has a grant writes with that grant
		if g, err := api.Grants.Get(tx, is.Meta.Name); err == nil {
			return i.contains(g.Claims(api.Machines.Name, "*"), c, "the grant of this content pack")
		}
	case *api.Grant:
		if was, ok := c.Old.(*api.Grant); !ok || !slices.Equal(was.Fields, is.Fields) || !slices.Equal(was.Params, is.Params) {
			return i.contains(is.Claims(api.Machines.Name, "*"), c, "this grant")
		}
	}
	if err := i.mayRoute(c); err != nil {
		return err
	}
	if err := i.mayPair(tx, c); err != nil {
		return err
	}
	if c.Kind == api.Tenants.Name && i.g != nil && i.g.limit != nil {
		return resource.Errorf(resource.Forbidden, c.Kind, c.Key, "%s belongs to a tenant and may not change any", i.Name)
	}
	return nil
}

// mayElevate checks what a task adds to the rights of machines. Jobs belong to
// no tenant: one of a tenant may add only what stays within it.
func (i Identity) mayElevate(tx *resource.Tx, c resource.Change, is *api.Task) error {
	was, ok := c.Old.(*api.Task)
	if !ok {
		was = &api.Task{}
	}
	if slices.Equal(was.ExtraClaims, is.ExtraClaims) && slices.Equal(was.ExtraRoles, is.ExtraRoles) {
		return nil
	}
	if err := i.mayAssign(tx, c, was.ExtraRoles, is.ExtraRoles); err != nil {
		return err
	}
	claims := JobClaims(tx, is)
	if i.g != nil && !i.g.limit.within(claims) {
		return exceeds(i, c.Kind, c.Key, "these extra claims")
	}
	return i.contains(is.ExtraClaims, c, "these extra claims")
}

// mayAssign checks roles that were not there before. One that does not exist
// may become anything.
func (i Identity) mayAssign(tx *resource.Tx, c resource.Change, had, has []string) error {
	for _, name := range has {
		if slices.Contains(had, name) {
			continue
		}
		claims := roleClaims(tx, name)
		if name != Superuser && !api.Roles.Has(tx, name) {
			claims = []api.Claim{claim.Everything()}
		}
		if err := i.contains(claims, c, "role "+name); err != nil {
			return err
		}
	}
	return nil
}

func (i Identity) contains(claims []api.Claim, c resource.Change, what string) error {
	if len(claims) == 0 || i.Contains(claims) {
		return nil
	}
	return exceeds(i, c.Kind, c.Key, what)
}
