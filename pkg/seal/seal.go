// Package seal encrypts values to an object's own key, so that only the server
// (and whoever it lets read) sees secure parameters, and keeps those keys
// encrypted at rest under a master key.
//
// The sealed form is the one DRP clients make and read: a NaCl box
// (curve25519, xsalsa20, poly1305) from a key pair made for that value alone.
package seal

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/nacl/box"
)

// KeySize is the length of public, private and master keys in bytes.
const KeySize = 32

const nonceSize = 24

// MaxPlain bounds a sealed value in bytes.
const MaxPlain = 1 << 20

// ErrOpen means that the data was not sealed to this key, or was changed.
var ErrOpen = errors.New("cannot be opened with this key")

// Key is a public or a private key.
type Key [KeySize]byte

// String keeps keys out of logs and errors.
func (Key) String() string { return "[key]" }

// GoString does for %#v what String does for %v.
func (Key) GoString() string { return "[key]" }

// SecureData is a sealed value; its JSON fields are base64.
type SecureData struct {
	Key     []byte // public half of the sender's one-time pair, 32 bytes
	Nonce   []byte // 24 bytes
	Payload []byte
}

// NewKeyPair makes a key pair for an object.
func NewKeyPair() (public, private Key, err error) {
	pub, priv, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, Key{}, fmt.Errorf("make key pair: %w", err)
	}
	return *pub, *priv, nil
}

// Seal encrypts plaintext to the owner of a public key.
func Seal(public Key, plaintext []byte) (SecureData, error) {
	if len(plaintext) > MaxPlain {
		return SecureData{}, fmt.Errorf("seal: %d bytes, limit %d", len(plaintext), MaxPlain)
	}
	ownPublic, ownPrivate, err := NewKeyPair()
	if err != nil {
		return SecureData{}, fmt.Errorf("seal: %w", err)
	}
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	return SecureData{
		Key:     ownPublic[:],
		Nonce:   nonce[:],
		Payload: box.Seal(nil, plaintext, &nonce, (*[KeySize]byte)(&public), (*[KeySize]byte)(&ownPrivate)),
	}, nil
}

// Open decrypts what was sealed to the public half of private.
func Open(private Key, d SecureData) ([]byte, error) {
	switch {
	case len(d.Key) != KeySize:
		return nil, fmt.Errorf("open sealed data: Key of %d bytes, want %d", len(d.Key), KeySize)
	case len(d.Nonce) != nonceSize:
		return nil, fmt.Errorf("open sealed data: Nonce of %d bytes, want %d", len(d.Nonce), nonceSize)
	case len(d.Payload) < box.Overhead || len(d.Payload) > MaxPlain+box.Overhead:
		return nil, fmt.Errorf("open sealed data: Payload of %d bytes, want %d to %d", len(d.Payload), box.Overhead, MaxPlain+box.Overhead)
	}
	plain, ok := box.Open(nil, d.Payload, (*[nonceSize]byte)(d.Nonce), (*[KeySize]byte)(d.Key), (*[KeySize]byte)(&private))
	if !ok {
		return nil, fmt.Errorf("open sealed data: %w", ErrOpen)
	}
	if plain == nil {
		plain = []byte{} // an empty value is still a value
	}
	return plain, nil
}
