package param

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/nacl/box"

	"drpd/pkg/resource"
)

// Master seals the private keys of objects at rest. label says whose key it
// is: what was sealed under one label does not open under another.
type Master interface {
	Seal(label string, plain []byte) ([]byte, error)
	Open(label string, sealed []byte) ([]byte, error)
}

// ObjectKey is the curve25519 key pair to which the secure params of one
// object are sealed.
type ObjectKey struct {
	Id     string // kind:key of the object, such as "machines:<uuid>"
	Public []byte // 32 bytes
	Sealed []byte `json:",omitempty"` // the private key, sealed by the Master
}

// ObjectKeys by Id.
var ObjectKeys = &resource.Kind[ObjectKey]{
	Name: "object_keys", Key: func(o *ObjectKey) string { return o.Id },
	Engine: []string{"Id", "Public", "Sealed"},
	Hidden: []string{"Sealed"},
}

// Secret holds a value that no log, error or reply may show.
type Secret struct{ value any }

// NewSecret wraps a value.
func NewSecret(v any) Secret { return Secret{v} }

// Reveal returns the value, for the one place that uses it.
func (s Secret) Reveal() any { return s.value }

// String hides the value.
func (s Secret) String() string { return "[secret]" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return "[secret]" }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Vault seals and opens secure params.
type Vault struct{ master Master }

// NewVault returns a Vault over the server's master key.
func NewVault(m Master) *Vault { return &Vault{master: m} }

// secureData is DRP's form of a sealed value: a NaCl box from an ephemeral key.
type secureData struct{ Key, Nonce, Payload []byte }

// asSecure recognizes the JSON form of secureData.
func asSecure(v any) (secureData, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 3 {
		return secureData{}, false
	}
	var d secureData
	for name, at := range map[string]*[]byte{"Key": &d.Key, "Nonce": &d.Nonce, "Payload": &d.Payload} {
		s, ok := m[name].(string)
		if !ok {
			return secureData{}, false
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return secureData{}, false
		}
		*at = b
	}
	return d, len(d.Key) == 32 && len(d.Nonce) == 24 && len(d.Payload) >= box.Overhead
}

func isSealed(v any) bool { _, ok := asSecure(v); return ok }

func (d secureData) json() map[string]any {
	b64 := base64.StdEncoding.EncodeToString
	return map[string]any{"Key": b64(d.Key), "Nonce": b64(d.Nonce), "Payload": b64(d.Payload)}
}

// SealTo seals a JSON value to the public key of an object, in the JSON form
// that params hold.
func SealTo(public []byte, v any) (map[string]any, error) {
	if len(public) != 32 {
		return nil, fmt.Errorf("seal a value: the public key has %d bytes, 32 wanted", len(public))
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("seal a value: not JSON (%T)", v)
	}
	pub, priv, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an ephemeral key: %w", err)
	}
	var nonce [24]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	sealed := box.Seal(nil, plain, &nonce, (*[32]byte)(public), priv)
	return secureData{Key: pub[:], Nonce: nonce[:], Payload: sealed}.json(), nil
}

// Open returns the plain form of a value of that object: sealed values are
// opened, all others returned as they are.
func (x *Vault) Open(r resource.Reader, kind, key string, v any) (any, error) {
	d, ok := asSecure(v)
	if !ok {
		return v, nil
	}
	id := kind + ":" + key
	k, err := ObjectKeys.Get(r, id)
	if err != nil {
		return nil, fmt.Errorf("open a secure value of %s/%s: it has no key, so the value was sealed for another object", kind, key)
	}
	priv, err := x.master.Open(id, k.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open the key of %s/%s (is this the master key it was sealed with?): %w", kind, key, err)
	}
	if len(priv) != 32 {
		return nil, fmt.Errorf("open the key of %s/%s: it has %d bytes, 32 wanted", kind, key, len(priv))
	}
	plain, ok := box.Open(nil, d.Payload, (*[24]byte)(d.Nonce), (*[32]byte)(d.Key), (*[32]byte)(priv))
	if !ok {
		return nil, fmt.Errorf("open a secure value of %s/%s: it was sealed for another object", kind, key)
	}
	var out any
	if err := json.Unmarshal(plain, &out); err != nil {
		return nil, fmt.Errorf("open a secure value of %s/%s: what was sealed is not JSON", kind, key)
	}
	return out, nil
}

// Public returns the public key of an object, made now if it has none. Clients
// seal secure values to it.
func (x *Vault) Public(tx *resource.Tx, kind, key string) ([]byte, error) {
	id := kind + ":" + key
	if k, err := ObjectKeys.Get(tx, id); err == nil {
		return k.Public, nil
	}
	pub, priv, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for %s/%s: %w", kind, key, err)
	}
	sealed, err := x.master.Seal(id, priv[:])
	if err != nil {
		return nil, fmt.Errorf("seal the key of %s/%s: %w", kind, key, err)
	}
	k := &ObjectKey{Id: id, Public: pub[:], Sealed: sealed}
	return k.Public, ObjectKeys.Create(tx, k)
}
