package param

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hooks returns what a DB needs to check and seal params: one hook for each
// kind that carries them, and one that seals existing values when a parameter
// becomes secure. ObjectKeys must be among the kinds of the DB.
func (x *Vault) Hooks(kinds []resource.Any) []resource.Hook {
	var out []resource.Hook
	var carriers []resource.Any
	for _, k := range kinds {
		if carries(k) {
			carriers = append(carriers, k)
			out = append(out, x.Hook(k))
		}
	}
	return append(out, resource.OnSave(api.ParamDefs, func(tx *resource.Tx, old, def *api.Param) error {
		if def == nil || !def.Secure || old != nil && old.Secure {
			return nil
		}
		return x.becameSecure(tx, carriers, def)
	}))
}

func carries(k resource.Any) bool {
	zero, err := k.Decode([]byte("{}"))
	return err == nil && k.ParamsOf(zero) != nil
}

// Hook checks the changed params of one kind against their schemas, seals the
// plain values of secure ones, and deletes the key of a deleted object.
func (x *Vault) Hook(kind resource.Any) resource.Hook {
	return resource.Hook{Kind: kind.KindName(), Save: func(tx *resource.Tx, old, new any) error {
		if new == nil {
			id := kind.KindName() + ":" + kind.KeyOf(old)
			if !ObjectKeys.Has(tx, id) {
				return nil
			}
			return ObjectKeys.Delete(tx, id)
		}
		var was resource.Params
		if old != nil {
			was = *kind.ParamsOf(old)
		}
		return x.admit(tx, kind.KindName(), kind.KeyOf(new), was, *kind.ParamsOf(new))
	}}
}

// admit looks at each value that changed, and replaces the plain value of a
// secure param in place. It reports all bad values at once.
func (x *Vault) admit(tx *resource.Tx, kind, key string, was, is resource.Params) error {
	var msgs []string
	for _, name := range changed(was, is) {
		def, err := api.ParamDefs.Get(tx, name)
		if err != nil {
			continue // a parameter without a definition takes any value
		}
		msg, err := x.admitOne(tx, kind, key, def, is)
		if err != nil {
			return err
		}
		if msg != "" {
			msgs = append(msgs, msg)
		}
	}
	// What was taken once must load again, whatever the definition says by now.
	if len(msgs) > 0 && !tx.Loading() {
		return &resource.Error{Code: resource.Invalid, Kind: kind, Key: key, Msgs: msgs}
	}
	return nil
}

// changed lists the params that are new or differ, in order.
func changed(was, is resource.Params) []string {
	var out []string
	for name, v := range is {
		if old, ok := was[name]; !ok || !same(old, v) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// same is reflect.DeepEqual with a short way for what JSON decodes to: every
// save of a machine compares all of its params.
func same(a, b any) bool {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return ok && x == y
	case float64:
		y, ok := b.(float64)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case []any:
		y, ok := b.([]any)
		return ok && (x == nil) == (y == nil) && slices.EqualFunc(x, y, same)
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && (x == nil) == (y == nil) && maps.EqualFunc(x, y, same)
	}
	return reflect.DeepEqual(a, b)
}

func (x *Vault) admitOne(tx *resource.Tx, kind, key string, def *api.Param, is resource.Params) (msg string, err error) {
	v := is[def.Name]
	if IsSealed(v) { // perhaps of a parameter that was secure once
		if v, err = x.Open(tx, kind, key, v); err != nil {
			return "param " + def.Name + ": " + err.Error() + "; send it plain or sealed to this object's public key", nil
		}
		return secretProblem(def, v), nil
	}
	if !def.Secure {
		return problem(def, v), nil
	}
	if msg := secretProblem(def, v); msg != "" {
		return msg, nil
	}
	pub, err := x.Public(tx, kind, key)
	if err != nil {
		return "", err
	}
	is[def.Name], err = SealTo(pub, v)
	return "", err
}

// secretProblem is problem without the schema's words, which quote the value.
func secretProblem(def *api.Param, v any) string {
	if problem(def, v) == "" {
		return ""
	}
	return "param " + def.Name + ": the secure value does not fit the schema"
}

// problem says why a value does not fit its parameter, in one line.
func problem(def *api.Param, v any) string {
	plain, err := plainJSON(v)
	if err != nil {
		return "param " + def.Name + ": the value is not JSON"
	}
	msg := def.Check(plain)
	if msg != "" && !strings.Contains(msg, def.Name) {
		msg = "param " + def.Name + ": " + msg
	}
	return strings.Join(strings.Fields(msg), " ")
}

// plainJSON turns values made in Go, such as []string, into the types that
// encoding/json decodes to.
func plainJSON(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(data, &out)
}

// becameSecure seals the values that objects have of a parameter that was not
// secure before.
func (x *Vault) becameSecure(tx *resource.Tx, carriers []resource.Any, def *api.Param) error {
	for _, kind := range carriers {
		var found []resource.Object
		for o := range kind.Each(tx) {
			if v, ok := (*kind.ParamsOf(o.Val))[def.Name]; ok && !IsSealed(v) {
				found = append(found, o)
			}
		}
		for _, o := range found {
			if err := x.reseal(tx, kind, o, def); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Vault) reseal(tx *resource.Tx, kind resource.Any, o resource.Object, def *api.Param) error {
	if c := kind.CommonOf(o.Val); c != nil && c.Bundle != "" {
		return resource.Errorf(resource.Conflict, api.ParamDefs.Name, def.Name,
			"cannot become secure: %s/%s of content pack %s has a plain value", o.Kind, o.Key, c.Bundle)
	}
	data, err := json.Marshal(o.Val) // not o.JSON, which lacks hidden fields
	if err != nil {
		return err
	}
	c, err := kind.Decode(data)
	if err != nil {
		return err
	}
	// The definition is not saved yet, so the hook of this save would not see
	// that it is secure: seal here.
	msg, err := x.admitOne(tx, o.Kind, o.Key, def, *kind.ParamsOf(c))
	if err != nil {
		return err
	}
	if msg != "" {
		return resource.Errorf(resource.Invalid, o.Kind, o.Key, "%s", msg)
	}
	return kind.ReplaceAny(tx, c)
}
