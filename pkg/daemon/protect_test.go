package daemon_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/resource"
)

// asUser makes a user with one claim on clusters and logs in.
func asUser(t *testing.T, d *daemon.Daemon, c *client.Client, name, actions string) *client.Client {
	t.Helper()
	_, err := client.Create(t.Context(), c, api.Roles, &api.Role{Name: name, Claims: []api.Claim{{Scope: "clusters", Action: actions, Specific: "*"}}})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), c, api.Users, &api.User{Name: name, Roles: []string{name}})
	require.NoError(t, err)
	_, err = c.Do(t.Context(), http.MethodPut, client.Path("users", name, "password"), nil, map[string]string{"Password": "a long password"}, nil)
	require.NoError(t, err)
	out, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), User: name, Password: "a long password"})
	require.NoError(t, err)
	return out
}

func TestOnlyItsOwnVerbLiftsProtection(t *testing.T) {
	t.Parallel()
	d, c, _ := server(t, t.TempDir())
	made, err := client.Create(t.Context(), c, api.Clusters, &api.Machine{Name: "web", Params: resource.Params{"cluster/protected": true, "cluster/count": 0}})
	require.NoError(t, err)
	assert.True(t, made.Protected, "the definition counts when the cluster is made")
	assert.Equal(t, "definition", made.ProtectedBy)
	path := client.Path("clusters", made.Uuid)
	post := func(c *client.Client, verb string) int {
		_, err := c.Do(t.Context(), http.MethodPost, path+"/"+verb, nil, nil, nil)
		return status(err)
	}
	editor := asUser(t, d, c, "editor", "list,get,create,update,delete,actions")
	keeper := asUser(t, d, c, "keeper", "get,action:protect")
	lifter := asUser(t, d, c, "lifter", "get,action:unprotect")
	now := func() bool {
		got, err := client.Get(t.Context(), c, api.Clusters, made.Uuid)
		require.NoError(t, err)
		return got.Protected
	}

	for name, try := range map[string]func(ctx context.Context, c *client.Client) error{
		"patch": func(ctx context.Context, c *client.Client) error {
			return patched(ctx, c, made.Uuid, client.Set("/Protected", false))
		},
		"remove": func(ctx context.Context, c *client.Client) error {
			return patched(ctx, c, made.Uuid, client.Remove("/Protected"))
		},
		"delete": func(ctx context.Context, c *client.Client) error {
			_, err := client.Delete(ctx, c, api.Clusters, made.Uuid)
			return err
		},
		"force": func(ctx context.Context, c *client.Client) error {
			_, err := c.Do(ctx, http.MethodDelete, path, url.Values{"force": {"true"}}, nil, nil)
			return err
		},
		"profile's param": func(ctx context.Context, c *client.Client) error {
			return c.SetParam(ctx, "profiles", "web", "cluster/protected", false)
		},
		"param removed": func(ctx context.Context, c *client.Client) error {
			return c.DeleteParam(ctx, "profiles", "web", "cluster/protected")
		},
		"own param": func(ctx context.Context, c *client.Client) error {
			return c.SetParam(ctx, "clusters", made.Uuid, "cluster/protected", false)
		},
		"global's param": func(ctx context.Context, c *client.Client) error {
			return c.SetParam(ctx, "profiles", "global", "cluster/protected", false)
		},
		"destroy": func(ctx context.Context, c *client.Client) error {
			return patched(ctx, c, made.Uuid, client.Set("/WorkOrderMode", false), client.Set("/Workflow", "universal-cluster-destroy"))
		},
	} {
		err := try(t.Context(), c)
		assert.True(t, status(err) >= 400 && status(err) < 500, "%s: %v", name, err)
		assert.True(t, now(), name)
	}
	whole := *made
	whole.Protected = false // which leaves it out of the body
	_, err = client.Put(t.Context(), c, api.Clusters, &whole)
	require.NoError(t, err)
	assert.True(t, now())
	assert.ErrorContains(t, c.SetParam(t.Context(), "profiles", "web", "cluster/protected", false), "drpcli clusters unprotect web")
	assert.NoError(t, c.SetParam(t.Context(), "profiles", "web", "cluster/count", 1), "other params may be set")

	assert.Equal(t, http.StatusForbidden, post(editor, "unprotect"))
	assert.Equal(t, http.StatusForbidden, post(keeper, "unprotect"))
	assert.True(t, now())
	assert.Equal(t, 200, post(lifter, "unprotect"))
	assert.False(t, now())
	assert.Equal(t, http.StatusForbidden, post(lifter, "protect"))
	assert.ErrorContains(t, c.SetParam(t.Context(), "clusters", made.Uuid, "cluster/protected", true), "drpcli clusters protect web")
	assert.Equal(t, 200, post(keeper, "protect"))
	assert.True(t, now())
	got, err := client.Get(t.Context(), c, api.Clusters, made.Uuid)
	require.NoError(t, err)
	assert.Equal(t, "keeper", got.ProtectedBy)

	var trail []auth.Record
	_, err = c.Do(t.Context(), http.MethodGet, "/audit", nil, nil, &trail)
	require.NoError(t, err)
	for who, verb := range map[string]string{"lifter": "unprotect", "keeper": "protect"} {
		assert.True(t, slices.ContainsFunc(trail, func(r auth.Record) bool {
			return r.Actor == who && r.Path == "/api/v3"+path+"/"+verb && r.Status == http.StatusOK
		}), "%s by %s is audited: %v", verb, who, trail)
	}
}

func patched(ctx context.Context, c *client.Client, id string, ops ...client.Op) error {
	_, err := client.Patch(ctx, c, api.Clusters, id, ops...)
	return err
}

func status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return client.Status(err)
}
