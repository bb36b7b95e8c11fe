package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/resource"
)

// saveWith applies a patch to an object and saves it. Patches are small and
// objects are not: most can be carried out on the typed object, without a trip
// of the whole through JSON. Whatever is not plain goes the general way, which
// also words all refusals.
func (h *kindServer) saveWith(c echo.Context, tx *resource.Tx, o resource.Object, p patchDoc) error {
	if val, changed, ok := h.typed(o, p); ok {
		is := func() map[string]json.RawMessage {
			m, _ := rawOf(val) // what cannot be encoded has no parts that may be changed
			return m
		}
		if err := h.permit(c, o, is, changed); err != nil {
			return err
		}
		return h.kind.ReplaceAny(tx, val)
	}
	data, err := p.apply(h.layout().filled(o.JSON, p.fields()))
	if err != nil {
		return keyed(err, o)
	}
	return h.save(c, tx, o, data)
}

// typedPatch is a patch on its way through the operations.
type typedPatch struct {
	h       *kindServer
	was     resource.Object
	val     any      // our own
	touched []string // first and, in Params and Meta, second parts of paths
}

// typed carries out a patch whose operations add, replace, remove or test whole
// fields, or entries of fields that are maps. ok is false for all others, and
// for those that will be refused.
func (h *kindServer) typed(o resource.Object, p patchDoc) (val any, changed []string, ok bool) {
	if len(o.JSON)+p.size > int(h.bodyLimit()) {
		return nil, nil, false
	}
	val, err := h.cfg.DB.Copy(o.Kind, o.Val)
	if err != nil {
		return nil, nil, false
	}
	t := &typedPatch{h: h, was: o, val: val}
	for _, op := range p.ops {
		path, err := op.Path()
		value, given := op["value"]
		needs := op.Kind() != "remove"
		if err != nil || needs && (!given || value == nil) || !t.do(op.Kind(), path, value) {
			return nil, nil, false
		}
	}
	if h.kind.KeyOf(val) != o.Key {
		return nil, nil, false
	}
	changed, ok = t.changes()
	return val, changed, ok
}

// do carries out one operation; false if it is for the general way.
func (t *typedPatch) do(kind, path string, value *json.RawMessage) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != "" {
		return false
	}
	for i, s := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
	}
	f, ok := t.h.cfg.DB.Field(t.was.Kind, t.val, parts[1])
	if !ok || f.Hidden || !f.Shown && (kind != "add" || len(parts) == 3) {
		return false
	}
	if len(parts) == 3 {
		return f.Kind() == reflect.Map && !f.IsNil() && f.Type().Key().Kind() == reflect.String && t.doEntry(kind, path, f.Value, parts[2], value)
	}
	switch kind {
	case "test":
		return same(f.Interface(), *value)
	case "add", "replace":
		fresh := reflect.New(f.Type())
		if !decodeStrict(*value, fresh.Interface()) {
			return false
		}
		f.Set(fresh.Elem())
		t.touch("/" + parts[1])
		return true
	}
	return false
}

// doEntry is do for one entry of a map.
func (t *typedPatch) doEntry(kind, path string, m reflect.Value, name string, value *json.RawMessage) bool {
	key := reflect.ValueOf(name).Convert(m.Type().Key())
	have := m.MapIndex(key)
	if kind != "add" && !have.IsValid() {
		return false
	}
	switch kind {
	case "test":
		return same(have.Interface(), *value)
	case "add", "replace":
		fresh := reflect.New(m.Type().Elem())
		if string(*value) == "null" || !decodeStrict(*value, fresh.Interface()) {
			return false
		}
		m.SetMapIndex(key, fresh.Elem())
	case "remove":
		m.SetMapIndex(key, reflect.Value{})
	default:
		return false
	}
	if !strings.HasPrefix(path, "/Params/") && !strings.HasPrefix(path, "/Meta/") {
		path = path[:strings.LastIndexByte(path, '/')]
	}
	t.touch(path)
	return true
}

func (t *typedPatch) touch(path string) {
	if !slices.Contains(t.touched, path) {
		t.touched = append(t.touched, path)
	}
}

func decodeStrict(data []byte, into any) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil
}

// same says that a value has exactly this spelling; others may be equal too.
func same(v any, text json.RawMessage) bool {
	have, err := json.Marshal(v)
	var want bytes.Buffer
	return err == nil && json.Compact(&want, text) == nil && bytes.Equal(have, want.Bytes())
}

// changes are those of the touched paths that differ from before.
func (t *typedPatch) changes() (out []string, ok bool) {
	for _, path := range t.touched {
		field, key, entry := strings.Cut(path[1:], "/")
		var was, is json.RawMessage
		for _, side := range []struct {
			val any
			to  *json.RawMessage
		}{{t.was.Val, &was}, {t.val, &is}} {
			f, _ := t.h.cfg.DB.Field(t.was.Kind, side.val, field)
			data, err := part(f, strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~"), entry)
			if err != nil {
				return nil, false
			}
			*side.to = data
		}
		kept := (was == nil) == (is == nil) // neither came nor went
		switch {
		case sameJSON(was, is) && (kept || !entry):
		case !entry && (field == "Params" || field == "Meta"):
			out = append(out, keyChanges(path, was, is)...)
		default:
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), true
}

// part is the JSON of a field or of one of its entries, nil if it is not there.
func part(f resource.Field, key string, entry bool) (json.RawMessage, error) {
	v := f.Value
	if entry {
		if v.IsNil() {
			return nil, nil
		}
		if v = v.MapIndex(reflect.ValueOf(key).Convert(v.Type().Key())); !v.IsValid() {
			return nil, nil
		}
	} else if !f.Shown {
		return nil, nil
	}
	return json.Marshal(v.Interface())
}
