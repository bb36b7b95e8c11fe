package daemon

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
)

// certificate is what the server shows, and what its clients pin.
type certificate struct {
	config      *tls.Config
	fingerprint func() string // SHA-256 of the last certificate of the chain
}

// certificate is the operator's own, if both of its files exist, else one of
// our own authority.
func (d *Daemon) certificate() (certificate, error) {
	own := certificate{config: d.pki.TLSConfig(), fingerprint: d.pki.Fingerprint}
	if d.cfg.CertFile == "" || d.cfg.KeyFile == "" {
		return own, nil
	}
	pair, err := tls.LoadX509KeyPair(d.cfg.CertFile, d.cfg.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return own, nil
	}
	if err != nil {
		return certificate{}, fmt.Errorf("load certificate %s with key %s: %w", d.cfg.CertFile, d.cfg.KeyFile, err)
	}
	sum := sha256.Sum256(pair.Certificate[len(pair.Certificate)-1])
	return certificate{
		config:      &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}},
		fingerprint: func() string { return hex.EncodeToString(sum[:]) },
	}, nil
}
