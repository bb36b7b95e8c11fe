// Package pki is the server's own certificate authority: made on first start,
// it signs the server's certificate and re-signs it in time. Clients trust it
// by the SHA-256 of its certificate, which fits on a kernel command line.
package pki

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	renewAt    = 30 * 24 * time.Hour // time left at which a new certificate is made
	backdate   = 24 * time.Hour      // clocks of machines that boot are often behind
)

// Config says where keys are kept and what the server is called.
type Config struct {
	Dir   string           // made with mode 0700; holds ca.{pem,key} and server.{pem,key}
	Names []string         // DNS names of the server
	IPs   []netip.Addr     // addresses clients connect to
	Now   func() time.Time // nil: time.Now
	Lazy  bool             // the server's certificate is looked at when it is first shown
}

// Authority is the CA with the server's certificate. Make it with Open; its
// methods may run concurrently.
type Authority struct {
	cfg Config

	mu     sync.Mutex // guards below
	ca     pair
	former *former // nil: there is none that is still accepted
	cross  []byte  // the former one's certificate, signed by ca
	server pair
}

// Open loads the authority from its folder, making what is missing and
// replacing a server certificate that is for other names or nearly expired. It
// never replaces a CA: clients have pinned it.
func Open(cfg Config) (*Authority, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Names)+len(cfg.IPs) == 0 {
		return nil, fmt.Errorf("open pki %s: no name and no address for the server", cfg.Dir)
	}
	cfg.Names, cfg.IPs = sortedNames(cfg.Names), sortedIPs(cfg.IPs)
	a := &Authority{cfg: cfg}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("open pki %s: %w", cfg.Dir, err)
	}
	return a, nil
}

func (a *Authority) open() (err error) {
	if err := os.MkdirAll(a.cfg.Dir, 0o700); err != nil {
		return err
	}
	now := a.cfg.Now()
	is, err := readAuthorities(a.cfg.Dir)
	if err != nil {
		return err
	}
	if a.ca, err = loadOrMakeCA(a.path(is.Current), a.path("server"), now); err != nil {
		return err
	}
	if err := a.openFormer(is); err != nil {
		return err
	}
	if !now.Before(a.ca.cert.NotAfter) {
		return fmt.Errorf("ca.pem expired %s: remove ca.pem and ca.key to make a new CA, then give clients its fingerprint",
			a.ca.cert.NotAfter.Format(time.DateOnly))
	}
	if a.server, err = loadPair(a.path("server")); err != nil {
		a.server = pair{} // of no worth: the CA makes another
	}
	if !a.cfg.Lazy {
		_, err = a.certificate()
		return err
	}
	return nil
}

func (a *Authority) path(name string) string { return filepath.Join(a.cfg.Dir, name) }

// TLSConfig is for servers. The certificate is looked at on each handshake, so
// a long-running server renews it by itself.
func (a *Authority) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.certificate()
		},
	}
}

// CAPEM is the CA's certificate for clients that verify in the usual way.
func (a *Authority) CAPEM() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return certPEM(a.ca.cert.Raw)
}

// Fingerprint is the SHA-256 of the CA's certificate (DER) in lower-case hex.
func (a *Authority) Fingerprint() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fingerprint(a.ca.cert.Raw)
}

// Fingerprints are those of the CA in use and of a former one.
func (a *Authority) Fingerprints() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []string{fingerprint(a.ca.cert.Raw)}
	if a.former != nil {
		out = append(out, fingerprint(a.former.cert.Raw))
	}
	return out
}

// certificate returns the server's certificate followed by the CA's, which
// clients that pin need to see; it makes a new one when it is due.
func (a *Authority) certificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Now()
	if !a.usable(now) {
		fresh, err := issue(a.issuer(now), a.cfg, now)
		if err != nil {
			return nil, err
		}
		if err := fresh.save(a.path("server")); err != nil {
			return nil, err
		}
		a.server = fresh
	}
	chain := [][]byte{a.server.cert.Raw, a.ca.cert.Raw}
	if a.overlaps(now) {
		chain = [][]byte{a.server.cert.Raw, a.former.cert.Raw, a.cross, a.ca.cert.Raw}
	}
	return &tls.Certificate{
		Certificate: chain,
		PrivateKey:  a.server.key,
		Leaf:        a.server.cert,
	}, nil
}

// usable reports whether the server's certificate is ours, for exactly the
// configured names, and good for a while. Close to the CA's own end there is
// nothing longer to be had, so then any time left is enough.
func (a *Authority) usable(now time.Time) bool {
	c := a.server.cert
	by := a.issuer(now).cert
	if c == nil || c.CheckSignatureFrom(by) != nil || now.Before(c.NotBefore) {
		return false
	}
	due := c.NotAfter.Add(-renewAt)
	if c.NotAfter.Equal(by.NotAfter) {
		due = c.NotAfter
	}
	return now.Before(due) && slices.Equal(sortedNames(c.DNSNames), a.cfg.Names) &&
		slices.Equal(certIPs(c), a.cfg.IPs)
}

func sortedNames(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

func sortedIPs(ips []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		out = append(out, ip.Unmap().WithZone(""))
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
