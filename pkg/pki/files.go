package pki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"drpd/pkg/atomicfile"
)

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// loadOrMakeCA makes a CA only where there is no trace of one.
func loadOrMakeCA(path, serverPath string, now time.Time) (pair, error) {
	ca, err := loadPair(path)
	if err == nil && !ca.cert.IsCA {
		return pair{}, fmt.Errorf("%s.pem: not the certificate of a CA", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return ca, err
	}
	// The server's files come last, so beside them (or with a certificate but no
	// key) a part of a finished CA was lost. A key alone is a first start that
	// was cut short.
	for _, trace := range []string{path + ".pem", serverPath + ".key"} {
		if _, statErr := os.Stat(trace); statErr == nil {
			return pair{}, fmt.Errorf("%w, though there is %s: restore it from a backup", err, trace)
		}
	}
	if ca, err = makeCA(now); err != nil {
		return pair{}, err
	}
	return ca, ca.save(path)
}

// loadPair reads path.key and path.pem. The error matches fs.ErrNotExist if
// either is missing.
func loadPair(path string) (pair, error) {
	keyDER, err := readPEM(path+".key", "PRIVATE KEY")
	if err != nil {
		return pair{}, err
	}
	certDER, err := readPEM(path+".pem", "CERTIFICATE")
	if err != nil {
		return pair{}, err
	}
	anyKey, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return pair{}, fmt.Errorf("parse %s.key: %w", path, err)
	}
	key, ok := anyKey.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, fmt.Errorf("parse %s.key: not an ECDSA key", path)
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return pair{}, fmt.Errorf("parse %s.pem: %w", path, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return pair{}, fmt.Errorf("%s.key is not the key of %s.pem", path, path)
	}
	return pair{cert: cert, key: key}, nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("read %s: no PEM block %q", path, kind)
	}
	return block.Bytes, nil
}

func (p pair) save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return fmt.Errorf("encode %s.key: %w", path, err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := atomicfile.Write(path+".key", keyPEM, 0o600); err != nil {
		return err
	}
	return atomicfile.Write(path+".pem", certPEM(p.cert.Raw), 0o644)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
