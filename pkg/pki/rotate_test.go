package pki

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chainOf is what the server shows.
func chainOf(t *testing.T, a *Authority) []*x509.Certificate {
	t.Helper()
	c, err := a.certificate()
	require.NoError(t, err)
	var out []*x509.Certificate
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		out = append(out, cert)
	}
	return out
}

// A rotation breaks nobody who pins the old authority or the new one, also over
// renewals, new addresses and restarts, until the overlap ends.
func TestRotate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	cfg := Config{Dir: filepath.Join(t.TempDir(), "pki"), Names: []string{"localhost"}, Now: func() time.Time { return now }}
	a, err := Open(cfg)
	require.NoError(t, err)
	old := a.Fingerprint()
	require.NoError(t, a.Rotate(now.Add(100*24*time.Hour)))
	fresh := a.Fingerprint()
	require.NotEqual(t, old, fresh)
	assert.Equal(t, []string{fresh, old}, a.Fingerprints())
	both := func(what string) {
		t.Helper()
		chain := chainOf(t, a)
		assert.NoError(t, verifyPinned(chain, old, now), what)
		assert.NoError(t, verifyPinned(chain, fresh, now), what)
		assert.NoError(t, verifyPinned(chain, fresh+","+old, now), what)
		assert.Equal(t, fresh, fingerprint(chain[len(chain)-1].Raw), "the last one is what new clients pin")
	}
	both("at once")
	assert.ErrorContains(t, a.Rotate(now), "is accepted until 2026-06-12")

	cfg.IPs = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
	a, err = Open(cfg)
	require.NoError(t, err)
	both("after a restart with another address")
	now = now.Add(99 * 24 * time.Hour)
	both("the day before the end")
	now = now.Add(2 * 24 * time.Hour)
	assert.NoError(t, verifyPinned(chainOf(t, a), fresh, now))
	assert.ErrorIs(t, verifyPinned(chainOf(t, a), old, now), ErrPin, "the overlap has ended")

	require.NoError(t, a.Rotate(now.Add(time.Hour)), "and again")
	assert.NoError(t, verifyPinned(chainOf(t, a), fresh, now))
	assert.NoError(t, verifyPinned(chainOf(t, a), a.Fingerprint(), now))
	require.NoError(t, a.EndOverlap(now))
	assert.ErrorIs(t, verifyPinned(chainOf(t, a), fresh, now), ErrPin)
}

// Until the one file is written that names it, a new authority is not there.
func TestRotateIsOneWrite(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: filepath.Join(t.TempDir(), "pki"), Names: []string{"localhost"}}
	a, err := Open(cfg)
	require.NoError(t, err)
	old := a.Fingerprint()
	require.NoError(t, os.Mkdir(filepath.Join(cfg.Dir, AuthoritiesFile), 0o700)) // the write fails
	assert.Error(t, a.Rotate(time.Now().Add(time.Hour)))
	require.NoError(t, os.Remove(filepath.Join(cfg.Dir, AuthoritiesFile)))
	assert.Equal(t, old, a.Fingerprint())
	a, err = Open(cfg)
	require.NoError(t, err)
	assert.Equal(t, old, a.Fingerprint())
	require.NoError(t, a.Rotate(time.Now().Add(time.Hour)))
	fresh := a.Fingerprint()
	a, err = Open(cfg)
	require.NoError(t, err)
	assert.Equal(t, fresh, a.Fingerprint())
}
