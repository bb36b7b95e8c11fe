package rest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"drpd/pkg/resource"
)

// layout is the form of a kind's JSON.
type layout struct {
	names []string // of the top level, in order
	types map[string]reflect.Type
}

func layoutOf(k resource.Any) *layout {
	l := &layout{types: map[string]reflect.Type{}}
	if zero, err := k.Decode([]byte("{}")); err == nil {
		l.add(reflect.TypeOf(zero).Elem())
	}
	return l
}

func (l *layout) add(t reflect.Type) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case name == "-" || !sf.IsExported():
			continue
		case sf.Anonymous && name == "":
			l.add(sf.Type)
			continue
		case name == "":
			name = sf.Name
		}
		if l.types[name] == nil {
			l.names = append(l.names, name)
		}
		l.types[name] = sf.Type
	}
}

func (l *layout) has(name string) bool { return l.types[name] != nil }

func (l *layout) isBool(name string) bool { return l.has(name) && l.types[name].Kind() == reflect.Bool }

func (l *layout) isNumber(name string) bool {
	if !l.has(name) || l.types[name] == reflect.TypeFor[time.Duration]() {
		return false
	}
	return l.types[name].Kind() >= reflect.Int && l.types[name].Kind() <= reflect.Float64
}

func (l *layout) isMany(name string) bool {
	return l.has(name) && slices.Contains([]reflect.Kind{reflect.Slice, reflect.Map}, l.types[name].Kind())
}

// zero is what a client takes a field for that a reply leaves out.
func (l *layout) zero(name string) []byte {
	switch t := l.types[name]; t.Kind() {
	case reflect.Slice:
		return []byte("[]")
	case reflect.Map:
		return []byte("{}")
	default:
		data, _ := json.Marshal(reflect.Zero(t).Interface()) // a zero value of JSON's
		return data
	}
}

// filled adds fields that replies leave out while they are empty, so that a
// patch may test them, replace them or add below them as in DRP.
func (l *layout) filled(doc []byte, fields []string) []byte {
	var more object
	for _, name := range fields {
		if l.has(name) && member(doc, name) == nil {
			quoted, _ := json.Marshal(name)
			more.add(quoted, l.zero(name))
		}
	}
	if !more.begun {
		return doc
	}
	out := slices.Clone(doc[:len(doc)-1])
	added := more.end()
	if len(out) > 1 {
		added[0] = ','
		return append(out, added...)
	}
	return added
}

func (h *kindServer) layout() *layout {
	if l := h.layouts[h.kind.KindName()]; l != nil {
		return l
	}
	return layoutOf(h.kind)
}
