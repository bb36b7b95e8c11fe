package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// schemas makes schemas of Go types, each named type once.
type schemas struct {
	all      map[string]*Schema // the document's components
	types    map[string]reflect.Type
	comments comments
	conflict error // two types of one name
}

func newSchemas(all map[string]*Schema, c comments) *schemas {
	return &schemas{all: all, types: map[string]reflect.Type{}, comments: c}
}

// of is the schema of a value's type.
func (s *schemas) of(v any) *Schema { return s.typ(reflect.TypeOf(v)) }

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// typ is the schema of a type, as encoding/json writes it.
func (s *schemas) typ(t reflect.Type) *Schema {
	switch {
	case t == nil || t == rawType || t.Kind() == reflect.Interface:
		return &Schema{}
	case t == timeType:
		return &Schema{Type: "string", Format: "date-time"}
	case t.Kind() == reflect.Pointer:
		return s.typ(t.Elem())
	case t.Name() != "" && t.PkgPath() != "":
		return s.named(t)
	}
	return s.plain(t)
}

func (s *schemas) plain(t reflect.Type) *Schema {
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", Encoding: "base64"}
		}
		return &Schema{Type: "array", Items: s.typ(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", Additional: s.typ(t.Elem())}
	case reflect.Struct:
		out := &Schema{Type: "object", Properties: map[string]*Schema{}}
		s.fields(t, out, comment{})
		return out
	}
	return &Schema{Type: "integer"}
}

// named keeps a type among the components.
func (s *schemas) named(t reflect.Type) *Schema {
	name := t.Name()
	ref := &Schema{Ref: "#/components/schemas/" + name}
	if was, ok := s.types[name]; ok {
		if was != t {
			s.conflict = fmt.Errorf("types %s and %s would have the same schema %s", typeName(was), typeName(t), name)
		}
		return ref
	}
	s.types[name] = t
	c := s.comments[typeName(t)]
	if t.Kind() != reflect.Struct {
		out := s.plain(t)
		out.Description = c.Doc
		for _, v := range c.Values {
			out.Enum = append(out.Enum, v.Value)
		}
		s.all[name] = out
		return ref
	}
	out := &Schema{Type: "object", Description: c.Doc, Properties: map[string]*Schema{}}
	s.all[name] = out // before its fields, which may refer to it
	s.fields(t, out, c)
	return ref
}

// fields adds the members of a struct; those of an embedded one are its own.
func (s *schemas) fields(t reflect.Type, out *Schema, c comment) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, omitted := jsonName(f)
		switch {
		case f.Anonymous && f.Tag.Get("json") == "":
			s.fields(f.Type, out, s.comments[typeName(f.Type)])
		case f.IsExported() && name != "-":
			out.Properties[name] = described(s.member(f.Type, omitted), c.Fields[f.Name])
		}
	}
}

// member is a field: without a value it is null, if JSON does not leave it out.
func (s *schemas) member(t reflect.Type, omitted bool) *Schema {
	m := s.typ(t)
	if omitted {
		return m
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return orNull(m)
	}
	return m
}

func orNull(m *Schema) *Schema {
	switch t := m.Type.(type) {
	case string:
		m.Type = []string{t, "null"}
		return m
	case nil:
		if m.Ref != "" {
			return &Schema{AnyOf: []*Schema{m, {Type: "null"}}}
		}
	}
	return m
}

// described adds a comment; one beside a reference is allowed in OpenAPI 3.1.
func described(m *Schema, text string) *Schema {
	m.Description = text
	return m
}

func jsonName(f reflect.StructField) (name string, omitted bool) {
	name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		name = f.Name
	}
	return name, strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
}
