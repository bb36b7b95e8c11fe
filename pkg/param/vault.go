package param

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"drpd/pkg/resource"
	"drpd/pkg/seal"
)

// ObjectKey is the curve25519 key pair to which the secure params of one
// object are sealed.
type ObjectKey struct {
	Id     string // kind:key of the object, such as "machines:<uuid>"
	Public []byte // 32 bytes
	Sealed []byte `json:",omitempty"` // the private key, wrapped by the master key
}

// ObjectKeys by Id.
var ObjectKeys = &resource.Kind[ObjectKey]{
	Name: "object_keys", Private: true, Key: func(o *ObjectKey) string { return o.Id },
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
type Vault struct{ master atomic.Pointer[seal.Master] }

// NewVault returns a Vault over the server's master key.
func NewVault(m seal.Master) *Vault {
	x := &Vault{}
	x.SetMaster(m)
	return x
}

// SetMaster changes the master key, which must also open what the former one
// encrypted.
func (x *Vault) SetMaster(m seal.Master) { x.master.Store(&m) }

// Master is the master key.
func (x *Vault) Master() seal.Master { return *x.master.Load() }

// asSecure recognizes the JSON form of sealed values in params.
func asSecure(v any) (seal.SecureData, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 3 {
		return seal.SecureData{}, false
	}
	var d seal.SecureData
	for name, at := range map[string]*[]byte{"Key": &d.Key, "Nonce": &d.Nonce, "Payload": &d.Payload} {
		s, ok := m[name].(string)
		if !ok {
			return seal.SecureData{}, false
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return seal.SecureData{}, false
		}
		*at = b
	}
	return d, len(d.Key) == seal.KeySize
}

// IsSealed says whether a param holds a sealed value.
func IsSealed(v any) bool { _, ok := asSecure(v); return ok }

// SealTo seals a JSON value to the public key of an object, in the JSON form
// that params hold.
func SealTo(public []byte, v any) (map[string]any, error) {
	if len(public) != seal.KeySize {
		return nil, fmt.Errorf("seal a value: the public key has %d bytes, %d wanted", len(public), seal.KeySize)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("seal a value: not JSON (%T)", v)
	}
	d, err := seal.Seal(seal.Key(public), plain)
	if err != nil {
		return nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	return map[string]any{"Key": b64(d.Key), "Nonce": b64(d.Nonce), "Payload": b64(d.Payload)}, nil
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
	private, err := x.Master().Unwrap(id, k.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open the key of %s/%s (is this the master key it was sealed with?): %w", kind, key, err)
	}
	plain, err := seal.Open(private, d)
	if err != nil {
		return nil, fmt.Errorf("open a secure value of %s/%s (was it sealed for another object?): %w", kind, key, err)
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
	public, private, err := seal.NewKeyPair()
	if err != nil {
		return nil, fmt.Errorf("key of %s/%s: %w", kind, key, err)
	}
	k := &ObjectKey{Id: id, Public: public[:], Sealed: x.Master().Wrap(id, private)}
	return k.Public, ObjectKeys.Create(tx, k)
}

// PublicKey is Public outside of an update: most objects have their key already.
func (x *Vault) PublicKey(ctx context.Context, db *resource.DB, kind, key string) ([]byte, error) {
	if k, err := ObjectKeys.Get(db.View(), kind+":"+key); err == nil {
		return k.Public, nil
	}
	var public []byte
	err := db.Update(ctx, func(tx *resource.Tx) error {
		var err error
		public, err = x.Public(tx, kind, key)
		return err
	})
	return public, err
}

// Stale lists the keys that a former master key encrypted. One that no master
// key opens is lost already, and not among them.
func (x *Vault) Stale(r resource.Reader) (ids []string) {
	m := x.Master()
	for k := range ObjectKeys.All(r) {
		if m.Fresh(k.Id, k.Sealed) {
			continue
		}
		if _, err := m.Unwrap(k.Id, k.Sealed); err == nil {
			ids = append(ids, k.Id)
		}
	}
	return ids
}

// Rewrap encrypts the keys of some objects anew by the master key in use.
func (x *Vault) Rewrap(tx *resource.Tx, ids []string) error {
	m := x.Master()
	for _, id := range ids {
		k, err := ObjectKeys.Get(tx, id)
		if err != nil || m.Fresh(id, k.Sealed) {
			continue // deleted or done meanwhile
		}
		private, err := m.Unwrap(id, k.Sealed)
		if err != nil {
			return err
		}
		if err := ObjectKeys.Modify(tx, id, func(k *ObjectKey) error { k.Sealed = m.Wrap(id, private); return nil }); err != nil {
			return err
		}
	}
	return nil
}
