package auth_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

// Who checks a password is as good as the password: only who may set that may
// change it, and nobody shuts out the last superuser.
func TestNobodyIsLockedOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"root", "ann", "bob"} {
		require.NoError(t, r.auth.SetPassword(t.Context(), auth.Identity{}, name, "good"))
	}
	r.put(t, func(tx *resource.Tx) error {
		if err := api.Roles.Create(tx, &api.Role{Name: "clerk", Claims: []api.Claim{{Scope: "users", Action: "get,update", Specific: "*"}}}); err != nil {
			return err
		}
		if err := api.Users.Create(tx, &api.User{Name: "clerk", Roles: []string{"clerk"}}); err != nil {
			return err
		}
		return api.Users.Create(tx, &api.User{Name: "peer", Roles: []string{auth.Superuser}})
	})
	method := func(as, of, is string) error {
		ctx := resource.WithGuard(t.Context(), r.as(t, as).Guard())
		return r.db.Update(ctx, func(tx *resource.Tx) error {
			return api.Users.Modify(tx, of, func(u *api.User) error { u.Meta = map[string]string{auth.AuthMethod: is}; return nil })
		})
	}
	assert.ErrorContains(t, method("clerk", "ann", "ldap"), "that takes the right to set it (password)")
	assert.ErrorContains(t, method("chief", "ann", "ldap"), "role reader", "who may set passwords, but not take these rights")
	assert.ErrorContains(t, method("root", "root", "ldap"), "the last superuser", "peer has no password")
	assert.NoError(t, method("root", "ann", "ldap"))
	assert.ErrorContains(t, method("clerk", "ann", ""), "that takes the right to set it (password)", "nor back")
	assert.NoError(t, method("root", "ann", ""))
	plain := func(fn func(tx *resource.Tx) error) error { return r.db.Update(t.Context(), fn) }
	roles := func(tx *resource.Tx) error {
		return api.Users.Modify(tx, "root", func(u *api.User) error { u.Roles = nil; return nil })
	}
	assert.ErrorContains(t, plain(roles), "the last superuser")
	assert.ErrorContains(t, plain(func(tx *resource.Tx) error { return api.Users.Delete(tx, "root") }), "the last superuser")
	require.NoError(t, r.auth.SetPassword(t.Context(), auth.Identity{}, "peer", "good"))
	assert.ErrorContains(t, method("clerk", "root", "ldap"), "that takes the right to set it (password)")
	assert.NoError(t, method("root", "root", "ldap"), "peer can")
	assert.NoError(t, plain(roles))
}
