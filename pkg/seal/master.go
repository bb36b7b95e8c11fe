package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/crypto/nacl/secretbox"

	"drpd/pkg/atomicfile"
)

// Master encrypts private keys for the store. Who has the store but not the
// master key's file learns no secret.
type Master struct{ key Key }

// NewMaster returns a master of a given key.
func NewMaster(key Key) Master { return Master{key: key} }

// LoadMaster reads the master key at path, making the file on first start. It
// refuses a file that others may read.
func LoadMaster(path string) (Master, error) {
	m, err := readMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	var fresh Key
	rand.Read(fresh[:]) // never fails
	if err := atomicfile.Create(path, fresh[:], 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return Master{}, fmt.Errorf("make master key: %w", err)
	}
	return readMaster(path) // of two that race, both use the one that was written
}

func readMaster(path string) (Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return Master{}, fmt.Errorf("load master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Master{}, fmt.Errorf("load master key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Master{}, fmt.Errorf("load master key %s: mode %04o lets others read it: chmod 600, and think of the key as known", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, KeySize+1))
	if err != nil {
		return Master{}, fmt.Errorf("load master key %s: %w", path, err)
	}
	if len(data) != KeySize {
		return Master{}, fmt.Errorf("load master key %s: not a key of %d bytes: restore it from a backup", path, KeySize)
	}
	return Master{key: Key(data)}, nil
}

// Wrap encrypts an object's private key. owner names the object, as
// "machines/<uuid>": the result opens for no other, so that keys cannot be
// swapped between records.
func (m Master) Wrap(owner string, private Key) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return secretbox.Seal(nonce[:], private[:], &nonce, m.ownerKey(owner))
}

// Unwrap returns the private key that Wrap encrypted for the same owner.
func (m Master) Unwrap(owner string, wrapped []byte) (Key, error) {
	if want := nonceSize + KeySize + secretbox.Overhead; len(wrapped) != want {
		return Key{}, fmt.Errorf("unwrap key of %s: %d bytes, want %d", owner, len(wrapped), want)
	}
	private, ok := secretbox.Open(nil, wrapped[nonceSize:], (*[nonceSize]byte)(wrapped), m.ownerKey(owner))
	if !ok {
		return Key{}, fmt.Errorf("unwrap key of %s: %w", owner, ErrOpen)
	}
	return Key(private), nil
}

// ownerKey derives a key for one owner.
func (m Master) ownerKey(owner string) *[KeySize]byte {
	h := hmac.New(sha256.New, m.key[:])
	io.WriteString(h, "drpd key wrap 1\x00"+owner)
	return (*[KeySize]byte)(h.Sum(nil))
}
