package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"drpd/pkg/pki"
)

// PinError means that a server shows another certificate than the one known.
type PinError struct{ Got, Want string } // fingerprints

func (e *PinError) Error() string {
	return fmt.Sprintf("the server's certificate has fingerprint %s, known is %s", e.Got, e.Want)
}

func tlsConfig(cfg Config) (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case cfg.CertFingerprint != "":
		return pinnedCert(tc, cfg.CertFingerprint)
	case cfg.Pin != "":
		return pinned(tc, cfg.Pin)
	case cfg.CAFingerprint != "":
		return pinnedCA(cfg)
	case len(cfg.CAPEM) > 0:
		tc.RootCAs = x509.NewCertPool()
		if !tc.RootCAs.AppendCertsFromPEM(cfg.CAPEM) {
			return nil, errors.New("the CA given holds no PEM certificate")
		}
	}
	return tc, nil
}

func pinnedCert(tc *tls.Config, fingerprint string) (*tls.Config, error) {
	want, err := canonical(fingerprint)
	tc.InsecureSkipVerify = true // the chain says nothing: the certificate itself is known
	tc.VerifyConnection = func(s tls.ConnectionState) error {
		if got := fingerprintOf(s.PeerCertificates[0]); got != want {
			return &PinError{Got: got, Want: want}
		}
		return nil
	}
	return tc, err
}

// pinned takes the certificate of that fingerprint, or one that descends from a
// drpd's own CA of that fingerprint. Another CA signs for others too, so knowing
// it would be no proof.
func pinned(tc *tls.Config, fingerprint string) (*tls.Config, error) {
	want, err := canonical(fingerprint)
	if err != nil {
		return nil, err
	}
	tc.InsecureSkipVerify = true // VerifyConnection does all of it
	chain := pki.PinnedClient(want).VerifyConnection
	tc.VerifyConnection = func(s tls.ConnectionState) error {
		if fingerprintOf(s.PeerCertificates[0]) == want {
			return nil
		}
		for _, c := range s.PeerCertificates[1:] {
			if ownCA(c) && fingerprintOf(c) == want {
				return chain(s)
			}
		}
		return &PinError{Got: fingerprintOf(named(s.PeerCertificates)), Want: want}
	}
	return tc, nil
}

// ownCA says whether a certificate is that of a drpd's own authority.
func ownCA(c *x509.Certificate) bool {
	return c.IsCA && strings.HasPrefix(c.Subject.CommonName, pki.CAName)
}

// named is the certificate of a chain that people know a server by: a drpd's own
// CA, which it prints when it starts, else its own.
func named(chain []*x509.Certificate) *x509.Certificate {
	if last := chain[len(chain)-1]; ownCA(last) && last.CheckSignatureFrom(last) == nil {
		return last
	}
	return chain[0]
}

func pinnedCA(cfg Config) (*tls.Config, error) {
	for one := range strings.SplitSeq(cfg.CAFingerprint, ",") {
		if _, err := canonical(one); err != nil {
			return nil, fmt.Errorf("CA: %w", err)
		}
	}
	tc := pki.PinnedClient(cfg.CAFingerprint)
	if cfg.AnyName {
		return tc, nil
	}
	chain := tc.VerifyConnection
	tc.VerifyConnection = func(s tls.ConnectionState) error {
		if err := chain(s); err != nil || s.ServerName == "" { // an address has no server name
			return err
		}
		return s.PeerCertificates[0].VerifyHostname(s.ServerName)
	}
	return tc, nil
}

// canonical is a fingerprint in lower case without colons; the name of the sum
// may stand before it, as OpenSSL and others write it.
func canonical(fingerprint string) (string, error) {
	digits := strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(fingerprint), "sha-256", "sha256"), "sha256")
	sum, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "=", "").Replace(digits))
	if err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("the fingerprint %.80q is not a SHA-256 in hexadecimal", fingerprint)
	}
	return hex.EncodeToString(sum), nil
}

func fingerprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// untrusted says that a server was reached and is not the one wanted.
func untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	var name x509.HostnameError
	var pin *PinError
	return errors.As(err, &cert) || errors.As(err, &name) || errors.As(err, &pin) || errors.Is(err, pki.ErrPin)
}

// Peer fetches the fingerprint of the certificate that an endpoint is known by,
// without trusting it: of a drpd's own CA, else of the very certificate. trusted says that the system would; so it is for http,
// which shows none.
func Peer(ctx context.Context, endpoint string) (fingerprint string, trusted bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return "", true, err
	}
	host := u.Host
	if u.Port() == "" {
		host += ":443"
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: unverified()}
	nc, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return "", false, &ConnError{Host: u.Host, Err: err}
	}
	defer nc.Close()
	certs := nc.(*tls.Conn).ConnectionState().PeerCertificates
	pool := x509.NewCertPool()
	for _, c := range certs[1:] {
		pool.AddCert(c)
	}
	_, verr := certs[0].Verify(x509.VerifyOptions{DNSName: u.Hostname(), Intermediates: pool})
	return fingerprintOf(named(certs)), verr == nil, nil
}

// CA connects as the client always does and returns the fingerprint of the
// authority that the server shows above its certificate, "" over http.
func (c *Client) CA(ctx context.Context) (string, error) {
	if c.base.Scheme != "https" {
		return "", nil
	}
	resp, err := c.Stream(ctx, Request{Path: "/info"})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	chain := resp.TLS.PeerCertificates
	if last := chain[len(chain)-1]; len(chain) > 1 && last.IsCA {
		return fingerprintOf(last), nil
	}
	return "", fmt.Errorf("the server %s shows no CA above its certificate", c.base.Host)
}

// KnownBy connects as the client always does and returns the fingerprint that
// the server is known by, as Peer does, "" over http.
func (c *Client) KnownBy(ctx context.Context) (string, error) {
	if c.base.Scheme != "https" {
		return "", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.base.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := c.http.Transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	return fingerprintOf(named(resp.TLS.PeerCertificates)), nil
}

// ServerTime is the time in an endpoint's answer, to the second. The server is
// neither verified nor told anything: with a clock in the past no certificate
// is valid, so the clock comes first.
func ServerTime(ctx context.Context, endpoint string) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint, nil)
	if err != nil {
		return time.Time{}, err
	}
	t := &http.Transport{TLSClientConfig: unverified()}
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return time.Time{}, &ConnError{Host: req.URL.Host, Err: err}
	}
	resp.Body.Close()
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("date of the server: %w", err)
	}
	return now, nil
}

func unverified() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
}
