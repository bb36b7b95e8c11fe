package rest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// fields finds the values that a filter or sort key means for objects of one
// kind: an index, else a JSON field (with dots for nested ones), else a param,
// else Meta.<key>.
type fields struct {
	*layout
	kind    resource.Any
	r       resource.Reader
	param   func(r resource.Reader, val any, name string) (any, bool)
	indexes map[string]resource.IndexInfo
}

func (s *server) fieldsOf(k resource.Any, r resource.Reader) *fields {
	return newFields(k, r, s.cfg.Param, s.layouts[k.KindName()])
}

func newFields(k resource.Any, r resource.Reader, param func(r resource.Reader, val any, name string) (any, bool), l *layout) *fields {
	if l == nil {
		l = layoutOf(k)
	}
	f := &fields{layout: l, kind: k, r: r, param: param, indexes: map[string]resource.IndexInfo{}}
	for _, x := range k.IndexInfos() {
		f.indexes[x.Name] = x
	}
	return f
}

func (f *fields) isIndex(key string) bool { return f.indexes[key].Name != "" }

// isNumeric says that the values under a key are numbers, which have several
// spellings.
func (f *fields) isNumeric(key string) bool {
	return f.isNumber(key) || f.indexes[key].Type == "number"
}

// narrows says that the index of a key finds the same objects as comparing
// with the values would.
func (f *fields) narrows(key string) bool { return f.isIndex(key) && !f.isNumeric(key) }

// known says whether any object of the kind could have the key. A bare param
// name is known if the param is declared or an object carries it.
func (f *fields) known(key string) bool {
	head, _, _ := strings.Cut(key, ".")
	switch {
	case f.isIndex(key), f.has(head):
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

// unordered says that an object can have many values under a key, so that it
// has no place in an order.
func (f *fields) unordered(key string) bool { return f.indexes[key].Unordered || f.isMany(key) }

// check refuses keys that mean nothing here, and spells truth values as
// objects do.
func (f *fields) check(q *query) error {
	for _, key := range slices.AppendSeq(slices.Clone(q.sort), maps.Keys(q.any)) {
		if !f.known(key) {
			return badFilter("Filter not found: %s", key)
		}
	}
	for _, key := range q.sort {
		if f.unordered(key) {
			return badFilter("Filter not found: %s has many values for each object and no order to sort by", key)
		}
	}
	for key, conds := range q.any {
		for i := range conds {
			conds[i].spell(f.kind, key)
		}
		if !f.isBool(key) && f.indexes[key].Type != "boolean" {
			continue
		}
		for i := range conds {
			if err := conds[i].truth(); err != nil {
				return err
			}
		}
	}
	return nil
}

// of returns the values of one object under a key, none if it has no such one.
// A list has many values, a map those of its keys.
func (f *fields) of(o resource.Object, key string) []any {
	if f.isIndex(key) && !f.isNumber(key) {
		return f.indexed(o, key)
	}
	if head, rest, nested := strings.Cut(key, "."); f.has(head) {
		if !nested {
			return spread(f.decoded(o, head), true)
		}
		return spread(dig(f.decoded(o, head), rest))
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

func (f *fields) indexed(o resource.Object, key string) []any {
	values := f.kind.IndexValues(o.Val, key)
	if len(values) == 0 {
		return []any{""}
	}
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
		if n, err := strconv.ParseFloat(v, 64); err == nil && f.indexes[key].Type == "number" {
			out[i] = n
		}
	}
	return out
}

// decoded is one field of an object; one that the JSON leaves out is empty.
func (f *fields) decoded(o resource.Object, name string) (v any) {
	data := member(o.JSON, name)
	if data == nil {
		data = f.zero(name)
	}
	_ = json.Unmarshal(data, &v) // our own encoding
	return v
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
