package api

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// Extended is an object of a kind that a plugin provider declares in its
// StoreObjects. Type is that kind, which clients know it by.
type Extended struct {
	resource.Common
	Documented
	Type   string
	Id     string
	Params resource.Params
	// Free are all other fields; they lie beside those above.
	Free map[string]any `json:"-"`
}

// ByType indexes extended objects by their kind.
const ByType = "Type"

// ExtendedObjects keeps the objects of all declared kinds. It has no routes of
// its own: package rest serves each declared kind under its name.
var ExtendedObjects = &resource.Kind[Extended]{
	Name: "extended", Private: true, Engine: engineCommon,
	Key: func(o *Extended) string {
		if o.Id == "" {
			return ""
		}
		return o.Type + "/" + o.Id
	},
	Known:  func(o *Extended) (kind, key string) { return o.Type, o.Id },
	Common: func(o *Extended) *resource.Common { return &o.Common },
	Indexes: []resource.Index[Extended]{
		scan(textual("Id", func(o *Extended) string { return o.Id })),
		textual(ByType, func(o *Extended) string { return o.Type }),
		paramIndex(func(o *Extended) resource.Params { return o.Params }),
	},
	Default: func(o *Extended) { o.Params = fullParams(o.Params) },
	Validate: func(o *Extended) []string {
		p := problems(paramNames(o.Params))
		if strings.ContainsAny(o.Id, "/\\") {
			p.add("Id %q has a slash: name it without", o.Id)
		}
		return p
	},
	Params: func(o *Extended) *resource.Params { return &o.Params },
}

// plainExtended is Extended with the encoding of its struct.
type plainExtended Extended

// extendedFields are the members that are not free.
var extendedFields = []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle", "Endpoint", "Meta", "Description", "Documentation", "Type", "Id", "Params"}

// MarshalJSON puts the free fields beside the others.
func (o Extended) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(plainExtended(o))
	if err != nil || len(o.Free) == 0 {
		return data, err
	}
	all := map[string]json.RawMessage{}
	for name, v := range o.Free {
		if all[name], err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// UnmarshalJSON keeps the fields that it does not know. encoding/json matches
// names without regard to case, so a free field is none in any spelling.
func (o *Extended) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*plainExtended)(o)); err != nil {
		return err
	}
	all := map[string]any{}
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(name string, _ any) bool {
		return slices.ContainsFunc(extendedFields, func(known string) bool { return strings.EqualFold(name, known) })
	})
	o.Free = nil
	if len(all) > 0 {
		o.Free = all
	}
	return nil
}

// Declared yields the kinds that loaded providers declare, with their schemas.
// Of two providers with the same kind the first by name counts.
func Declared(r resource.Reader) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		seen := map[string]bool{}
		for p := range PluginProviders.All(r) {
			for _, kind := range slices.Sorted(maps.Keys(p.StoreObjects)) {
				if seen[kind] || isKind(kind) {
					continue
				}
				if seen[kind] = true; !yield(kind, p.StoreObjects[kind]) {
					return
				}
			}
		}
	}
}

// DeclaredKind finds the schema of a kind that a loaded provider declares.
func DeclaredKind(r resource.Reader, kind string) (schema any, ok bool) {
	for name, schema := range Declared(r) {
		if name == kind {
			return schema, true
		}
	}
	return nil, false
}

// FitsSchema says, in a sentence, why an object does not fit the schema of its
// kind, "" if it does.
func FitsSchema(schema any, object []byte) string {
	if schema == nil {
		return ""
	}
	s := compile(schema)
	if s.err != nil {
		return "the schema of its kind: " + unfit(s.err)
	}
	var v any
	if err := json.Unmarshal(object, &v); err != nil {
		return err.Error()
	}
	if err := s.validate(v); err != nil {
		return unfit(err)
	}
	return ""
}

// takenRoutes are parts of the API below /api/v3 that are no kinds.
var takenRoutes = []string{"batch_actions", "audit", "callback", "debug", "docs", "engine", "events", "extended", "indexes", "info", "isos", "logs", "meta",
	"objects", "openapi.json", "pools-active", "prefs", "swagger.json", "system", "trigger_firings", "webhooks", "whoami", "why", "ws", "waits", "kept_replies", "object_keys"}

// storeProblems checks the kinds that a provider declares.
func (o *PluginProvider) storeProblems() []string {
	p := problems{}
	for _, kind := range slices.Sorted(maps.Keys(o.StoreObjects)) {
		if isKind(kind) || slices.Contains(takenRoutes, kind) {
			p.add("StoreObjects: %q is a part of this server's own API: name the kind otherwise", kind)
		}
		p.name("StoreObjects", kind, plainName)
		if schema := o.StoreObjects[kind]; schema != nil {
			if s := compile(schema); s.err != nil {
				p.add("StoreObjects: the schema of %s: %s", kind, unfit(s.err))
			}
		}
	}
	return p
}

// Stored is an object as the DB knows it, where clients know it otherwise.
func Stored(o resource.Object) resource.Object {
	if e, ok := o.Val.(*Extended); ok {
		o.Kind, o.Key = ExtendedObjects.Name, ExtendedObjects.Key(e)
	}
	return o
}
