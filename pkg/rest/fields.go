package rest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// fields finds the values that a filter or sort key means for objects of one
// kind: an index, else a JSON field (with dots for nested ones), else a param,
// else Meta.<key>.
type fields struct {
	kind  resource.Any
	r     resource.Reader
	param func(r resource.Reader, val any, name string) (any, bool)
	json  []string // names of the kind's JSON fields
	last  string   // key of the object that doc is of
	doc   map[string]any
}

func (s *server) fieldsOf(k resource.Any, r resource.Reader) *fields {
	return newFields(k, r, s.cfg.Param)
}

func newFields(k resource.Any, r resource.Reader, param func(r resource.Reader, val any, name string) (any, bool)) *fields {
	f := &fields{kind: k, r: r, param: param}
	if zero, err := k.Decode([]byte("{}")); err == nil {
		f.json = jsonNames(reflect.TypeOf(zero).Elem())
	}
	return f
}

// jsonNames lists the JSON names of a struct's fields, embedded ones included.
func jsonNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case name == "-" || !sf.IsExported():
		case sf.Anonymous && name == "":
			out = append(out, jsonNames(sf.Type)...)
		case name == "":
			out = append(out, sf.Name)
		default:
			out = append(out, name)
		}
	}
	return out
}

// known says whether any object of the kind could have the key. A bare param
// name is known if the param is declared or an object carries it.
func (f *fields) known(key string) bool {
	head, _, _ := strings.Cut(key, ".")
	switch {
	case key == "Key" || key == "Valid" || slices.Contains(f.kind.IndexNames(), key), slices.Contains(f.json, head):
		return true
	case api.ParamDefs.Has(f.r, key):
		return true
	}
	for o := range f.kind.Each(f.r) {
		if p := f.kind.ParamsOf(o.Val); p != nil {
			if _, ok := (*p)[key]; ok {
				return true
			}
		}
		if c := f.kind.CommonOf(o.Val); c != nil {
			if _, ok := c.Meta[key]; ok {
				return true
			}
		}
	}
	return false
}

// check refuses keys that mean nothing here.
func (f *fields) check(q query) error {
	keys := slices.AppendSeq(slices.Clone(q.sort), maps.Keys(q.any))
	for _, key := range keys {
		if !f.known(key) {
			return badFilter("Filter not found: %s has no index, field, param or Meta key %q", f.kind.KindName(), key)
		}
	}
	return nil
}

// of returns the values of one object under a key, none if it has no such one.
// A list has many values, a map those of its keys.
func (f *fields) of(o resource.Object, key string) []any {
	switch {
	case key == "Key":
		return []any{o.Key}
	case key == "Valid":
		key = "Validated"
	case slices.Contains(f.kind.IndexNames(), key):
		return indexed(f.kind.IndexValues(o.Val, key))
	}
	if head, rest, nested := strings.Cut(key, "."); slices.Contains(f.json, head) {
		if !nested {
			return spread(f.object(o)[head], true)
		}
		return spread(dig(f.object(o)[head], rest))
	}
	if v, ok := f.paramOf(o, key); ok {
		return spread(v, true)
	}
	if c := f.kind.CommonOf(o.Val); c != nil {
		if v, ok := c.Meta[key]; ok {
			return []any{v}
		}
	}
	return nil
}

func indexed(values []string) []any {
	if len(values) == 0 {
		return []any{""}
	}
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// object decodes the JSON of an object once for all its keys.
func (f *fields) object(o resource.Object) map[string]any {
	if f.doc == nil || f.last != o.Key {
		f.doc, f.last = map[string]any{}, o.Key
		_ = json.Unmarshal(o.JSON, &f.doc) // our own encoding
	}
	return f.doc
}

func (f *fields) paramOf(o resource.Object, key string) (any, bool) {
	p := f.kind.ParamsOf(o.Val)
	switch {
	case p == nil:
		return nil, false
	case f.param != nil:
		return f.param(f.r, o.Val, key)
	}
	v, ok := (*p)[key]
	return v, ok
}

// dig follows a dotted path; a key may itself hold dots, as those of Meta do.
func dig(v any, path string) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	if found, ok := m[path]; ok {
		return found, true
	}
	head, rest, nested := strings.Cut(path, ".")
	if !nested {
		return nil, false
	}
	return dig(m[head], rest)
}

func spread(v any, ok bool) []any {
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		out := make([]any, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, k)
		}
		return out
	}
	return []any{v}
}
