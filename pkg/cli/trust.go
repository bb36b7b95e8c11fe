package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/url"
	"time"
)

func pinned(endpoint, fingerprint string) *tls.Config {
	if fingerprint == "" {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The chain is not checked because the certificate itself is known.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if got := fingerprintOf(cs.PeerCertificates[0]); got != fingerprint {
				return &failure{code: exitUnreachable, what: "the certificate of " + endpoint + " is not the one known from the first login",
					cause: "it has fingerprint " + got + ", known is " + fingerprint,
					fix:   "if the server was set up anew: drpcli login --renew -E " + endpoint}
			}
			return nil
		},
	}
}

func fingerprintOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// peer fetches the certificate that an endpoint shows, without trusting it.
// trusted says that the system would.
func peer(ctx context.Context, endpoint string) (fingerprint string, trusted bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" {
		return "", true, err
	}
	host := u.Host
	if u.Port() == "" {
		host += ":443"
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	nc, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return "", false, unreachable(endpoint, err)
	}
	defer nc.Close()
	certs := nc.(*tls.Conn).ConnectionState().PeerCertificates
	pool := x509.NewCertPool()
	for _, c := range certs[1:] {
		pool.AddCert(c)
	}
	_, verr := certs[0].Verify(x509.VerifyOptions{DNSName: u.Hostname(), Intermediates: pool})
	return fingerprintOf(certs[0]), verr == nil, nil
}
