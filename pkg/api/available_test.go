package api

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// Whatever was created, changed, deleted, loaded and unloaded before, Available
// and Errors are what a server says that starts with the same objects.
func TestAvailableIsThatOfAFreshStart(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := history{gen: newGen(seed), layers: map[string][]any{}}
			st := mem.New(mem.Config{})
			db := openKinds(t, st)
			refused := 0
			for range 120 {
				if err := db.Update(t.Context(), h.step); err != nil {
					require.Contains(t, []resource.Code{resource.Conflict, resource.NotFound, resource.Invalid}, resource.CodeOf(err), err)
					refused++
				}
			}
			require.Less(t, refused, 110, "nearly everything was refused: the history says little")
			fresh, err := resource.Open(t.Context(), resource.Config{Store: st, Kinds: Kinds(), Base: h.load})
			require.NoError(t, err)
			require.Equal(t, judged(fresh.View()), judged(db.View()))
		})
	}
}

// judged is what is said of every object.
func judged(r resource.Reader) map[string]string {
	out := map[string]string{}
	for _, k := range Kinds() {
		for o := range k.Each(r) {
			if c := k.CommonOf(o.Val); c != nil {
				out[o.Kind+"/"+o.Key] = fmt.Sprint(c.Available, c.Errors, c.Bundle, c.ReadOnly)
			}
		}
	}
	return out
}

// history makes random changes, and knows the layers that are loaded.
type history struct {
	gen
	layers map[string][]any
}

// contentKinds refer to each other; few names, so that they often meet.
var contentKinds = []resource.Any{Templates, Tasks, BootEnvs, Stages, Workflows, Profiles, Blueprints, Files}

func (h *history) step(tx *resource.Tx) error {
	k := contentKinds[h.IntN(len(contentKinds))]
	switch n := h.IntN(10); {
	case n < 5:
		val := h.content(k)
		if _, err := k.Lookup(tx, k.KeyOf(val)); err == nil {
			return k.ReplaceAny(tx, val)
		}
		return k.CreateAny(tx, val)
	case n < 8:
		return k.Delete(tx, k.KeyOf(h.content(k)))
	}
	return h.swap(tx)
}

// swap loads a layer, or unloads it if it is loaded.
func (h *history) swap(tx *resource.Tx) error {
	layer := []string{"one", "two"}[h.IntN(2)]
	if h.layers[layer] != nil {
		err := tx.RemoveLayer(layer)
		if err == nil {
			delete(h.layers, layer)
		}
		return err
	}
	var objects []any
	for range 4 {
		k := contentKinds[h.IntN(len(contentKinds))]
		val := h.content(k)
		if err := k.LayerAny(tx, layer, val); err != nil {
			return err
		}
		objects = append(objects, val)
	}
	h.layers[layer] = objects
	return nil
}

// load puts the layers in, as a start does before it reads the store.
func (h *history) load(tx *resource.Tx) error {
	for layer, objects := range h.layers {
		for _, val := range objects {
			i := slices.IndexFunc(contentKinds, func(k resource.Any) bool {
				zero, _ := k.Decode([]byte("{}"))
				return fmt.Sprintf("%T", zero) == fmt.Sprintf("%T", val)
			})
			c, err := contentKinds[i].Decode([]byte(encoded(val)))
			if err != nil {
				return err
			}
			if err := contentKinds[i].LayerAny(tx, layer, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// pick is one of three names, or none.
func (h *history) pick() string { return []string{"x", "y", "z", ""}[h.IntN(4)] }

func (h *history) list() []string {
	return slices.DeleteFunc([]string{h.pick(), h.pick()}, func(s string) bool { return s == "" })
}

func (h *history) content(k resource.Any) any {
	name := []string{"x", "y", "z"}[h.IntN(3)]
	tmpl := []TemplateInfo{{Name: "t", Path: "p", Contents: "text"}}
	if id := h.pick(); id != "" {
		tmpl = []TemplateInfo{{Name: "t", Path: "p", ID: id}}
	}
	switch k {
	case Templates:
		return &Template{ID: name, Contents: h.name()}
	case Tasks:
		return &Task{Name: name, Templates: tmpl, Prerequisites: lower(name, h.list())}
	case BootEnvs:
		return &BootEnv{Name: name, Templates: tmpl, Kernel: h.pick()}
	case Stages:
		return &Stage{Name: name, Tasks: h.list(), BootEnv: h.pick(), Profiles: h.list()}
	case Workflows:
		return &Workflow{Name: name, Stages: h.list()}
	case Profiles:
		return &Profile{Name: name, Profiles: lower(name, h.list())}
	case Blueprints:
		return &Blueprint{Name: name, Tasks: h.list(), Profiles: h.list()}
	}
	return &File{Path: "files/" + name}
}

// lower keeps the names before this one, so that nothing refers to itself.
func lower(name string, list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s >= name })
}
