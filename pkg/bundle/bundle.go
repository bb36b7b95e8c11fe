// Package bundle reads, writes and loads content packs. A pack is one document
// (YAML or JSON) or a folder; its sections carry the names of kinds. Saving a
// contents object loads its objects as a read-only layer, deleting it takes the
// layer away, each as part of one update: all or nothing. The layer of pack
// BasicStore gives way to those of other packs.
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

// Basic is the pack that every server has; its version is the server's.
const Basic = "BasicStore"

// sections that packs may have, in the order in which they are loaded: params
// first, since they say what the others may hold. Machines, users and whatever
// else the server or its operators own cannot come from a pack.
func sections() []string {
	return []string{"params", "templates", "profiles", "tasks", "bootenvs", "stages", "workflows", "blueprints", "contexts", "filters",
		"trigger_providers", "triggers", "pools", "subnets", "reservations", "roles", "tenants", "plugins", "version_sets", "catalog_items"}
}

// FromBundle reads a pack from one YAML or JSON document. What packs for other
// servers have and this one does not know stays in it; see Warnings.
func FromBundle(data []byte) (*api.ContentPack, error) {
	if len(data) > MaxSize {
		return nil, malformed("", "has %d bytes, %d at most", len(data), MaxSize)
	}
	pack := &api.ContentPack{}
	if err := decodeStrict(data, pack); err != nil {
		return nil, malformed("", "%v", err)
	}
	if pack.Meta.Name == "" {
		return nil, malformed("", "meta.Name is empty")
	}
	_, _, err := objects(api.Kinds(), pack)
	return pack, err
}

// ToBundle writes a pack as one document: format is yaml or json.
func ToBundle(pack *api.ContentPack, format string) ([]byte, error) {
	switch format {
	case "yaml", "yml":
		return yaml.Marshal(pack)
	case "json":
		return json.MarshalIndent(pack, "", "  ")
	}
	return nil, fmt.Errorf("write content pack %s: format %q is not known; use yaml or json", pack.Meta.Name, format)
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

func (o object) name() string { return o.kind.KindName() + "/" + o.key }

// objects decodes all sections, in loading order, and reports all that is
// wrong with them at once. Warnings are what was left out, since this server
// does not know it.
func objects(kinds []resource.Any, pack *api.ContentPack) (out []object, warnings []string, err error) {
	msgs, warnings := unknownSections(pack)
	for _, name := range sections() {
		section := pack.Sections[name]
		kind := byName(kinds, name)
		if kind == nil {
			continue // its server does not have the kind
		}
		for _, key := range slices.Sorted(maps.Keys(section)) {
			val, unknown, err := decodeObject(kind, key, section[key])
			if err != nil {
				msgs = append(msgs, fmt.Sprintf("%s/%s: %v", name, key, err))
				continue
			}
			if len(unknown) > 0 {
				warnings = append(warnings, fmt.Sprintf("%s/%s: ignored fields that this server does not know: %s", name, key, strings.Join(unknown, ", ")))
			}
			out = append(out, object{kind, key, val})
		}
	}
	if len(msgs) > 0 {
		return nil, warnings, &resource.Error{Code: resource.Invalid, Kind: api.ContentPacks.Name, Key: pack.Meta.Name, Msgs: msgs}
	}
	return out, warnings, nil
}

// unknownSections warns of sections that no kind has, and refuses those that
// packs may not hold.
func unknownSections(pack *api.ContentPack) (msgs, warnings []string) {
	for _, name := range slices.Sorted(maps.Keys(pack.Sections)) {
		switch {
		case slices.Contains(sections(), name):
		case byName(api.Kinds(), name) != nil:
			msgs = append(msgs, fmt.Sprintf("section %s: a content pack may hold only %s", name, strings.Join(sections(), ", ")))
		default:
			warnings = append(warnings, fmt.Sprintf("ignored section %s, which this server does not know", name))
		}
	}
	return msgs, warnings
}

func byName(kinds []resource.Any, name string) resource.Any {
	for _, k := range kinds {
		if k.KindName() == name {
			return k
		}
	}
	return nil
}

// keyField is the field that holds the key of a kind's objects.
func keyField(kind resource.Any) string { return kind.IndexNames()[0] }

// decodeObject reads one object, whose key field may be left out, and lists the
// fields that were lost.
func decodeObject(kind resource.Any, key string, raw any) (val any, unknown []string, err error) {
	fields, ok := raw.(map[string]any)
	if !ok {
		return nil, nil, errors.New("is not an object with fields")
	}
	if _, ok := fields[keyField(kind)]; !ok {
		with := map[string]any{keyField(kind): key}
		maps.Copy(with, fields)
		fields = with
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, err
	}
	if val, err = kind.Decode([]byte("{}")); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(data, val); err != nil {
		return nil, nil, inWords(err)
	}
	if got := kind.KeyOf(val); got != key {
		return nil, nil, fmt.Errorf("field %s is %q, but its key in the section is %q: make them equal", keyField(kind), got, key)
	}
	back, err := json.Marshal(val)
	if err != nil {
		return nil, nil, err
	}
	var kept any
	if err := json.Unmarshal(back, &kept); err != nil {
		return nil, nil, err
	}
	return val, lost("", fields, kept), nil
}

// inWords tells a user what encoding/json did not like.
func inWords(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %s: cannot hold a %s", t.Field, t.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// lost lists the fields of in that out does not have. Empty ones say nothing
// and do not count.
func lost(at string, in, out any) (names []string) {
	switch in := in.(type) {
	case map[string]any:
		o, _ := out.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(in)) {
			v, ok := lookFold(o, k)
			switch {
			case ok:
				names = append(names, lost(at+k+".", in[k], v)...)
			case !isEmpty(in[k]):
				names = append(names, at+k)
			}
		}
	case []any:
		o, _ := out.([]any)
		for i := range min(len(in), len(o)) {
			names = append(names, lost(fmt.Sprintf("%s%d.", at, i), in[i], o[i])...)
		}
	}
	return names
}

// lookFold finds a field as encoding/json does: in any case of letters.
func lookFold(m map[string]any, key string) (any, bool) {
	if v, ok := m[key]; ok {
		return v, true
	}
	for k, v := range m {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return nil, false
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
