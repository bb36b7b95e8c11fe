package param_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/nacl/box"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

func open(t *testing.T, v *param.Vault) *resource.DB { return openOver(t, v, mem.New(mem.Config{})) }

func openOver(t *testing.T, v *param.Vault, st store.Store) *resource.DB {
	t.Helper()
	cfg := resource.Config{Store: st, Kinds: append(api.Kinds(), param.ObjectKeys)}
	if v != nil {
		cfg.Hooks = v.Hooks(cfg.Kinds)
	}
	db, err := resource.Open(context.Background(), cfg)
	require.NoError(t, err)
	return db
}

// withSecret is a database with machine web1 whose ipmi/password is plain text
// before it is saved.
func withSecret(t *testing.T) (*resource.DB, *param.Vault, *api.Machine, store.Store) {
	v, st := param.NewVault(seal.NewMaster(seal.Key{})), mem.New(mem.Config{})
	db := openOver(t, v, st)
	m := &api.Machine{Name: "web1", Params: resource.Params{"ipmi/password": "hunter2", "ipmi/user": "root"}}
	update(t, db, func(tx *resource.Tx) error {
		defs := []*api.Param{
			{Name: "ipmi/password", Secure: true, Schema: map[string]any{"type": "string", "minLength": 3.0}},
			{Name: "ipmi/user", Schema: map[string]any{"type": "string"}},
		}
		for _, d := range defs {
			require.NoError(t, api.ParamDefs.Create(tx, d))
		}
		return api.Machines.Create(tx, m)
	})
	m, err := api.Machines.Get(db.View(), m.Uuid)
	require.NoError(t, err)
	return db, v, m, st
}

func TestSecureParamIsSealedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	db, v, m, st := withSecret(t)
	_, err := st.Load(context.Background(), func(r store.Record) error {
		assert.NotContains(t, string(r.Data), "hunter2", r.Kind)
		return nil
	})
	require.NoError(t, err)
	sealed := m.Params["ipmi/password"].(map[string]any)
	assert.Len(t, sealed, 3)
	assert.Equal(t, "root", m.Params["ipmi/user"])

	s := param.Scope{Machine: m}
	_, err = param.String(db.View(), s, "ipmi/password")
	require.EqualError(t, err, "params/ipmi/password: machines/"+m.Uuid+" gives a sealed value, but a string is wanted")
	got, err := param.Resolver{Reader: db.View(), Scope: s, Vault: v}.String("ipmi/password")
	require.NoError(t, err)
	assert.Equal(t, "hunter2", got)

	// A save that leaves the value alone keeps the very same box.
	update(t, db, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Description = "x"; return nil })
	})
	again, err := api.Machines.Get(db.View(), m.Uuid)
	require.NoError(t, err)
	assert.Equal(t, any(sealed), again.Params["ipmi/password"])

	// The same after a restart, and not with another master key.
	db = openOver(t, v, st)
	got, err = param.Resolver{Reader: db.View(), Scope: s, Vault: v}.String("ipmi/password")
	require.NoError(t, err)
	assert.Equal(t, "hunter2", got)
	other := param.NewVault(seal.NewMaster(seal.Key{1}))
	_, err = other.Open(db.View(), "machines", m.Uuid, sealed)
	assert.ErrorContains(t, err, "is this the master key it was sealed with?")
	for o := range param.ObjectKeys.Each(db.View()) {
		assert.Equal(t, "machines:"+m.Uuid, o.Key)
		assert.NotContains(t, string(o.JSON), "Sealed")
	}
	assert.Equal(t, 1, param.ObjectKeys.Len(db.View()))

	update(t, db, func(tx *resource.Tx) error { return api.Machines.Delete(tx, m.Uuid) })
	assert.Equal(t, 0, param.ObjectKeys.Len(db.View()))
}

func TestBadValuesAreRefused(t *testing.T) {
	t.Parallel()
	db, v, m, _ := withSecret(t)
	var foreign map[string]any
	update(t, db, func(tx *resource.Tx) error {
		pub, err := v.Public(tx, "machines", "another")
		require.NoError(t, err)
		foreign, err = param.SealTo(pub, "stolen")
		return err
	})
	for _, tc := range []struct {
		name  string
		value any
		want  string
	}{
		{"ipmi/user", 12.0, "machines/" + m.Uuid + ": param ipmi/user: got number, want string"},
		{"ipmi/password", "ab", "param ipmi/password: the secure value does not fit the schema"},
		{"ipmi/password", foreign, "(was it sealed for another object?): open sealed data: cannot be opened with this key; send it plain or sealed to this object's public key"},
	} {
		err := db.Update(context.Background(), func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Params[tc.name] = tc.value; return nil })
		})
		require.ErrorContains(t, err, tc.want)
		assert.Equal(t, resource.Invalid, resource.CodeOf(err))
		assert.NotContains(t, err.Error(), `"ab"`)
	}
}

