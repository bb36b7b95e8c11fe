package rest

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// declared is a kind that a plugin provider declares, as the handlers of all
// kinds see it: the objects of one Type among api.ExtendedObjects, by their Id.
type declared struct {
	resource.Any
	name   string
	schema any
}

// kindNamed finds one of our kinds or one that a provider declares, nil if
// there is neither.
func (s *server) kindNamed(name string) resource.Any {
	if k := s.kinds[name]; k != nil {
		return k
	}
	if s.cfg.DB.Kind(api.ExtendedObjects.Name) == nil || s.kinds[api.PluginProviders.Name] == nil {
		return nil
	}
	schema, ok := api.DeclaredKind(s.cfg.DB.View(), name)
	if !ok {
		return nil
	}
	return &declared{api.ExtendedObjects, name, schema}
}

func (k *declared) KindName() string { return k.name }

func (k *declared) KeyOf(val any) string { return val.(*api.Extended).Id }

func (k *declared) key(id string) string { return k.name + "/" + id }

// Decode takes objects of this Type only, and gives it to those without one.
func (k *declared) Decode(data []byte) (any, error) {
	v, err := k.Any.Decode(data)
	if err != nil {
		return nil, k.named(err)
	}
	o := v.(*api.Extended)
	if o.Type != "" && o.Type != k.name {
		return nil, resource.Errorf(resource.Malformed, k.name, o.Id, "its Type is %q: send it to %s, or leave Type out", o.Type, o.Type)
	}
	o.Type = k.name
	return o, nil
}

// named makes an error speak of the kind and key that clients know.
func (k *declared) named(err error) error {
	if e, ok := errors.AsType[*resource.Error](err); ok && e.Kind == k.Any.KindName() {
		e.Kind, e.Key = k.name, strings.TrimPrefix(e.Key, k.name+"/")
	}
	return err
}

func (k *declared) shown(o resource.Object) resource.Object {
	o.Kind, o.Key = k.name, k.KeyOf(o.Val)
	return o
}

func (k *declared) Lookup(r resource.Reader, ref string) (resource.Object, error) {
	for _, id := range []string{ref, strings.TrimPrefix(ref, "Id:"), strings.TrimPrefix(ref, "Key:")} {
		if o, err := k.Any.Lookup(r, k.key(id)); err == nil {
			return k.shown(o), nil
		}
	}
	return resource.Object{}, resource.Errorf(resource.NotFound, k.name, ref, "not found")
}

func (k *declared) Has(r resource.Reader, key string) bool { return k.Any.Has(r, k.key(key)) }

func (k *declared) Len(r resource.Reader) (n int) {
	for range k.Each(r) {
		n++
	}
	return n
}

func (k *declared) Each(r resource.Reader) iter.Seq[resource.Object] {
	return func(yield func(resource.Object) bool) {
		for o := range k.Any.EachBy(r, api.ByType, k.name) {
			if !yield(k.shown(o)) {
				return
			}
		}
	}
}

func (k *declared) EachBy(r resource.Reader, index, value string) iter.Seq[resource.Object] {
	return func(yield func(resource.Object) bool) {
		for o := range k.Each(r) {
			if k.IndexHas(o.Val, index, value) && !yield(o) {
				return
			}
		}
	}
}

func (k *declared) IndexValues(val any, index string) []string {
	if index == "Key" {
		return []string{k.KeyOf(val)}
	}
	return k.Any.IndexValues(val, index)
}

func (k *declared) IndexHas(val any, index, value string) bool {
	return slices.Contains(k.IndexValues(val, index), value)
}

func (k *declared) CreateAny(tx *resource.Tx, val any) error {
	return k.fitting(tx, val, k.Any.CreateAny(tx, val))
}

func (k *declared) ReplaceAny(tx *resource.Tx, val any) error {
	return k.fitting(tx, val, k.Any.ReplaceAny(tx, val))
}

// fitting refuses what does not fit the schema of the kind, as replies would
// show it. err is what saving it said.
func (k *declared) fitting(tx *resource.Tx, val any, err error) error {
	if err != nil {
		return k.named(err)
	}
	o, err := k.Lookup(tx, k.KeyOf(val))
	if err != nil {
		return err
	}
	if why := api.FitsSchema(k.schema, o.JSON); why != "" {
		return resource.Errorf(resource.Invalid, k.name, o.Key, "does not fit the schema of %s: %s", k.name, why)
	}
	return nil
}

func (k *declared) Delete(tx *resource.Tx, key string) error {
	return k.named(k.Any.Delete(tx, k.key(key)))
}
