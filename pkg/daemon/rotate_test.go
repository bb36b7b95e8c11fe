package daemon_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// withSecret is a client with a profile of one secure param.
func withSecret(t *testing.T, c *client.Client) {
	t.Helper()
	_, err := client.Create(t.Context(), c, api.Profiles, &api.Profile{Name: "s", Params: resource.Params{"ipmi/password": "planted"}})
	require.NoError(t, err)
}

func secretOf(t *testing.T, c *client.Client) any {
	t.Helper()
	var out map[string]any
	r, err := c.Raw(t.Context(), client.Request{Path: "/profiles/s/params", Query: url.Values{"decode": {"true"}}})
	require.NoError(t, err)
	require.NoError(t, r.Decode(&out))
	return out["ipmi/password"]
}

// Rotations online break nobody: who pinned the old authority, holds a token of
// the old key, or reads a secret sealed under the old master key, goes on, also
// after a restart.
func TestRotationsBreakNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c, stop := server(t, dir)
	withSecret(t, c)
	token, err := c.GrantToken(t.Context(), "users", "rocketskates", "1h")
	require.NoError(t, err)
	old := d.Fingerprint()
	for _, what := range []string{"ca", "token-key", "master-key", "master-key"} {
		r := d.Admin(t.Context(), "rotate", map[string]string{"what": what})
		require.Empty(t, r.Error, what)
	}
	check := func(d *daemon.Daemon) {
		t.Helper()
		require.NotEqual(t, old, d.Fingerprint())
		for _, pin := range []string{old, d.Fingerprint()} {
			for _, cfg := range []client.Config{{CAFingerprint: pin, AnyName: true}, {Pin: pin}} {
				cfg.Endpoint, cfg.Token, cfg.Retries = d.APIURL("127.0.0.1"), token, -1
				n, err := client.New(cfg)
				require.NoError(t, err)
				assert.Equal(t, "planted", secretOf(t, n))
				n.Close()
			}
		}
	}
	check(d)
	stop()
	again, _, stop := server(t, dir)
	check(again)
	stop()

	// The older file of a rotated key is no longer the right one.
	older := filepath.Join(t.TempDir(), "older")
	copyTree(t, dir, older)
	d, _, stop = server(t, dir)
	require.Empty(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "master-key"}).Error)
	stop()
	data, err := os.ReadFile(filepath.Join(older, "master.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "master.key"), data, 0o600))
	assert.True(t, datadir.Has(refused(t, dir), datadir.PartMaster))
}

// Killed at any moment, a rotation of the master key goes on at the next start:
// here with the new key in the file and nothing encrypted by it yet.
func TestRotationOfTheMasterKeyGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c, stop := server(t, dir)
	password := d.FirstPassword
	withSecret(t, c)
	stop()
	daemon.BeginMasterRotation(t, dir)
	d, _, _ = server(t, dir)
	n, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), User: "rocketskates", Password: password})
	require.NoError(t, err)
	assert.Equal(t, "planted", secretOf(t, n))
	assert.Equal(t, 1, daemon.MasterKeys(d))
}

// What was stolen ends when it is said to.
func TestRotationThatEndsTheOldAtOnce(t *testing.T) {
	t.Parallel()
	d, c, _ := server(t, t.TempDir())
	token, err := c.GrantToken(t.Context(), "users", "rocketskates", "1h")
	require.NoError(t, err)
	works := func() bool {
		_, err := client.Get(t.Context(), c.WithToken(token), api.Users, "rocketskates")
		return err == nil
	}
	before := daemon.TokenKeys(d) // a look ago
	require.Empty(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "token-key", "overlap": "1ns"}).Error)
	daemon.UseTokenKeys(d, before)
	assert.False(t, works(), "its key came to its end between two looks, and there is one key, as before")
	token, err = c.GrantToken(t.Context(), "users", "rocketskates", "1h")
	require.NoError(t, err)
	for _, wrong := range []string{"x", "-1s", "7"} {
		assert.Contains(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "token-key", "overlap": wrong}).Error, "give how long the old one is still accepted")
	}
	require.Empty(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "token-key", "overlap": ""}).Error)
	assert.True(t, works(), "unless it is said, for as long as tokens live")
	require.Empty(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "token-key", "overlap": "0s"}).Error)
	assert.False(t, works(), "no longer")
}

func TestPasswordsAtTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c, stop := server(t, dir)
	cfg := daemon.Config{DataDir: dir}
	show := func() ([]string, error) {
		return daemon.Administer(t.Context(), cfg, daemon.AdminCall{Do: "first-password"})
	}
	lines, err := show()
	require.NoError(t, err)
	assert.Equal(t, []string{d.FirstPassword}, lines, "kept until it is used")
	token, err := c.GrantToken(t.Context(), "users", "rocketskates", "1h") // the first login
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := show(); return err != nil }, 10*time.Second, 10*time.Millisecond)
	set := func(p string) {
		_, err := daemon.Administer(t.Context(), cfg, daemon.AdminCall{Do: "passwd", Args: map[string]string{"user": "rocketskates", "password": p}})
		require.NoError(t, err)
	}
	set("while it runs")
	_, err = client.List(t.Context(), c.WithToken(token), api.Machines)
	assert.Equal(t, 403, client.Status(err), "its tokens are revoked")
	stop()
	set("while it is stopped")
	d, _, stop = server(t, dir)
	n, err := client.New(client.Config{Endpoint: d.APIURL("127.0.0.1"), CAFingerprint: d.Fingerprint(), User: "rocketskates", Password: "while it is stopped"})
	require.NoError(t, err)
	_, err = client.List(t.Context(), n, api.Machines)
	require.NoError(t, err)
	stop()
	_, err = daemon.Administer(t.Context(), daemon.Config{DataDir: t.TempDir()}, daemon.AdminCall{Do: "passwd"})
	assert.ErrorContains(t, err, "is no data directory of a server", "and none is made")
}

func TestAMasterKeyHasNoOverlap(t *testing.T) {
	t.Parallel()
	dir := settled(t)
	_, err := daemon.Administer(t.Context(), daemon.Config{DataDir: dir}, daemon.AdminCall{Do: "rotate", Args: map[string]string{"what": "master-key", "overlap": "1h"}})
	assert.ErrorContains(t, err, "--overlap: a master key has none")
}

// TestDHCPWantsAnInterface: a server that cannot serve it is never ready.
func TestDHCPWantsAnInterface(t *testing.T) {
	t.Parallel()
	d, err := daemon.Open(t.Context(), daemon.Config{DataDir: t.TempDir(), APIAddr: "127.0.0.1:0", FileAddr: "127.0.0.1:0", TFTPAddr: "off", Interfaces: []string{"none9"}})
	require.NoError(t, err)
	defer d.Close()
	err = d.Run(t.Context(), func() { t.Error("it says that it is ready") })
	assert.ErrorContains(t, err, "DHCP on none9: ")
	assert.ErrorContains(t, err, "this host has lo")
}

// TestKilledWhileATokenKeyEnds: the file has the new key and the database names
// the old one still, which the next start knows.
func TestKilledWhileATokenKeyEnds(t *testing.T) {
	t.Parallel()
	dir := settled(t)
	d, _, stop := server(t, dir)
	s, err := datadir.Servers.Get(d.DB.View(), datadir.Self)
	require.NoError(t, err)
	old := s.Token
	require.Empty(t, d.Admin(t.Context(), "rotate", map[string]string{"what": "token-key", "overlap": "0s"}).Error)
	require.NoError(t, d.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error { s.Token = old; return nil })
	}))
	stop()
	_, _, stop = server(t, dir)
	stop()
}