func TestClientSealsToPublicKey(t *testing.T) {
	t.Parallel()
	db, v, m, _ := withSecret(t)
	update(t, db, func(tx *resource.Tx) error {
		pub, err := v.Public(tx, "machines", m.Uuid)
		require.NoError(t, err)
		sealed, err := param.SealTo(pub, "from-client")
		require.NoError(t, err)
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Params["ipmi/password"] = sealed; return nil })
	})
	m, err := api.Machines.Get(db.View(), m.Uuid)
	require.NoError(t, err)
	got, err := v.Open(db.View(), "machines", m.Uuid, m.Params["ipmi/password"])
	require.NoError(t, err)
	assert.Equal(t, "from-client", got)
}

func TestParamBecomesSecure(t *testing.T) {
	t.Parallel()
	v := param.NewVault(seal.NewMaster(seal.Key{}))
	db := open(t, v)
	update(t, db, func(tx *resource.Tx) error {
		require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "token", Schema: map[string]any{"type": "string"}}))
		return api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"token": "plain"}})
	})
	update(t, db, func(tx *resource.Tx) error {
		return api.ParamDefs.Modify(tx, "token", func(o *api.Param) error { o.Secure = true; return nil })
	})
	p, err := api.Profiles.Get(db.View(), "p")
	require.NoError(t, err)
	assert.IsType(t, map[string]any{}, p.Params["token"])
	got, err := v.Open(db.View(), "profiles", "p", p.Params["token"])
	require.NoError(t, err)
	assert.Equal(t, "plain", got)

	update(t, db, func(tx *resource.Tx) error {
		return api.Profiles.LayerAny(tx, "pack", &api.Profile{Name: "layered", Params: resource.Params{"key": "plain"}})
	})
	err = db.Update(context.Background(), func(tx *resource.Tx) error {
		return api.ParamDefs.Create(tx, &api.Param{Name: "key", Secure: true})
	})
	assert.EqualError(t, err, "params/key: cannot become secure: profiles/layered of content pack pack has a plain value")
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	s := param.NewSecret("hunter2")
	data, err := json.Marshal(map[string]any{"s": s})
	require.NoError(t, err)
	assert.Equal(t, `{"s":"[secret]"}`, string(data))
	assert.Equal(t, "[secret] [secret] [secret]", fmt.Sprintf("%v %+v %#v", s, s, s))
	assert.Equal(t, "hunter2", s.Reveal())
}

// TestClientSeals does what DRP's client does: it asks for the object's key
// and sends the value in a NaCl box from a key pair of its own.
func TestClientSeals(t *testing.T) {
	t.Parallel()
	db, v, m, _ := withSecret(t)
	public, err := v.PublicKey(t.Context(), db, "machines", m.Uuid)
	require.NoError(t, err)
	again, err := v.PublicKey(t.Context(), db, "machines", m.Uuid)
	require.NoError(t, err)
	assert.Equal(t, public, again)
	ownPublic, ownPrivate, err := box.GenerateKey(rand.Reader)
	require.NoError(t, err)
	nonce := [24]byte{1, 2, 3}
	wire, err := json.Marshal(struct{ Key, Nonce, Payload []byte }{ownPublic[:], nonce[:],
		box.Seal(nil, []byte(`"from-a-client"`), &nonce, (*[32]byte)(public), ownPrivate)})
	require.NoError(t, err)
	var sealed any
	require.NoError(t, json.Unmarshal(wire, &sealed))
	update(t, db, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Params["ipmi/password"] = sealed; return nil })
	})
	m, err = api.Machines.Get(db.View(), m.Uuid)
	require.NoError(t, err)
	assert.Equal(t, sealed, m.Params["ipmi/password"], "kept as it was sent")
	plain, err := v.Open(db.View(), "machines", m.Uuid, m.Params["ipmi/password"])
	require.NoError(t, err)
	assert.Equal(t, "from-a-client", plain)
	fresh, err := v.PublicKey(t.Context(), db, "profiles", "global")
	require.NoError(t, err)
	assert.Len(t, fresh, 32)
}
