package bundle_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

type section = map[string]map[string]any

func pack(name string, s section) *api.ContentPack {
	return &api.ContentPack{Meta: api.PackMeta{Name: name}, Sections: s}
}

var packs = bundle.Packs{Kinds: api.Kinds()}

func open(t *testing.T, st store.Store) *resource.DB {
	t.Helper()
	db, err := resource.Open(context.Background(), resource.Config{
		Store: st, Kinds: api.Kinds(), Hooks: []resource.Hook{packs.Hook()}, Overwritable: []string{bundle.Basic},
		Base: func(tx *resource.Tx) error {
			return packs.BuiltIn(tx, pack("builtin", section{"tasks": {"base": map[string]any{}}}))
		},
	})
	require.NoError(t, err)
	return db
}

func save(db *resource.DB, p *api.ContentPack) error {
	return db.Update(context.Background(), func(tx *resource.Tx) error { return api.ContentPacks.Put(tx, p) })
}

func stage(t *testing.T, db *resource.DB, name string) *api.Stage {
	t.Helper()
	s, err := api.Stages.Get(db.View(), name)
	require.NoError(t, err)
	return s
}

func TestMissingTaskAndItsArrival(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), mem.New(mem.Config{})
	db := open(t, st)
	require.NoError(t, save(db, pack("a", section{
		"stages":    {"s": map[string]any{"Tasks": []any{"late"}}},
		"workflows": {"w": map[string]any{"Stages": []any{"s"}}},
	})))
	s := stage(t, db, "s")
	assert.False(t, s.Available)
	assert.Equal(t, []string{`task "late" does not exist`}, s.Errors)
	assert.True(t, s.ReadOnly)
	assert.Equal(t, "a", s.Bundle)

	db = open(t, st) // the layer comes back from the stored contents object
	assert.False(t, stage(t, db, "s").Available)
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error { return api.Tasks.Create(tx, &api.Task{Name: "late"}) }))
	assert.True(t, stage(t, db, "s").Available)
	assert.Empty(t, stage(t, db, "s").Errors)
	w, err := api.Workflows.Get(db.View(), "w")
	require.NoError(t, err)
	assert.True(t, w.Available)
	_, err = st.Load(ctx, func(r store.Record) error {
		assert.Contains(t, []string{"contents", "tasks"}, r.Kind, "objects of a layer are not stored")
		return nil
	})
	require.NoError(t, err)
}

func TestReplaceIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := open(t, mem.New(mem.Config{}))
	require.NoError(t, save(db, pack("a", section{"tasks": {"one": map[string]any{}, "two": map[string]any{}}})))
	rev := db.View().Rev()
	for want, p := range map[string]*api.ContentPack{
		"belongs to content pack builtin":                        pack("a", section{"tasks": {"one": map[string]any{"Description": "new"}, "base": map[string]any{}}}),
		`tasks/three: field Templates: cannot hold a num`:        pack("a", section{"tasks": {"one": map[string]any{}, "three": map[string]any{"Templates": 1.0}}}),
		"tasks/1: Invalid Name `1`: it must start with a letter": pack("a", section{"tasks": {"1": map[string]any{}}}),
		"belongs to content pack builtin, which is read":         pack("builtin", nil),
		"section users: a content pack may hold only":            pack("u", section{"users": {"x": map[string]any{}}}),
		"param pw is secure, but this server cannot seal":        pack("s", section{"params": {"pw": map[string]any{"Secure": true}}, "profiles": {"p": map[string]any{"Params": map[string]any{"pw": "x"}}}}),
	} {
		assert.ErrorContains(t, save(db, p), want)
	}
	assert.Equal(t, rev, db.View().Rev())
	assert.True(t, api.Tasks.Has(db.View(), "two"))
	assert.Equal(t, 2, api.ContentPacks.Len(db.View()))

	require.NoError(t, save(db, pack("a", section{"tasks": {"two": map[string]any{"Description": "new"}, "three": map[string]any{}}})))
	var names []string
	for o := range api.Tasks.All(db.View()) {
		names = append(names, o.Name+" "+o.Bundle+" "+o.Description)
	}
	assert.Equal(t, []string{"base builtin ", "three a ", "two a new"}, names)
}

func TestNothingInUseGoesAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t, mem.New(mem.Config{}))
	full := section{"stages": {"s": map[string]any{}}, "profiles": {"p": map[string]any{}}, "tasks": {"free": map[string]any{}}}
	require.NoError(t, save(db, pack("a", full)))
	m := &api.Machine{Name: "web1", Stage: "s", Profiles: []string{"p"}}
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error { return api.Machines.Create(tx, m) }))

	remove := func() error {
		return db.Update(ctx, func(tx *resource.Tx) error { return api.ContentPacks.Delete(tx, "a") })
	}
	const want = "contents/a: profiles/p is still in use by machines/web1; stages/s is still in use by machines/web1"
	err := remove()
	assert.EqualError(t, err, want)
	assert.Equal(t, resource.Conflict, resource.CodeOf(err))
	assert.EqualError(t, save(db, pack("a", section{"tasks": {"free": map[string]any{}}})), want)
	assert.NoError(t, save(db, pack("a", section{"stages": full["stages"], "profiles": full["profiles"]})))
	assert.False(t, api.Tasks.Has(db.View(), "free"))

	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error { return api.Machines.Delete(tx, m.Uuid) }))
	require.NoError(t, remove())
	assert.Equal(t, 0, api.Stages.Len(db.View()))
}

// A pack that is replaced heals what refers to its objects from outside.
func TestReplaceHealsReferrers(t *testing.T) {
	t.Parallel()
	db := open(t, mem.New(mem.Config{}))
	require.NoError(t, save(db, pack("a", section{"stages": {"s": map[string]any{"Tasks": []any{"missing"}}}})))
	require.NoError(t, db.Update(context.Background(), func(tx *resource.Tx) error {
		return api.Workflows.Create(tx, &api.Workflow{Name: "w", Stages: []string{"s"}})
	}))
	require.NoError(t, save(db, pack("a", section{"stages": {"s": map[string]any{}}})))
	w, err := api.Workflows.Get(db.View(), "w")
	require.NoError(t, err)
	assert.Empty(t, w.Errors)
	assert.True(t, w.Available)
}
