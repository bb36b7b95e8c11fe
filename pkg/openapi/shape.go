package openapi

import (
	"fmt"
	"reflect"
	"slices"

	"drpd/pkg/resource"
)

// shape is what a kind's declaration says of the members of its objects.
type shape struct {
	key     string // the member that is or holds the key, "" if there is none
	engine  []string
	hidden  []string
	formats map[string]string
}

// formats are those of DRP's words for what is looked up in an index.
var formats = map[string]string{"UUID string": "uuid", "IP Address": "ipv4"}

// mayBeNull are the collections that DRP's clients know as null.
var mayBeNull = []string{"sections", "Steps"}

func shapeOf(k resource.Any, zero any) shape {
	out := shape{key: keyMember(k, zero), engine: k.EngineFields(), hidden: k.HiddenFields(), formats: map[string]string{"Uuid": "uuid"}}
	for _, x := range k.IndexInfos() {
		if f := formats[x.Type]; f != "" {
			out.formats[x.Name] = f
		}
	}
	return out
}

// keyMember finds the key: every text gets the name of its member, and the kind
// is asked which one is the key.
func keyMember(k resource.Any, zero any) string {
	v := reflect.ValueOf(zero).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _ := jsonName(f)
		at := v.FieldByIndex(f.Index)
		if !f.IsExported() || f.Anonymous {
			continue
		}
		if at.Kind() == reflect.String {
			at.SetString(name)
		}
		for i := 0; at.Kind() == reflect.Struct && i < at.NumField(); i++ {
			if at.Field(i).Kind() == reflect.String && at.Field(i).CanSet() {
				at.Field(i).SetString(name)
			}
		}
	}
	key := k.KeyOf(zero)
	if _, ok := v.Type().FieldByName(key); !ok && key != "meta" {
		return ""
	}
	return key
}

// kind is the schema of a kind's objects, with what the declaration adds to the
// type: the key, what only the server sets, what no reply shows, and formats.
func (s *schemas) kind(k resource.Any) (*Schema, error) {
	zero, err := k.Decode([]byte("{}"))
	if err != nil {
		return nil, fmt.Errorf("make an empty object of %s: %w", k.KindName(), err)
	}
	t := reflect.TypeOf(zero).Elem()
	_, had := s.types[t.Name()]
	ref := s.typ(t)
	if had {
		return ref, nil // machines, clusters and brokers are of one type
	}
	out, sh := s.all[t.Name()], shapeOf(k, zero)
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			sh.apply(out, f)
		}
	}
	if sh.key != "" && !slices.Contains(out.Required, sh.key) {
		out.Required = append(out.Required, sh.key)
	}
	slices.Sort(out.Required)
	if e := examples[t.Name()]; e != nil {
		out.Examples = []any{e}
	}
	return ref, nil
}

// apply changes the schema of one member by what its kind says of it.
func (sh shape) apply(out *Schema, f reflect.StructField) {
	name, omitted := jsonName(f)
	m := out.Properties[name]
	if m == nil {
		return
	}
	if either, ok := m.Type.([]string); ok && !slices.Contains(mayBeNull, name) {
		m.Type = either[0] // a save fills the collections of objects
	}
	if len(m.AnyOf) == 2 && f.Type.Kind() != reflect.Pointer {
		m = described(m.AnyOf[0], m.Description)
	}
	if format := sh.formats[name]; format != "" && f.Type.Kind() == reflect.String {
		m = withFormat(m, format, name == sh.key)
	}
	if m.Ref != "" && f.Type.Kind() == reflect.String && !omitted {
		empty := "" // as JobState of a machine that had no job
		m = &Schema{Description: m.Description, AnyOf: []*Schema{{Ref: m.Ref}, {Const: &empty}}}
	}
	out.Properties[name] = m
	switch engine := slices.Contains(sh.engine, name); {
	case slices.Contains(sh.hidden, name) && engine:
		delete(out.Properties, name)
	case slices.Contains(sh.hidden, name):
		m.WriteOnly = true
	case engine:
		if m.ReadOnly = true; !omitted {
			out.Required = append(out.Required, name)
		}
	}
}

// withFormat adds a format; what is no key may also be empty.
func withFormat(m *Schema, format string, key bool) *Schema {
	if key {
		m.Format = format
		return m
	}
	empty := ""
	return &Schema{Type: m.Type, Description: m.Description, AnyOf: []*Schema{{Format: format}, {Const: &empty}}}
}
