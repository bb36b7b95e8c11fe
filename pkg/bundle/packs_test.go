package bundle_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/seal"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// server is a DB with the BasicStore, a vault and features.
func server(t testing.TB, st store.Store) *resource.DB {
	t.Helper()
	p := bundle.Packs{Kinds: api.Kinds(), Features: []string{"api-v3", "sprig"}}
	vault := param.NewVault(seal.NewMaster(seal.Key{7}))
	kinds := append(api.Kinds(), param.ObjectKeys)
	db, err := resource.Open(context.Background(), resource.Config{
		Store: st, Kinds: kinds, Hooks: append(vault.Hooks(api.Kinds()), p.Hook()), Overwritable: []string{bundle.Basic},
		Base: func(tx *resource.Tx) error {
			basic := pack(bundle.Basic, section{"stages": {"none": map[string]any{"Description": "basic"}}})
			basic.Meta.Version = "v4.7.0"
			return p.BuiltIn(tx, basic)
		},
	})
	require.NoError(t, err)
	return db
}

func versioned(name, version, needs string) *api.ContentPack {
	return &api.ContentPack{Meta: api.PackMeta{Name: name, Version: version, Prerequisites: needs}}
}

func drop(db *resource.DB, name string) error {
	return db.Update(context.Background(), func(tx *resource.Tx) error { return api.ContentPacks.Delete(tx, name) })
}

func TestPrerequisites(t *testing.T) {
	t.Parallel()
	st := mem.New(mem.Config{})
	db := server(t, st)
	assert.EqualError(t, save(db, versioned("app", "v1.0.0", "BasicStore: >=4.0.0, lib: >=1.2.0, <2.0.0")),
		"contents/app: needs content pack lib >=1.2.0 <2.0.0, which is not loaded: load it first")
	require.NoError(t, save(db, versioned("lib", "v1.1.0", "")))
	assert.EqualError(t, save(db, versioned("app", "v1.0.0", "lib: >=1.2.0, <2.0.0")),
		"contents/app: needs content pack lib >=1.2.0 <2.0.0, but v1.1.0 is loaded: load one that fits")
	require.NoError(t, save(db, versioned("lib", "v1.2.3-rc1", "")))
	require.NoError(t, save(db, versioned("app", "v1.0.0", "BasicStore: >=4.0.0, lib: >=1.2.0, <2.0.0")))
	require.NoError(t, save(db, versioned("other", "v1.0.0", "lib, other: 1.x")))

	err := drop(db, "lib")
	assert.EqualError(t, err, "contents/lib: content pack app needs it: remove that one first; content pack other needs it: remove that one first")
	assert.Equal(t, resource.Conflict, resource.CodeOf(err))
	assert.EqualError(t, save(db, versioned("lib", "v2.0.0", "")), "contents/lib: content pack app needs lib >=1.2.0 <2.0.0: replace that one first")
	require.NoError(t, drop(db, "app"))
	require.NoError(t, save(db, versioned("lib", "v2.0.0", "")))
	require.NoError(t, drop(db, "other"))
	require.NoError(t, drop(db, "lib"))

	for want, p := range map[string]*api.ContentPack{
		`meta.Prerequisites: prerequisite BasicStore: version constraint ">=x.1"`: versioned("p", "", "BasicStore: >=x.1"),
		`meta.Version: version "one"`:                              versioned("p", "one", ""),
		"needs content pack BasicStore ~3.2, but v4.7.0 is loaded": versioned("p", "", "BasicStore: ~3.2"),
		"needs features that this server does not have: ha, more":  {Meta: api.PackMeta{Name: "p", RequiredFeatures: "api-v3, ha more sprig"}},
	} {
		assert.ErrorContains(t, save(db, p), want)
	}
	require.NoError(t, save(db, &api.ContentPack{Meta: api.PackMeta{Name: "p", RequiredFeatures: "api-v3 sprig"}}))
}

func meta(t *testing.T, db *resource.DB, name string) api.PackMeta {
	t.Helper()
	p, err := api.ContentPacks.Get(db.View(), name)
	require.NoError(t, err)
	return p.Meta
}

func TestBasicStoreGivesWay(t *testing.T) {
	t.Parallel()
	st := mem.New(mem.Config{})
	db := server(t, st)
	assert.Equal(t, api.PackMeta{Name: bundle.Basic, Version: "v4.7.0", Type: "dynamic", Overwritable: true}, meta(t, db, bundle.Basic))
	assert.ErrorContains(t, drop(db, bundle.Basic), "belongs to content pack BasicStore, which is read only")
	require.NoError(t, save(db, pack("a", section{"stages": {"none": map[string]any{"Description": "a"}}})))
	assert.Equal(t, "a", stage(t, db, "none").Bundle)
	assert.ErrorContains(t, save(db, pack("b", section{"stages": {"none": map[string]any{}}})), "stages/none belongs to content pack a: two packs cannot hold it")
	db = server(t, st)
	assert.Equal(t, "a", stage(t, db, "none").Bundle)
	assert.Equal(t, api.PackMeta{Name: "a", Type: "dynamic"}, meta(t, db, "a"))
	require.NoError(t, drop(db, "a"))
	assert.Equal(t, "basic", stage(t, db, "none").Description)
}

