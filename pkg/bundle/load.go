package bundle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hook keeps the layers in step with the contents objects, also when the
// server starts.
func Hook(kinds []resource.Any) resource.Hook {
	h := resource.OnSave(api.ContentPacks, func(tx *resource.Tx, old, new *api.ContentPack) error {
		if new == nil {
			return unload(tx, kinds, old.Meta.Name)
		}
		if old == nil && !tx.Loading() && len(held(tx, kinds, new.Meta.Name)) > 0 {
			return resource.Errorf(resource.Conflict, api.ContentPacks.Name, new.Meta.Name,
				"is the name of a built-in content pack: choose another one")
		}
		return Load(tx, kinds, new)
	})
	h.OnLoad = true
	return h
}

// Load puts every object of a pack into the layer of its name, instead of what
// the layer held before. What machines still use may not go.
func Load(tx *resource.Tx, kinds []resource.Any, pack *api.ContentPack) error {
	name := pack.Meta.Name
	if name == "" {
		return malformed("", "meta.Name is empty")
	}
	objs, err := objects(kinds, pack)
	if err != nil {
		return err
	}
	gone := held(tx, kinds, name)
	for _, o := range objs {
		delete(gone, id{o.kind.KindName(), o.key})
	}
	if err := unused(tx, name, gone); err != nil {
		return err
	}
	if len(gone) > 0 {
		if err := tx.RemoveLayer(name); err != nil {
			return fmt.Errorf("replace content pack %s: %w", name, err)
		}
	}
	for _, o := range objs {
		if err := noSecrets(tx, name, o); err != nil {
			return err
		}
		if err := o.kind.LayerAny(tx, name, o.val); err != nil {
			return fmt.Errorf("load content pack %s: %w", name, err)
		}
	}
	return nil
}

func unload(tx *resource.Tx, kinds []resource.Any, name string) error {
	if err := unused(tx, name, held(tx, kinds, name)); err != nil {
		return err
	}
	if err := tx.RemoveLayer(name); err != nil {
		return fmt.Errorf("unload content pack %s: %w", name, err)
	}
	return nil
}

type id struct{ kind, key string }

// held lists what a layer holds now.
func held(tx *resource.Tx, kinds []resource.Any, layer string) map[id]bool {
	out := map[id]bool{}
	for _, name := range sections() {
		k := byName(kinds, name)
		if k == nil {
			continue
		}
		for o := range k.Each(tx) {
			if c := k.CommonOf(o.Val); c != nil && c.Bundle == layer {
				out[id{name, o.Key}] = true
			}
		}
	}
	return out
}

// maxNamed bounds how many users of an object an error names.
const maxNamed = 5

// unused refuses to let go of objects that machines, clusters or brokers refer
// to; the indexes of machines say who does.
func unused(tx *resource.Tx, layer string, gone map[id]bool) error {
	var msgs []string
	byKey := func(a, b id) int { return strings.Compare(a.kind+"/"+a.key, b.kind+"/"+b.key) }
	for _, o := range slices.SortedFunc(maps.Keys(gone), byKey) {
		if users := usersOf(tx, o); len(users) > 0 {
			msgs = append(msgs, fmt.Sprintf("%s/%s is still in use by %s", o.kind, o.key, strings.Join(users, ", ")))
		}
	}
	if len(msgs) == 0 {
		return nil
	}
	return &resource.Error{Code: resource.Conflict, Kind: api.ContentPacks.Name, Key: layer, Msgs: msgs}
}

func usersOf(tx *resource.Tx, o id) []string {
	index, ok := map[string]string{
		api.Workflows.Name: api.ByWorkflow, api.Stages.Name: api.ByStage,
		api.BootEnvs.Name: api.ByBootEnv, api.Profiles.Name: api.ByProfile,
	}[o.kind]
	if !ok {
		return nil
	}
	var out []string
	for _, k := range api.MachineLike() {
		for m := range k.By(tx, index, o.key) {
			if len(out) == maxNamed {
				return append(out, "others")
			}
			out = append(out, k.Name+"/"+m.Name)
		}
	}
	return out
}

// noSecrets refuses values of secure params: a pack is plain text.
func noSecrets(tx *resource.Tx, layer string, o object) error {
	params := o.kind.ParamsOf(o.val)
	if params == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(*params)) {
		if def, err := api.ParamDefs.Get(tx, name); err == nil && def.Secure {
			return resource.Errorf(resource.Invalid, api.ContentPacks.Name, layer,
				"%s/%s: param %s is secure and cannot be set in a content pack: set it on a machine or a profile of your own", o.kind.KindName(), o.key, name)
		}
	}
	return nil
}
