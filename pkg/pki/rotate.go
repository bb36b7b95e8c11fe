package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"drpd/pkg/atomicfile"
)

// AuthoritiesFile names the authority in use; without it that is "ca".
const AuthoritiesFile = "authorities.json"

// authorities says which files are those of the authority in use, and of the one
// before as long as it is accepted. Writing it is the moment of a rotation.
type authorities struct {
	Current string
	Former  string    `json:",omitempty"`
	Until   time.Time // of the former one
}

// former is an authority that has been replaced and is still pinned.
type former struct {
	pair
	until time.Time
}

func readAuthorities(dir string) (authorities, error) {
	data, err := os.ReadFile(filepath.Join(dir, AuthoritiesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return authorities{Current: "ca"}, nil
	}
	var is authorities
	if err == nil {
		err = json.Unmarshal(data, &is)
	}
	if err == nil && is.Current == "" {
		err = errors.New("it names none")
	}
	if err != nil {
		return is, fmt.Errorf("read %s: %w", AuthoritiesFile, err)
	}
	return is, nil
}

// openFormer loads the authority before, and has the present one vouch for it.
func (a *Authority) openFormer(is authorities) error {
	a.former, a.cross = nil, nil
	if is.Former == "" || !a.cfg.Now().Before(is.Until) {
		return nil
	}
	p, err := loadPair(a.path(is.Former))
	if err != nil {
		return err
	}
	a.former = &former{p, is.Until}
	a.cross, err = vouch(a.ca, p.cert)
	return err
}

// vouch signs the key of the authority before, so that who pins the new one
// takes what the old one has signed.
func vouch(ca pair, old *x509.Certificate) ([]byte, error) {
	t := &x509.Certificate{SerialNumber: newSerial(), Subject: old.Subject, RawSubject: old.RawSubject, NotBefore: old.NotBefore, NotAfter: old.NotAfter,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: old.KeyUsage, SubjectKeyId: old.SubjectKeyId}
	if ca.cert.NotAfter.Before(t.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	return x509.CreateCertificate(rand.Reader, t, ca.cert, old.PublicKey, ca.key)
}

// overlaps says whether a former authority is still accepted. Then it signs the
// server's certificate: all who pin it go on, and who pins the new one finds
// that this vouches for it.
func (a *Authority) overlaps(now time.Time) bool {
	return a.former != nil && now.Before(a.former.until) && now.Before(a.former.cert.NotAfter)
}

func (a *Authority) issuer(now time.Time) pair {
	if a.overlaps(now) {
		return a.former.pair
	}
	return a.ca
}

// Rotate replaces the authority. The one before stays accepted until the given
// time, at most until it expires. A kill in the middle leaves the old one.
func (a *Authority) Rotate(until time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Now()
	is, err := readAuthorities(a.cfg.Dir)
	if err != nil {
		return err
	}
	if a.overlaps(now) {
		return fmt.Errorf("the authority before is accepted until %s: end that first, with --overlap", a.former.until.UTC().Format(time.DateOnly))
	}
	fresh, err := makeCA(now)
	if err != nil {
		return err
	}
	name := "ca-" + fresh.cert.SerialNumber.Text(16)[:8]
	if err := fresh.save(a.path(name)); err != nil {
		return err
	}
	return a.turn(authorities{Current: name, Former: is.Current, Until: until})
}

// EndOverlap sets until when the former authority is accepted.
func (a *Authority) EndOverlap(until time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	is, err := readAuthorities(a.cfg.Dir)
	if err != nil {
		return err
	}
	if is.Former == "" {
		return errors.New("there is no former authority")
	}
	is.Until = until
	return a.turn(is)
}

// turn writes which authorities hold, and goes by it.
func (a *Authority) turn(is authorities) error {
	data, err := json.Marshal(is)
	if err != nil {
		return err
	}
	ca, err := loadPair(a.path(is.Current))
	if err != nil {
		return err
	}
	if err := atomicfile.Write(a.path(AuthoritiesFile), append(data, '\n'), 0o600); err != nil {
		return err
	}
	a.ca = ca
	return a.openFormer(is)
}

// Overlap says until when a former authority is accepted; false: there is none.
func (a *Authority) Overlap() (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.overlaps(a.cfg.Now()) {
		return time.Time{}, false
	}
	return a.former.until, true
}
