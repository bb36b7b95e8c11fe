package pki

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func config(t *testing.T, c *clock) Config {
	return Config{
		Dir:   filepath.Join(t.TempDir(), "pki"),
		Names: []string{"localhost", "drpd.example"},
		IPs:   []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::1")},
		Now:   c.Now,
	}
}

func open(t *testing.T, cfg Config) *Authority {
	t.Helper()
	a, err := Open(cfg)
	require.NoError(t, err)
	return a
}

func leaf(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	c, err := a.TLSConfig().GetCertificate(nil)
	require.NoError(t, err)
	require.Len(t, c.Certificate, 2)
	return c.Leaf
}

func TestOpenMakesCA(t *testing.T) {
	t.Parallel()
	cfg := config(t, &clock{start})
	a := open(t, cfg)
	assert.Equal(t, start.AddDate(0, 0, 3650), a.ca.cert.NotAfter)
	c := leaf(t, a)
	assert.Equal(t, start.AddDate(0, 0, 365), c.NotAfter)
	assert.Equal(t, []string{"drpd.example", "localhost"}, c.DNSNames)

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(a.CAPEM()))
	for _, name := range []string{"localhost", "drpd.example", "192.0.2.1", "::1"} {
		_, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: start})
		assert.NoError(t, err, name)
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: "192.0.2.2", CurrentTime: start})
	assert.Error(t, err)
	for name, mode := range map[string]fs.FileMode{
		"": 0o700, "ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o600, "server.pem": 0o644,
	} {
		info, err := os.Stat(filepath.Join(cfg.Dir, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestReissue(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		change func(cfg *Config, c *clock)
		fresh  bool
	}{
		{"restart", func(*Config, *clock) {}, false},
		{"names in another order and twice", func(cfg *Config, _ *clock) {
			cfg.Names = []string{"drpd.example", "localhost", "localhost"}
		}, false},
		{"335 days later", func(_ *Config, c *clock) { c.now = start.Add(335*day - time.Second) }, false},
		{"less than 30 days left", func(_ *Config, c *clock) { c.now = start.Add(335 * day) }, true},
		{"expired", func(_ *Config, c *clock) { c.now = start.Add(400 * day) }, true},
		{"name added", func(cfg *Config, _ *clock) { cfg.Names = append(cfg.Names, "more") }, true},
		{"name removed", func(cfg *Config, _ *clock) { cfg.Names = cfg.Names[:1] }, true},
		{"address changed", func(cfg *Config, _ *clock) { cfg.IPs[0] = netip.MustParseAddr("192.0.2.2") }, true},
		{"server key lost", func(cfg *Config, _ *clock) { os.Remove(filepath.Join(cfg.Dir, "server.key")) }, true},
		{"server certificate damaged", func(cfg *Config, _ *clock) {
			os.WriteFile(filepath.Join(cfg.Dir, "server.pem"), []byte("x"), 0o600)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clk := &clock{start}
			cfg := config(t, clk)
			before := open(t, cfg)
			c.change(&cfg, clk)
			after := open(t, cfg)
			assert.Equal(t, before.Fingerprint(), after.Fingerprint(), "the CA stays")
			assert.Equal(t, c.fresh, !before.server.cert.Equal(leaf(t, after)))
			assert.True(t, leaf(t, open(t, cfg)).Equal(leaf(t, after)), "and is kept")
		})
	}
}

func TestRenewWhileRunning(t *testing.T) {
	t.Parallel()
	clk := &clock{start}
	a := open(t, config(t, clk))
	first := leaf(t, a)
	clk.now = start.AddDate(0, 0, 340)
	second := leaf(t, a)
	assert.False(t, first.Equal(second))
	assert.Equal(t, clk.now.AddDate(0, 0, 365), second.NotAfter)

	clk.now = start.AddDate(0, 0, 3640) // ten days before the CA ends
	last := leaf(t, a)
	assert.Equal(t, a.ca.cert.NotAfter, last.NotAfter, "never outlives the CA")
	assert.True(t, last.Equal(leaf(t, a)), "and is not made anew on each handshake")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(cfg *Config, c *clock)
		want   string
	}{
		{"no names", func(cfg *Config, _ *clock) { cfg.Names, cfg.IPs = nil, nil }, "no name and no address for the server"},
		{"expired CA", func(_ *Config, c *clock) { c.now = start.AddDate(10, 0, 0) }, "ca.pem expired 2035-12-31: remove ca.pem and ca.key"},
		{"lost CA key", func(cfg *Config, _ *clock) { os.Remove(filepath.Join(cfg.Dir, "ca.key")) }, "ca.pem: restore it from a backup"},
		{"lost CA certificate", func(cfg *Config, _ *clock) { os.Remove(filepath.Join(cfg.Dir, "ca.pem")) }, "server.key: restore it from a backup"},
		{"damaged CA key", func(cfg *Config, _ *clock) {
			os.WriteFile(filepath.Join(cfg.Dir, "ca.key"), []byte("x"), 0o600)
		}, `ca.key: no PEM block "PRIVATE KEY"`},
		{"key of another", func(cfg *Config, _ *clock) {
			os.Rename(filepath.Join(cfg.Dir, "server.key"), filepath.Join(cfg.Dir, "ca.key"))
		}, "is not the key of"},
		{"server in place of the CA", func(cfg *Config, _ *clock) {
			os.Rename(filepath.Join(cfg.Dir, "server.key"), filepath.Join(cfg.Dir, "ca.key"))
			os.Rename(filepath.Join(cfg.Dir, "server.pem"), filepath.Join(cfg.Dir, "ca.pem"))
		}, "not the certificate of a CA"},
	} {
		clk := &clock{start}
		cfg := config(t, clk)
		open(t, cfg)
		c.change(&cfg, clk)
		_, err := Open(cfg)
		require.ErrorContains(t, err, c.want, c.name)
		assert.ErrorContains(t, err, "open pki "+cfg.Dir, c.name)
	}
	cfg := config(t, &clock{start})
	open(t, cfg)
	for _, name := range []string{"ca.pem", "server.key", "server.pem"} { // a first start cut short
		require.NoError(t, os.Remove(filepath.Join(cfg.Dir, name)))
	}
	open(t, cfg)
}

// handshake connects a client to a server over the loopback.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	require.NoError(t, err)
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake() // the client's view is what counts
			c.Close()
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		err = c.Close()
	}
	<-done
	return err
}

