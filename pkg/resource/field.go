package resource

import "reflect"

// Field is one top-level member of an object's JSON, as a typed value.
type Field struct {
	reflect.Value      // settable in an object that is one's own, see Copy
	Shown         bool // false: the JSON has no such member now
	Hidden        bool // no reply shows it
}

// Field finds a member by its exact JSON name. ok is false if there is none,
// or if the kind's type has an encoding of its own.
func (db *DB) Field(kind string, val any, name string) (f Field, ok bool) {
	k := db.kinds[kind]
	if k == nil {
		return f, false
	}
	p, ok := k.fields[name]
	if !ok {
		return f, false
	}
	v := reflect.ValueOf(val).Elem().FieldByIndex(p.index)
	return Field{Value: v, Shown: p.omit == nil || !p.omit(v), Hidden: p.hidden}, true
}

// Copy returns an object of one's own, equal to val.
func (db *DB) Copy(kind string, val any) (any, error) {
	k := db.kinds[kind]
	if k == nil {
		return nil, Errorf(NotFound, kind, "", "no such kind")
	}
	return k.copy(val)
}
