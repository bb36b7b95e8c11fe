package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// keyPair is how the server tells and takes a certificate.
type keyPair struct{ Cert, Key []byte }

// certPair reads and replaces the certificate of one of the server's ports.
func (s *session) certPair(path, of string) *cobra.Command {
	return s.parent("certs", "Read and replace the certificate of "+of+".", "",
		s.verb("get <cert> <private>", "Save certificate and private key as PEM files.", func(ctx context.Context, args []string) error {
			var p keyPair
			if err := s.conn().get(ctx, path, nil, &p); err != nil {
				return about(err, "get the certificate")
			}
			return savePair(args[0], p.Cert, args[1], p.Key)
		}),
		s.verb("set <cert> <private>", "Use the certificate and private key in PEM files.", func(ctx context.Context, args []string) error {
			p, err := readPair(args[0], args[1])
			if err != nil {
				return err
			}
			return about(s.conn().call(ctx, http.MethodPost, path, nil, p, nil), "set the certificate")
		}))
}

func savePair(certFile string, cert []byte, keyFile string, key []byte) error {
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return fmt.Errorf("save the private key: %w", err)
	}
	if err := os.WriteFile(certFile, cert, 0o644); err != nil { //nolint:gosec // certificates are public
		return fmt.Errorf("save the certificate: %w", err)
	}
	return nil
}

func readPair(certFile, keyFile string) (keyPair, error) {
	var p keyPair
	var err error
	if p.Cert, err = readFile(certFile); err != nil {
		return p, failf(exitUsage, "read the certificate: %v", err)
	}
	if p.Key, err = readFile(keyFile); err != nil {
		return p, failf(exitUsage, "read the private key: %v", err)
	}
	if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
		return p, failf(exitUsage, "%s and %s do not belong together: %v", certFile, keyFile, err)
	}
	return p, nil
}

func (s *session) certsCmd() *cobra.Command {
	return s.parent("certs", "Make what a certificate authority signs.", "  drpcli certs csr site drpd.example 10.0.0.1",
		s.verb("csr <root> <common name> [<host>]...", "Print a new private key and a request to sign it.", func(_ context.Context, args []string) error {
			csr, key, err := newCSR(args[0], args[1], args[2:])
			if err != nil {
				return fmt.Errorf("make a signing request for %s: %w", args[1], err)
			}
			return s.print("", object{"CSR": string(csr), "Key": string(key)})
		}))
}

// newCSR makes a P-256 key and a request that names its authority, its common
// name and further hosts.
func newCSR(root, name string, hosts []string) (csr, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, OrganizationalUnit: []string{root}}}
	for _, h := range append([]string{name}, hosts...) {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		t.DNSNames = append(t.DNSNames, h)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
