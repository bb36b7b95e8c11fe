package bundle

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Packs keeps the layers in step with the contents objects.
type Packs struct {
	Kinds    []resource.Any
	Features []string     // of the server, for RequiredFeatures; nil: not checked
	Log      *slog.Logger // default: discard
}

// Hook loads and unloads layers when contents objects are saved and deleted,
// also when the server starts.
func (p Packs) Hook() resource.Hook {
	h := resource.OnSave(api.ContentPacks, func(tx *resource.Tx, old, new *api.ContentPack) error {
		switch {
		case new == nil:
			return p.unload(tx, old.Meta.Name)
		case tx.Loading():
			return p.reload(tx, new)
		}
		fillMeta(&new.Meta)
		if err := p.ready(tx, new); err != nil {
			return err
		}
		if old != nil {
			if err := still(tx, new.Meta.Name, new); err != nil {
				return err
			}
		}
		return p.load(tx, new)
	})
	h.OnLoad = true
	return h
}

// fillMeta sets what only the server says.
func fillMeta(m *api.PackMeta) {
	if m.Type == "" {
		m.Type = "dynamic"
	}
	m.Writable, m.Overwritable = false, m.Name == Basic
}

// BuiltIn puts a pack in at start that is part of the server, and shows it
// among the contents.
func (p Packs) BuiltIn(tx *resource.Tx, pack *api.ContentPack) error {
	fillMeta(&pack.Meta)
	return api.ContentPacks.LayerAny(tx, pack.Meta.Name, pack)
}

// reload is load at the start of the server. A pack that does not fit any more
// must not keep the server down: it stays among the contents without its
// objects, and Warnings says so.
func (p Packs) reload(tx *resource.Tx, pack *api.ContentPack) error {
	err := p.load(tx, pack)
	if err == nil || byLayer(tx, pack.Meta.Name) {
		return err // a pack of ours must load
	}
	if p.Log != nil {
		p.Log.Error("content pack not loaded", "pack", pack.Meta.Name, "err", err)
	}
	return tx.RemoveLayer(pack.Meta.Name)
}

// byLayer says whether the pack is built in: it is not among the contents yet,
// since stored ones are filed before their hooks run.
func byLayer(tx *resource.Tx, name string) bool { return !api.ContentPacks.Has(tx, name) }

// load puts every object of a pack into the layer of its name, instead of what
// the layer held before. What machines still use may not go.
func (p Packs) load(tx *resource.Tx, pack *api.ContentPack) error {
	name := pack.Meta.Name
	if name == "" {
		return malformed("", "meta.Name is empty")
	}
	objs, _, err := objects(p.Kinds, pack)
	if err != nil {
		return err
	}
	gone := held(tx, p.Kinds, name)
	for _, o := range objs {
		delete(gone, id{o.kind.KindName(), o.key})
	}
	if err := unused(tx, name, gone); err != nil {
		return err
	}
	for _, o := range slices.SortedFunc(maps.Keys(gone), id.compare) {
		if err := tx.RemoveFromLayer(name, o.kind, o.key); err != nil {
			return fmt.Errorf("replace content pack %s: %w", name, err)
		}
	}
	if err := free(tx, name, objs); err != nil {
		return err
	}
	if err := dropPlain(tx, p.Kinds, name, objs); err != nil {
		return err
	}
	for _, o := range objs {
		if err := tx.TakeIntoLayer(o.kind, name, o.val); err != nil {
			return fmt.Errorf("load content pack %s: %w", name, err)
		}
		if err := keepSealed(tx, pack, o); err != nil {
			return err
		}
	}
	return nil
}

// free says which objects others have already, all at once. With
// replaceWritable those of the writable layer are taken over.
func free(tx *resource.Tx, layer string, objs []object) error {
	var msgs []string
	for _, o := range objs {
		have, err := o.kind.Lookup(tx, o.key)
		if err != nil || have.Key != o.key {
			continue
		}
		c := o.kind.CommonOf(have.Val)
		switch {
		case c == nil || c.Bundle == layer || c.Bundle == Basic:
		case c.Bundle == "" && tx.Options().ReplaceWritable:
		case c.Bundle == "":
			msgs = append(msgs, o.name()+" exists outside of it: delete or rename it, or load the pack with replaceWritable=true")
		default:
			msgs = append(msgs, fmt.Sprintf("%s belongs to content pack %s: two packs cannot hold it", o.name(), c.Bundle))
		}
	}
	return conflict(resource.Conflict, layer, msgs)
}

func (p Packs) unload(tx *resource.Tx, name string) error {
	if err := still(tx, name, nil); err != nil {
		return err
	}
	if err := unused(tx, name, held(tx, p.Kinds, name)); err != nil {
		return err
	}
	if err := tx.RemoveLayer(name); err != nil {
		return fmt.Errorf("unload content pack %s: %w", name, err)
	}
	return nil
}

// Warnings tells of a pack what this server ignores of it, and which of its
// objects are not there.
func (p Packs) Warnings(r resource.Reader, pack *api.ContentPack) []string {
	objs, out, err := objects(p.Kinds, pack)
	if err != nil {
		return append(out, "not loaded: "+err.Error())
	}
	for _, o := range objs {
		have, err := o.kind.Lookup(r, o.key)
		switch {
		case err != nil || have.Key != o.key:
			out = append(out, o.name()+" is not loaded")
		case o.kind.CommonOf(have.Val) != nil && o.kind.CommonOf(have.Val).Bundle != pack.Meta.Name:
			out = append(out, o.name()+" is hidden by another one of that name")
		}
	}
	if g, err := api.Grants.Get(r, pack.Meta.Name); err == nil {
		out = append(out, g.Says())
	}
	if out == nil {
		out = []string{}
	}
	if len(out) > maxWarnings {
		out = append(out[:maxWarnings], fmt.Sprintf("and %d more", len(out)-maxWarnings))
	}
	return out
}

// maxWarnings bounds what one reply tells of a pack.
const maxWarnings = 100

type id struct{ kind, key string }

func (a id) compare(b id) int { return strings.Compare(a.kind+"/"+a.key, b.kind+"/"+b.key) }