func TestPinnedClient(t *testing.T) {
	t.Parallel()
	live := func() Config { cfg := config(t, &clock{start}); cfg.Now = nil; return cfg }
	ours, theirs := open(t, live()), open(t, live())
	require.NoError(t, handshake(t, ours.TLSConfig(), PinnedClient(ours.Fingerprint())))
	err := handshake(t, theirs.TLSConfig(), PinnedClient(ours.Fingerprint()))
	require.ErrorIs(t, err, ErrPin)

	// An impostor that shows our CA beside its own certificate.
	cert, err := theirs.certificate()
	require.NoError(t, err)
	cert.Certificate = [][]byte{cert.Certificate[0], ours.ca.cert.Raw}
	err = handshake(t, &tls.Config{Certificates: []tls.Certificate{*cert}}, PinnedClient(ours.Fingerprint()))
	require.ErrorIs(t, err, ErrPin)

	for _, bad := range []string{"", "zz", ours.Fingerprint()[2:]} {
		err := handshake(t, ours.TLSConfig(), PinnedClient(bad))
		assert.ErrorContains(t, err, "want 32 bytes in hex", bad)
	}
}

func TestVerifyPinned(t *testing.T) {
	t.Parallel()
	a := open(t, config(t, &clock{start}))
	chain := []*x509.Certificate{a.server.cert, a.ca.cert}
	var colons string
	for i, r := range a.Fingerprint() {
		if i > 0 && i%2 == 0 {
			colons += ":"
		}
		colons += string(r)
	}
	assert.NoError(t, verifyPinned(chain, colons, start))
	assert.ErrorIs(t, verifyPinned(chain, a.Fingerprint(), start.AddDate(2, 0, 0)), ErrPin, "expired")
	assert.ErrorIs(t, verifyPinned(chain[:1], a.Fingerprint(), start), ErrPin, "CA not sent")
	assert.ErrorIs(t, verifyPinned(nil, a.Fingerprint(), start), ErrPin, "nothing sent")
}
