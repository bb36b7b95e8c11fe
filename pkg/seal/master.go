package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"golang.org/x/crypto/nacl/secretbox"
)

// Master encrypts private keys for the store. Who has the store but not the
// master key's file learns no secret.
type Master struct {
	key    Key   // encrypts, and opens
	former []Key // open as well, while they are being replaced
}

// NewMaster returns a master of a given key, which also opens what former ones
// encrypted.
func NewMaster(key Key, former ...Key) Master { return Master{key: key, former: former} }

// Wrap encrypts an object's private key. owner names the object, as
// "machines/<uuid>": the result opens for no other, so that keys cannot be
// swapped between records.
func (m Master) Wrap(owner string, private Key) []byte { return m.Seal(owner, private[:]) }

// Seal is Wrap for other small secrets.
func (m Master) Seal(owner string, secret []byte) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return secretbox.Seal(nonce[:], secret, &nonce, ownerKey(m.key, owner))
}

// Unwrap returns the private key that Wrap encrypted for the same owner.
func (m Master) Unwrap(owner string, wrapped []byte) (Key, error) {
	if want := nonceSize + KeySize + secretbox.Overhead; len(wrapped) != want {
		return Key{}, fmt.Errorf("unwrap key of %s: %d bytes, want %d", owner, len(wrapped), want)
	}
	private, err := m.Open(owner, wrapped)
	if err != nil {
		return Key{}, fmt.Errorf("unwrap key of %s: %w", owner, err)
	}
	return Key(private), nil
}

// Open returns what Seal encrypted for the same owner.
func (m Master) Open(owner string, sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+secretbox.Overhead {
		return nil, ErrOpen
	}
	for _, key := range append([]Key{m.key}, m.former...) {
		if plain, ok := secretbox.Open(nil, sealed[nonceSize:], (*[nonceSize]byte)(sealed), ownerKey(key, owner)); ok {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// Fresh says whether the key in use encrypted it, and no former one.
func (m Master) Fresh(owner string, sealed []byte) bool {
	_, err := NewMaster(m.key).Open(owner, sealed)
	return err == nil
}

// ownerKey derives a key for one owner.
func ownerKey(master Key, owner string) *[KeySize]byte {
	h := hmac.New(sha256.New, master[:])
	io.WriteString(h, "drpd key wrap 1\x00"+owner)
	return (*[KeySize]byte)(h.Sum(nil))
}
