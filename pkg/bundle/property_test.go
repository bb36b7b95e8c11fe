package bundle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// everything is each object that content may bring, as replies show it.
func everything(db *resource.DB) map[string]string {
	out := map[string]string{}
	v := db.View()
	for _, k := range api.Kinds() {
		for o := range k.Each(v) {
			out[o.Kind+"/"+o.Key] = string(o.JSON)
		}
	}
	return out
}

// dice makes packs and objects that refer to each other at random.
type dice struct{ *rand.Rand }

func (d dice) name(prefix string) string { return fmt.Sprint(prefix, d.IntN(3)) }

func (d dice) some(prefix string) []any {
	out := []any{}
	for range d.IntN(3) {
		out = append(out, d.name(prefix))
	}
	return out
}

func (d dice) pack() *api.ContentPack {
	p := pack(d.name("pack"), section{})
	p.Meta.Version = fmt.Sprintf("v%d.%d.0", d.IntN(3), d.IntN(3))
	if d.IntN(4) == 0 {
		p.Meta.Prerequisites = fmt.Sprintf("%s: >=%d", d.name("pack"), d.IntN(2))
	}
	for _, name := range []string{"tasks", "stages", "workflows", "profiles", "params", "bootenvs"} {
		p.Sections[name] = map[string]any{}
		for range d.IntN(2) {
			p.Sections[name][d.key(name)] = d.object(name)
		}
	}
	return p
}

func (d dice) key(kind string) string {
	if kind == "stages" && d.IntN(4) == 0 {
		return "none" // of the BasicStore
	}
	return d.name(kind[:1])
}

func (d dice) object(kind string) map[string]any {
	out := map[string]any{"Description": fmt.Sprint(d.IntN(3))}
	switch kind {
	case "tasks":
		out["Prerequisites"] = []any{}
		if d.IntN(2) == 0 {
			out["Templates"] = []any{map[string]any{"Name": "x", "ID": d.name("tmpl")}}
		}
	case "stages":
		out["Tasks"], out["Profiles"] = d.some("t"), []any{}
		if d.IntN(2) == 0 {
			out["BootEnv"] = d.name("b")
		}
	case "workflows":
		out["Stages"] = append(d.some("s"), "none")
	case "profiles":
		out["Params"] = map[string]any{d.name("p"): []any{"text", 1.0}[d.IntN(2)]}
	case "params":
		out["Schema"] = map[string]any{"type": []any{"string", "integer"}[d.IntN(2)]}
		if d.IntN(4) == 0 {
			out["Secure"], out["Schema"] = true, nil
		}
	case "bootenvs":
		if d.IntN(2) == 0 {
			out["Kernel"] = d.name("k")
		}
	}
	return out
}

// step does one random thing; what is refused changes nothing.
func (d dice) step(db *resource.DB) (what string, err error) {
	ctx, p := context.Background(), d.pack()
	kind := []string{"tasks", "stages", "profiles", "workflows"}[d.IntN(4)]
	key := d.key(kind)
	switch d.IntN(8) {
	case 0, 1, 2:
		return "load " + p.Meta.Name, save(db, p)
	case 3:
		take := resource.WithOptions(ctx, resource.Options{ReplaceWritable: true})
		return "take " + p.Meta.Name, db.Update(take, func(tx *resource.Tx) error { return api.ContentPacks.Put(tx, p) })
	case 4, 5:
		return "unload " + p.Meta.Name, drop(db, p.Meta.Name)
	case 6:
		return "delete " + kind + "/" + key, db.Update(ctx, func(tx *resource.Tx) error { return db.Kind(kind).Delete(tx, key) })
	}
	return "create " + kind + "/" + key, db.Update(ctx, func(tx *resource.Tx) error {
		one := pack("x", section{kind: {key: d.object(kind)}})
		one.Sections[kind][key].(map[string]any)["Name"] = key
		return createAny(tx, db.Kind(kind), one.Sections[kind][key].(map[string]any))
	})
}

// Whatever is loaded, replaced and unloaded, in the end every object is what it
// would be if the server started from its store.
func TestAnyOrderIsLikeFromNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		st := mem.New(mem.Config{})
		db := server(t, st)
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		var done []string
		for range 25 {
			what, err := d.step(db)
			if err == nil {
				done = append(done, what)
			}
			require.Equal(t, everything(server(t, st)), everything(db), "seed %d after %v", seed, done)
		}
		assert.Greater(t, len(done), 5, "seed %d", seed)
	}
}

// Nothing that is uploaded as a pack brings the server down, and what is taken
// is as if loaded from nothing.
func FuzzUpload(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"meta":{"Name":"x","Version":"v1","Prerequisites":"BasicStore: >=4"},"sections":{"params":{"p":{"Schema":{"default":1}}},"profiles":{"q":{"Params":{"p":2}}}}}`))
	f.Add([]byte("meta: {Name: x}\nsections: {stages: {none: {}, s: {Tasks: [s], BootEnv: b}}, templates: {t: {Contents: '{{'}}}"))
	f.Add([]byte("meta: {Name: x}\nsections: {params: {p: {Secure: true}}, profiles: {q: {Params: {p: 1}, Profiles: [q]}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := bundle.FromBundle(data)
		if err != nil {
			return
		}
		st := mem.New(mem.Config{})
		db := server(t, st)
		before := everything(db)
		if err := save(db, p); err != nil {
			require.Equal(t, before, everything(db), "refused, but something changed")
			return
		}
		packs.Warnings(db.View(), p)
		require.Equal(t, everything(server(t, st)), everything(db))
	})
}

func createAny(tx *resource.Tx, kind resource.Any, fields map[string]any) error {
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	val, err := kind.Decode(data)
	if err != nil {
		return err
	}
	return kind.CreateAny(tx, val)
}
