package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

func (r *rig) bearer(t *testing.T, text string) (auth.Identity, error) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/api/v3/info", nil)
	req.Header.Set("Authorization", "Bearer "+text)
	return r.auth.Authenticate(t.Context(), req)
}

func TestPluginTokenEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text, end, err := r.auth.PluginToken("ring")
	require.NoError(t, err)
	id, err := r.bearer(t, text)
	require.NoError(t, err)
	assert.Equal(t, "plugins/ring", id.Name)
	assert.True(t, id.All())
	assert.True(t, id.Allow("machines", "getSecure", mine))
	_, err = r.auth.UserToken(id, "ann", 0, auth.Narrow{})
	require.NoError(t, err)
	id, err = r.bearer(t, text) // from the cache
	require.NoError(t, err)
	end()
	_, err = r.bearer(t, text)
	require.ErrorIs(t, err, auth.ErrDenied)
	_, err = r.auth.Refresh(id)
	assert.ErrorIs(t, err, auth.ErrDenied, "open connections end too")
}

func TestAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(t, func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "lodger", Roles: []string{auth.Superuser}})
	})
	r.put(t, func(tx *resource.Tx) error {
		return api.Tenants.Create(tx, &api.Tenant{Name: "t", Users: []string{"lodger"}})
	})
	for name, want := range map[string]bool{"root": true, "ann": false, "lodger": false} {
		text, err := r.auth.UserToken(auth.Identity{}, name, 0, auth.Narrow{})
		require.NoError(t, err)
		id, err := r.bearer(t, text)
		require.NoError(t, err)
		assert.Equal(t, want, id.All(), name)
	}
}