func TestReplaceWritable(t *testing.T) {
	t.Parallel()
	st := mem.New(mem.Config{})
	db := server(t, st)
	ctx := context.Background()
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error {
		if err := api.Profiles.Create(tx, &api.Profile{Name: "own", Params: resource.Params{"x": "mine"}}); err != nil {
			return err
		}
		return api.Machines.Create(tx, &api.Machine{Name: "web1", Profiles: []string{"own"}})
	}))
	p := func() *api.ContentPack {
		return pack("a", section{"profiles": {"own": map[string]any{"Params": map[string]any{"x": "pack"}}}, "tasks": {"t": map[string]any{}}})
	}
	err := save(db, p())
	assert.EqualError(t, err, "contents/a: profiles/own exists outside of it: delete or rename it, or load the pack with replaceWritable=true")
	take := resource.WithOptions(ctx, resource.Options{ReplaceWritable: true})
	require.NoError(t, db.Update(take, func(tx *resource.Tx) error { return api.ContentPacks.Create(tx, p()) }))
	for range 2 {
		o, err := api.Profiles.Get(db.View(), "own")
		require.NoError(t, err)
		assert.Equal(t, []any{"a", true, "pack"}, []any{o.Bundle, o.ReadOnly, o.Params["x"]})
		assert.True(t, api.Tasks.Has(db.View(), "t"))
		db = server(t, st)
	}
}

// What packs for other servers have is kept, and told.
func TestUnknownFieldsWarn(t *testing.T) {
	t.Parallel()
	db := server(t, mem.New(mem.Config{}))
	text := `
meta: {Name: old, Version: 1.2, Order: 10, NewField: x, Writable: true}
sections:
  tasks:
    t: {Name: t, Available: true, Bundle: other, Future: {a: 1}, Gone: "", Templates: [{Name: a, Contents: x, EndDelimiter: "]]"}]}
  ux_views: {v: {Id: v}}
`
	p, err := bundle.FromBundle([]byte(text))
	require.NoError(t, err)
	require.NoError(t, save(db, p))
	assert.Equal(t, api.PackMeta{Name: "old", Version: "1.2", Order: "10", Type: "dynamic"}, meta(t, db, "old"))
	stored, err := api.ContentPacks.Get(db.View(), "old")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": 1.0}, stored.Sections["tasks"]["t"].(map[string]any)["Future"])
	want := []string{"ignored section ux_views, which this server does not know",
		"tasks/t: ignored fields that this server does not know: Future, Templates.0.EndDelimiter"}
	assert.Equal(t, want, packs.Warnings(db.View(), stored))
	basic, err := api.ContentPacks.Get(db.View(), bundle.Basic)
	require.NoError(t, err)
	assert.Equal(t, []string{}, packs.Warnings(db.View(), basic))
	require.NoError(t, drop(db, "old"))
	assert.Equal(t, append(want, "tasks/t is not loaded"), packs.Warnings(db.View(), stored))
}

