package param_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// family is a database in which every layer sets the param "all" to its own name.
func family(t *testing.T) (*resource.DB, param.Scope) {
	db := open(t, nil)
	p := func(who string) resource.Params {
		return resource.Params{"all": who, "list": []any{who}, who: true, "map": map[string]any{"who": who, who: map[string]any{"n": 1}}}
	}
	profile := func(name string, nested ...string) *api.Profile {
		return &api.Profile{Name: name, Params: p(name), Profiles: nested}
	}
	s := param.Scope{
		Extra:     p("extra"),
		Order:     &api.WorkOrder{Blueprint: "b", Machine: "m", Params: p("order"), Profiles: []string{"order-profile"}},
		Machine:   &api.Machine{Name: "web1", Params: p("machine"), Profiles: []string{"first", "second"}},
		Blueprint: &api.Blueprint{Name: "blueprint", Params: p("blueprint"), Profiles: []string{"blueprint-profile"}},
		Stage:     &api.Stage{Name: "stage", Params: p("stage"), Profiles: []string{"stage-profile", "second"}},
	}
	update(t, db, func(tx *resource.Tx) error {
		// first nests nested, which nests first again: a circle.
		for _, o := range []*api.Profile{profile("global"), profile("second"), profile("nested"), profile("first", "nested"),
			profile("order-profile"), profile("blueprint-profile"), profile("stage-profile")} {
			require.NoError(t, api.Profiles.Create(tx, o))
		}
		require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "all", Schema: map[string]any{"type": "string", "default": "default"}}))
		require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "unset", Schema: map[string]any{"default": 7.0}}))
		require.NoError(t, api.WorkOrders.Create(tx, s.Order))
		require.NoError(t, api.Stages.Create(tx, s.Stage))
		require.NoError(t, api.Blueprints.Create(tx, s.Blueprint))
		return api.Machines.Create(tx, s.Machine)
	})
	return db, s
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	db, s := family(t)
	v, ok := param.Compose(db.View(), s, "list")
	require.True(t, ok)
	assert.Equal(t, []any{"extra", "order", "order-profile", "machine", "first", "nested", "second",
		"blueprint", "blueprint-profile", "stage", "stage-profile", "global"}, v)

	type step struct {
		drop func()
		want string
		src  string
	}
	steps := []step{
		{func() {}, "extra", "the caller"},
		{func() { s.Extra = nil }, "order", "work_orders/" + s.Order.Uuid},
		{func() { s.Order = &api.WorkOrder{Profiles: s.Order.Profiles} }, "order-profile", "profiles/order-profile"},
		{func() { s.Order = nil }, "machine", "machines/" + s.Machine.Uuid},
		{func() { s.Machine = &api.Machine{Profiles: s.Machine.Profiles} }, "first", "profiles/first"},
		{func() { s.Machine = nil }, "blueprint", "blueprints/blueprint"},
		{func() { s.Blueprint = nil }, "stage", "stages/stage"},
		{func() { s.Stage = nil }, "global", "profiles/global"},
	}
	for _, st := range steps {
		st.drop()
		v, src, ok := param.Get(db.View(), s, "all")
		require.True(t, ok, st.want)
		assert.Equal(t, st.want, v)
		assert.Equal(t, st.src, src.String())
	}
	update(t, db, func(tx *resource.Tx) error { return api.Profiles.Put(tx, &api.Profile{Name: "global"}) })
	v, src, ok := param.Get(db.View(), s, "all")
	assert.True(t, ok)
	assert.Equal(t, "default", v)
	assert.Equal(t, "the default of param all", src.String())
	_, _, ok = param.Get(db.View(), s, "nobody-set-this")
	assert.False(t, ok)
}

func TestAllAndCompose(t *testing.T) {
	t.Parallel()
	db, s := family(t)
	s.Extra = nil
	all := param.All(db.View(), s)
	assert.Equal(t, "order", all["all"])
	assert.Equal(t, true, all["nested"])
	assert.Equal(t, 7.0, all["unset"])
	assert.NotContains(t, all, "extra")

	v, _ := param.Compose(db.View(), param.Scope{Machine: &api.Machine{Params: resource.Params{
		"map": map[string]any{"who": "me", "global": map[string]any{"l": true}},
	}}}, "map")
	assert.Equal(t, map[string]any{"who": "me", "global": map[string]any{"l": true, "n": 1}}, v)
	v, ok := param.Compose(db.View(), param.Scope{}, "unset")
	assert.True(t, ok)
	assert.Equal(t, 7.0, v)
	p, err := api.Profiles.Get(db.View(), "global")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"n": 1}, p.Params["map"].(map[string]any)["global"], "merging must not change what is stored")
}

func TestTypedGetters(t *testing.T) {
	t.Parallel()
	db := open(t, nil)
	s := param.Scope{Machine: &api.Machine{Name: "web1", Uuid: "1-2", Params: resource.Params{
		"int": 3, "float": 4.0, "number": json.Number("5"), "half": 0.5, "huge": 1e300,
		"s": "x", "b": true, "list": []any{"a", "b"}, "mixed": []any{"a", 1.0},
	}}}
	r := db.View()
	for name, want := range map[string]int{"int": 3, "float": 4, "number": 5} {
		got, err := param.Int(r, s, name)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	list, err := param.Strings(r, s, "list")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, list)
	b, err := param.Bool(r, s, "b")
	require.NoError(t, err)
	assert.True(t, b)

	for _, tc := range []struct {
		get  func() error
		want string
	}{
		{func() error { _, err := param.Int(r, s, "half"); return err }, "params/half: machines/1-2 gives a number, but a whole number is wanted"},
		{func() error { _, err := param.Int(r, s, "huge"); return err }, "params/huge: machines/1-2 gives a number, but a whole number is wanted"},
		{func() error { _, err := param.String(r, s, "list"); return err }, "params/list: machines/1-2 gives an array, but a string is wanted"},
		{func() error { _, err := param.Bool(r, s, "s"); return err }, "params/s: machines/1-2 gives a string, but a boolean is wanted"},
		{func() error { _, err := param.Strings(r, s, "mixed"); return err }, "params/mixed: machines/1-2 gives an array, but an array of strings is wanted"},
		{func() error { _, err := param.String(r, s, "none"); return err }, "params/none: not set for machine web1 (1-2): set it there, in one of its profiles or in profile global"},
	} {
		assert.EqualError(t, tc.get(), tc.want)
	}
}

func update(t *testing.T, db *resource.DB, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, db.Update(context.Background(), fn))
}
