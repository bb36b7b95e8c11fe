// Package password hashes and verifies passwords with scrypt, and makes random
// ones.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/scrypt"
)

// MaxLen bounds a password in bytes.
const MaxLen = 1024

const (
	saltSize = 16
	hashSize = 32
	// maxMemory bounds what one verification may take, in bytes: a hash may
	// come from imported content.
	maxMemory = 256 << 20
	maxP      = 16
)

// ErrMismatch means that the password is not the one that was hashed.
var ErrMismatch = errors.New("wrong password")

// Params is the cost of a hash: 128·2^LogN·R bytes of memory, P times over.
type Params struct{ LogN, R, P int }

// DefaultParams takes 32 MiB and about a tenth of a second, the least that is
// usually advised for logins.
func DefaultParams() Params { return Params{LogN: 15, R: 8, P: 1} }

func (p Params) check() error {
	if p.LogN < 1 || p.LogN > 24 || p.R < 1 || p.R > 64 || p.P < 1 || p.P > maxP || 128*p.R<<p.LogN > maxMemory {
		return fmt.Errorf("scrypt parameters ln=%d,r=%d,p=%d out of bounds", p.LogN, p.R, p.P)
	}
	return nil
}

// Hash returns the password's hash with its salt and parameters, as text:
// $scrypt$ln=15,r=8,p=1$<salt>$<hash>.
func Hash(password string, p Params) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	sum, err := derive(password, salt, p)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", p.LogN, p.R, p.P, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// Verify returns nil if the password is the one hashed, ErrMismatch if not, and
// another error if the hash itself cannot be used.
func Verify(hash, password string) error {
	p, salt, want, err := parse(hash)
	if err != nil {
		return fmt.Errorf("verify password: %w", err)
	}
	if len(password) == 0 || len(password) > MaxLen {
		return ErrMismatch
	}
	got, err := derive(password, salt, p)
	if err != nil {
		return fmt.Errorf("verify password: %w", err)
	}
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return ErrMismatch
	}
	return nil
}

func derive(password string, salt []byte, p Params) ([]byte, error) {
	if len(password) == 0 || len(password) > MaxLen {
		return nil, fmt.Errorf("password of %d bytes, want 1 to %d", len(password), MaxLen)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return scrypt.Key([]byte(password), salt, 1<<p.LogN, p.R, p.P, hashSize)
}