// Secrets of a pack are sealed when it is saved: neither the store nor the
// contents object has them in the plain.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	st := mem.New(mem.Config{})
	db := server(t, st)
	vault := param.NewVault(seal.NewMaster(seal.Key{7}))
	full := func(secret any) *api.ContentPack {
		return pack("a", section{"params": {"pw": map[string]any{"Secure": true}},
			"profiles": {"p": map[string]any{"Params": map[string]any{"pw": secret, "open": "x"}}}})
	}
	plain := pack("a", section{"params": {"pw": map[string]any{}}, "profiles": {"p": map[string]any{"Params": map[string]any{"pw": "hunter2"}}}})
	require.NoError(t, save(db, plain))
	require.NoError(t, save(db, full("hunter2")), "the same pack makes it secure")
	var shown map[string]any
	for range 2 { // also after a restart
		_, err := st.Load(context.Background(), func(r store.Record) error {
			assert.NotContains(t, string(r.Data), "hunter2", r.Key)
			return nil
		})
		require.NoError(t, err)
		c, err := api.ContentPacks.Get(db.View(), "a")
		require.NoError(t, err)
		shown = c.Sections["profiles"]["p"].(map[string]any)["Params"].(map[string]any)
		assert.Equal(t, "x", shown["open"])
		p, err := api.Profiles.Get(db.View(), "p")
		require.NoError(t, err)
		v, err := vault.Open(db.View(), "profiles", "p", p.Params["pw"])
		require.NoError(t, err)
		assert.Equal(t, "hunter2", v)
		db = server(t, st)
	}
	require.NoError(t, save(db, full(shown["pw"])), "a pack that was read can be written again")
	err := save(db, full(map[string]any{"Key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "Nonce": "AAAA", "Payload": "AAAA"}))
	assert.ErrorContains(t, err, "send it plain or sealed to this object's public key")
	require.NoError(t, drop(db, "a"))
	assert.Equal(t, 0, param.ObjectKeys.Len(db.View()))
}

// A folder and a document hold the same pack, both ways.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	p := &api.ContentPack{
		Meta: api.PackMeta{Name: "r", Version: "v1.2.3", Description: "all of it", Documentation: "  text\n\nmore \n", Prerequisites: "BasicStore: >=4.0, x", Color: "blue"},
		Sections: section{
			"templates": {
				"plain.tmpl":    map[string]any{"ID": "plain.tmpl", "Contents": "#!/bin/sh\n{{.Machine.Name}}\n"},
				"dir/other.cfg": map[string]any{"ID": "dir/other.cfg", "Contents": "x"},
				"seed.yaml":     map[string]any{"ID": "seed.yaml", "Contents": "ID: fake\nContents: fake\n"},
				"doc.tmpl":      map[string]any{"ID": "doc.tmpl", "Contents": "y", "Description": "told"},
				"empty":         map[string]any{"ID": "empty", "Contents": ""},
			},
			"params": {
				"a/b": map[string]any{"Name": "a/b", "Schema": map[string]any{"type": "string", "default": "1"}},
				"a.b": map[string]any{"Schema": map[string]any{"type": "integer", "default": 1.0}},
				"c/d": map[string]any{"Secure": false},
			},
			"tasks":   {"t": map[string]any{"Future": []any{1.0, "x", nil, true}}},
			"unknown": {"k": map[string]any{"any": map[string]any{"thing": 1.5}}},
		},
	}
	for _, format := range []string{"yaml", "json"} {
		files, err := bundle.Files(p, format)
		require.NoError(t, err)
		dir := fstest.MapFS{}
		for name, data := range files {
			dir[name] = &fstest.MapFile{Data: data}
		}
		got, err := bundle.FromDir(dir)
		require.NoError(t, err)
		want := clonePack(t, p)
		want.Sections["params"]["c/d"].(map[string]any)["Name"] = "c/d" // the file's name cannot say it
		assert.Equal(t, want, got)
		data, err := bundle.ToBundle(p, format)
		require.NoError(t, err)
		got, err = bundle.FromBundle(data)
		require.NoError(t, err)
		assert.Equal(t, p, got)
	}
	files, err := bundle.Files(p, "yaml")
	require.NoError(t, err)
	assert.Equal(t, "#!/bin/sh\n{{.Machine.Name}}\n", string(files["templates/plain.tmpl"]))
	assert.Equal(t, "r", string(files["._Name.meta"]))
	assert.Contains(t, files, "params/a.b.yaml")
	assert.Contains(t, files, "templates/dir.other.cfg.yaml")
	at := t.TempDir()
	require.NoError(t, bundle.ToDir(at, p, "yaml"))
	_, err = bundle.Files(pack("x", section{"../up": {"k": map[string]any{}}}), "yaml")
	assert.ErrorContains(t, err, `section "../up" is no name for a folder`)
	got, err := bundle.FromDirWith(fstest.MapFS{"tasks/t.yaml": {Data: []byte("{}")}}, map[string]string{"Name": "given", "Version": "v9"})
	require.NoError(t, err)
	assert.Equal(t, api.PackMeta{Name: "given", Version: "v9"}, got.Meta)
}

func clonePack(t *testing.T, p *api.ContentPack) *api.ContentPack {
	t.Helper()
	data, err := json.Marshal(p)
	require.NoError(t, err)
	out := &api.ContentPack{}
	require.NoError(t, json.Unmarshal(data, out))
	return out
}

// A stored pack that does not fit any more keeps no server down.
func TestBrokenPackAtStart(t *testing.T) {
	t.Parallel()
	st := mem.New(mem.Config{})
	data := `{"meta":{"Name":"bad"},"sections":{"tasks":{"good":{},"t":{"Templates":1}}}}`
	_, err := st.Commit(context.Background(), []store.Op{{Kind: "contents", Key: "bad", Data: []byte(data)}})
	require.NoError(t, err)
	db := server(t, st)
	assert.False(t, api.Tasks.Has(db.View(), "good"))
	p, err := api.ContentPacks.Get(db.View(), "bad")
	require.NoError(t, err)
	assert.Equal(t, []string{"not loaded: contents/bad: tasks/t: field Templates: cannot hold a number"}, packs.Warnings(db.View(), p))
	require.NoError(t, save(db, pack("bad", section{"tasks": {"good": map[string]any{}}})))
	assert.True(t, api.Tasks.Has(db.View(), "good"))
}
