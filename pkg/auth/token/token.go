// Package token mints and verifies the bearer tokens of users, machines, boot
// scripts, jobs, profiles and plugins.
//
// A token is its payload and an HMAC-SHA-256 over it, both in base64url, so a
// replica needs only the key to check one. It is bound to the secrets of those
// it depends on (who granted it, the user, the machine): changing any of them
// revokes it. The payload is signed, not encrypted: it must hold no secret.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// KeySize is the length of a signing key in bytes.
const KeySize = 32

// MaxLen bounds a token in bytes: one must fit in an HTTP header and, for
// booting machines, on a kernel command line beside the rest.
const MaxLen = 4096

// Errors to test for with errors.Is.
var (
	ErrMalformed = errors.New("malformed token")
	ErrSignature = errors.New("token not signed by us")
	ErrExpired   = errors.New("token expired")
	ErrRevoked   = errors.New("token revoked")
)

// Kind says what a token speaks for.
type Kind string

// The kinds of token.
const (
	User    Kind = "user"
	Machine Kind = "machine"
	Boot    Kind = "boot"    // a machine we do not know yet, in our own boot script
	Unknown Kind = "unknown" // a machine we do not know yet, in a template of content
	Job     Kind = "job"
	Plugin  Kind = "plugin"  // a plugin's process
	Profile Kind = "profile" // one profile, for the machine that is the Key
	Join    Kind = "join"    // an operator's word that who brings it is the machine that is the Key, or a new one
)

// Claim allows an action of a scope on a specific object; "*" means any.
type Claim struct{ Scope, Action, Specific string }

// Payload is what a token says.
type Payload struct {
	Subject string // whom requests are made as
	Kind    Kind
	Key     string // the object the token is of, as a machine's Uuid
	Grantor string // the user whose grant it is; may be empty
	Claims  []Claim
	Roles   []string  // the token of a user allows no more than these
	Issued  time.Time // whole seconds
	Expires time.Time // whole seconds; no longer valid at that time

	// Of the token of a machine. Claim is the claim to be that machine which it
	// rests on, "" if it rests on who granted it.
	Claim string
	// Over is the claim that there was when a user lent the token: a later one that
	// was proven by a boot or an operator ends it. "" if there was none.
	Over string
	// Ticket is the id of a token that travels in the clear: until UseBy anybody
	// may use it first, then only who did, for Lapse after their last sign of life.
	Ticket string
	UseBy  time.Time
	Lapse  time.Duration // whole seconds
	Intent string        // the boot that the ticket was made for
}

// Secrets are the values a token is bound to; "" where there is none. System
// is that of the server: changing it revokes every token.
type Secrets struct{ Grantor, User, Machine, System string }

// b64 is strict, so that a token has exactly one spelling.
var b64 = base64.RawURLEncoding.Strict()

// Mint returns a token of p, signed with key and bound to the secrets.
func Mint(key []byte, p Payload, s Secrets) (string, error) {
	if len(key) != KeySize {
		return "", fmt.Errorf("mint token for %s: key of %d bytes, want %d", p.Subject, len(key), KeySize)
	}
	if !p.Expires.After(p.Issued) {
		return "", fmt.Errorf("mint token for %s: expires %s, not after it is issued", p.Subject, p.Expires.UTC().Format(time.RFC3339))
	}
	body, err := encode(p, binding(key, s))
	if err != nil {
		return "", fmt.Errorf("mint token for %s: %w", p.Subject, err)
	}
	text := b64.EncodeToString(body) + "." + b64.EncodeToString(sign(key, body))
	if len(text) > MaxLen {
		return "", fmt.Errorf("mint token for %s: %d bytes, limit %d: give it fewer claims", p.Subject, len(text), MaxLen)
	}
	return text, nil
}

// Verify returns the payload of a token that is signed with one of the keys,
// not expired at now, and whose secrets are still what current says. current is
// called only for tokens that are ours; its error is returned wrapped, so a
// vanished user is best reported with ErrRevoked.
func Verify(now time.Time, text string, keys [][]byte, current func(Payload) (Secrets, error)) (Payload, error) {
	body, mac, err := split(text)
	if err != nil {
		return Payload{}, err
	}
	key, err := signer(body, mac, keys)
	if err != nil {
		return Payload{}, err
	}
	p, bound, err := decode(body)
	if err != nil {
		return Payload{}, err
	}
	if !now.Before(p.Expires) {
		return Payload{}, fmt.Errorf("%w at %s: get a new one", ErrExpired, p.Expires.Format(time.RFC3339))
	}
	s, err := current(p)
	if err != nil {
		return Payload{}, fmt.Errorf("secrets for token of %s %s: %w", p.Kind, p.Subject, err)
	}
	if !hmac.Equal(bound, binding(key, s)) {
		return Payload{}, fmt.Errorf("%w: a secret of %s %s or of its grantor has changed", ErrRevoked, p.Kind, p.Subject)
	}
	return p, nil
}

func split(text string) (body, mac []byte, err error) {
	if len(text) > MaxLen {
		return nil, nil, fmt.Errorf("%w: %d bytes, limit %d", ErrMalformed, len(text), MaxLen)
	}
	left, right, ok := strings.Cut(text, ".")
	if !ok || strings.ContainsAny(text, "\r\n") { // the decoder would skip those
		return nil, nil, fmt.Errorf("%w: not two parts", ErrMalformed)
	}
	body, err = b64.DecodeString(left)
	if err == nil {
		mac, err = b64.DecodeString(right)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return body, mac, nil
}

// signer returns the key that made mac. Keys of a wrong size never match: an
// empty one would let anybody sign.
func signer(body, mac []byte, keys [][]byte) ([]byte, error) {
	for _, key := range keys {
		if len(key) == KeySize && hmac.Equal(mac, sign(key, body)) {
			return key, nil
		}
	}
	return nil, ErrSignature
}

// sign and binding start with different words, so that neither result can
// stand in for the other.
func sign(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, "drpd token 1\x00")
	h.Write(body)
	return h.Sum(nil)
}

// binding is keyed because secrets may be guessable and tokens can be read. 16
// bytes do: it is compared, never searched for a collision.
func binding(key []byte, s Secrets) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, "drpd token secrets 1\x00")
	all := []string{s.Grantor, s.User, s.Machine}
	if s.System != "" { // most servers have none: their tokens stay valid when they are updated
		all = append(all, s.System)
	}
	for _, secret := range all {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(secret)))
		h.Write(size[:])
		io.WriteString(h, secret)
	}
	return h.Sum(nil)[:16]
}
