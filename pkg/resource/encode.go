package resource

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appender adds the JSON of a value.
type appender func(b []byte, v reflect.Value) ([]byte, error)

// structPlan writes the fields of a struct byte for byte as encoding/json does.
// What it has no short way for, it leaves to encoding/json.
type structPlan []fieldPlan

type fieldPlan struct {
	index  []int
	name   string
	prefix string // "Name":
	hidden bool
	omit   func(reflect.Value) bool
	write  appender
}

// planOf compiles a struct; ok is false if encoding/json has to do it all.
func planOf(t reflect.Type, hidden []string) (plan structPlan, ok bool) {
	if t.Kind() != reflect.Struct || !appenderIsPlain(t) {
		return nil, false
	}
	names := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if len(f.Index) > 1 && !promoted(t, f.Index) {
			continue // within a struct that has a name of its own
		}
		tag, _ := f.Tag.Lookup("json")
		name, opts, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			continue // its fields come by themselves
		}
		if tag == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if names[name] || f.Anonymous || strings.Contains(opts, "string") {
			return nil, false
		}
		names[name] = true
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, false
		}
		plan = append(plan, fieldPlan{index: f.Index, name: name, prefix: string(quoted) + ":",
			hidden: slices.Contains(hidden, name), omit: omitOf(f.Type, opts), write: appenderOf(f.Type)})
	}
	return plan, true
}

// promoted says that a field is reached through embedded structs only.
func promoted(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !f.Anonymous || f.Type.Kind() != reflect.Struct || name != "" {
			return false
		}
		t = f.Type
	}
	return true
}

func omitOf(t reflect.Type, opts string) func(reflect.Value) bool {
	list := strings.Split(opts, ",")
	empty, zero := slices.Contains(list, "omitempty"), slices.Contains(list, "omitzero")
	if !empty && !zero {
		return nil
	}
	isZero := reflect.Value.IsZero
	if _, ok := reflect.Zero(t).Interface().(interface{ IsZero() bool }); ok && t.Kind() == reflect.Struct {
		isZero = func(v reflect.Value) bool { return v.Interface().(interface{ IsZero() bool }).IsZero() }
	}
	return func(v reflect.Value) bool { return empty && isEmpty(v) || zero && isZero(v) }
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// split separates the fields that replies show from those that they do not.
func (p structPlan) split() (shown, hidden structPlan) {
	for _, f := range p {
		if f.hidden {
			hidden = append(hidden, f)
		} else {
			shown = append(shown, f)
		}
	}
	return shown, hidden
}

// object adds a struct.
func (p structPlan) object(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '{')
	first := len(b)
	for _, f := range p {
		at := v.FieldByIndex(f.index)
		if f.omit != nil && f.omit(at) {
			continue
		}
		if len(b) > first {
			b = append(b, ',')
		}
		b = append(b, f.prefix...)
		if b, err = f.write(b, at); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
)

// appenderOf picks how a type is written.
func appenderOf(t reflect.Type) appender {
	if t == timeType {
		return appendTime
	}
	for _, own := range []reflect.Type{marshalerType, textType} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return appendOther
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendString(b, v.String()) }
	case reflect.Bool:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(b, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(b, v.Int(), 10), nil }
	case reflect.Interface:
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendAny(b, v.Interface()) }
	case reflect.Map:
		return mapAppender(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String && appenderIsPlain(t.Elem()) {
			return appendStrings
		}
	}
	return appendOther
}

func appenderIsPlain(t reflect.Type) bool {
	return !t.Implements(marshalerType) && !t.Implements(textType) &&
		!reflect.PointerTo(t).Implements(marshalerType) && !reflect.PointerTo(t).Implements(textType)
}

func mapAppender(t reflect.Type) appender {
	if t.Key().Kind() != reflect.String || !appenderIsPlain(t.Key()) {
		return appendOther
	}
	switch {
	case t.ConvertibleTo(anyMapType):
		return func(b []byte, v reflect.Value) ([]byte, error) {
			return appendAny(b, v.Convert(anyMapType).Interface())
		}
	case t.ConvertibleTo(reflect.TypeFor[map[string]string]()):
		return func(b []byte, v reflect.Value) ([]byte, error) {
			m, _ := v.Convert(reflect.TypeFor[map[string]string]()).Interface().(map[string]string)
			return appendMap(b, m, appendString)
		}
	}
	return appendOther
}
