package pki

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrPin means that the server's chain does not lead to the pinned CA.
var ErrPin = errors.New("server is not of the pinned CA")

// PinnedClient returns the config of a client that trusts one CA, known by its
// SHA-256 fingerprint (hex, colons allowed), and nothing else. Several, separated
// by commas, are a CA and those that follow it: any of them will do. Names are not
// compared: a machine that boots knows an address at most, and the CA signs
// nobody but its server. A malformed fingerprint fails every handshake.
func PinnedClient(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does all of it
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyPinned(cs.PeerCertificates, pin, time.Now())
		},
	}
}

func verifyPinned(chain []*x509.Certificate, pin string, now time.Time) error {
	var pins [][]byte
	for one := range strings.SplitSeq(pin, ",") {
		want, err := hex.DecodeString(strings.ReplaceAll(one, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return fmt.Errorf("CA fingerprint %.80q: want %d bytes in hex", one, sha256.Size)
		}
		pins = append(pins, want)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, c := range chain {
		sum := sha256.Sum256(c.Raw)
		if slices.ContainsFunc(pins, func(want []byte) bool { return subtle.ConstantTimeCompare(sum[:], want) == 1 }) {
			roots.AddCert(c)
			found = true
			continue
		}
		between.AddCert(c)
	}
	if !found {
		return fmt.Errorf("%w: no certificate it sent has SHA-256 %s", ErrPin, pin)
	}
	// KeyUsages is server authentication unless given.
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPin, err)
	}
	return nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
