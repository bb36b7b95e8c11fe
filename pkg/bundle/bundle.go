// Package bundle reads content packs and loads them as read-only layers of
// objects. A pack is one document (YAML or JSON) or a folder; its sections
// carry the names of kinds. Saving a contents object loads its layer, deleting
// it takes the layer away, each as part of one update: all or nothing.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// MaxSize of a content pack, in bytes.
const MaxSize = 64 << 20

// sections that packs may have, in the order in which they are loaded: params
// first, since they say what the others may hold. Machines, users and whatever
// else the server or its operators own cannot come from a pack.
func sections() []string {
	return []string{"params", "templates", "profiles", "tasks", "bootenvs", "stages", "workflows", "blueprints", "trigger_providers", "triggers", "pools", "roles"}
}

// Decode reads a pack strictly: fields that no object has are errors that name
// section, key and field.
func Decode(data []byte) (*api.ContentPack, error) {
	if len(data) > MaxSize {
		return nil, malformed("", "has %d bytes, %d at most", len(data), MaxSize)
	}
	pack := &api.ContentPack{}
	if err := decodeStrict(data, pack); err != nil {
		return nil, malformed("", "%v", err)
	}
	_, err := objects(api.Kinds(), pack)
	return pack, err
}

func malformed(name, format string, args ...any) error {
	return resource.Errorf(resource.Malformed, api.ContentPacks.Name, name, format, args...)
}

// decodeStrict reads JSON or YAML.
func decodeStrict(data []byte, into any) error {
	if t := bytes.TrimSpace(data); len(t) == 0 || t[0] != '{' {
		err := yaml.UnmarshalStrict(data, into)
		if err != nil {
			return errors.New(strings.NewReplacer("error unmarshaling JSON: while decoding JSON: ", "", "json: ", "").Replace(err.Error()))
		}
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// object is one decoded object of a pack.
type object struct {
	kind resource.Any
	key  string
	val  any
}

// objects decodes all sections, in loading order, and reports all that is
// wrong with them at once.
func objects(kinds []resource.Any, pack *api.ContentPack) ([]object, error) {
	var out []object
	var msgs []string
	for _, name := range slices.Sorted(maps.Keys(pack.Sections)) {
		if !slices.Contains(sections(), name) {
			msgs = append(msgs, fmt.Sprintf("section %s: a content pack may hold only %s", name, strings.Join(sections(), ", ")))
		}
	}
	for _, name := range sections() {
		section := pack.Sections[name]
		kind := byName(kinds, name)
		if kind == nil {
			continue // its server does not have the kind
		}
		for _, key := range slices.Sorted(maps.Keys(section)) {
			val, err := decodeObject(kind, key, section[key])
			if err != nil {
				msgs = append(msgs, fmt.Sprintf("%s/%s: %v", name, key, err))
				continue
			}
			out = append(out, object{kind, key, val})
		}
	}
	if len(msgs) > 0 {
		return nil, &resource.Error{Code: resource.Invalid, Kind: api.ContentPacks.Name, Key: pack.Meta.Name, Msgs: msgs}
	}
	return out, nil
}

func byName(kinds []resource.Any, name string) resource.Any {
	for _, k := range kinds {
		if k.KindName() == name {
			return k
		}
	}
	return nil
}

// decodeObject reads one object; its key field may be left out.
func decodeObject(kind resource.Any, key string, raw any) (any, error) {
	fields, ok := raw.(map[string]any)
	if !ok {
		return nil, errors.New("is not an object with fields")
	}
	keyField := kind.IndexNames()[0]
	if _, ok := fields[keyField]; !ok {
		with := map[string]any{keyField: key}
		maps.Copy(with, fields)
		fields = with
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	val, err := kind.Decode(data)
	if err != nil {
		if e, ok := errors.AsType[*resource.Error](err); ok {
			return nil, errors.New(strings.Join(e.Msgs, "; "))
		}
		return nil, err
	}
	if got := kind.KeyOf(val); got != key {
		return nil, fmt.Errorf("field %s is %q, but its key in the section is %q: make them equal", keyField, got, key)
	}
	return val, nil
}
