package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strings"
	"sync/atomic"
)

// Common is the mix-in that nearly every object carries, with DRP's names.
// Validated, Available and Errors are computed; ReadOnly and Bundle say which
// content layer an object came from.
type Common struct {
	Validated bool
	Available bool
	Errors    []string
	ReadOnly  bool
	Bundle    string
	Endpoint  string
	Meta      map[string]string // never nil once saved
}

func (c *Common) fill() {
	if c.Errors == nil {
		c.Errors = []string{}
	}
	if c.Meta == nil {
		c.Meta = map[string]string{}
	}
}

// Index finds objects by a value: Of returns all values of one object.
type Index[T any] struct {
	Name   string
	Of     func(*T) []string
	Unique bool   // at most one object may have a value
	Type   string // what a query for it looks like, with DRP's words; "" is "string"
	// Unordered values cannot be sorted by, Regex values may be matched by Re.
	Unordered, Regex bool
	// Scan indexes keep no tree: a lookup looks at every object. For values that
	// few ask for by name, so that saves do not pay for them.
	Scan bool
	// Primary says that the only value is the key: the index needs no tree.
	Primary bool
	// Spell, if set, gives the one form that values have of those that people and
	// machines write: lookups and filters in any of them find the same.
	Spell func(value string) string
	// Has, if set, says that the object is found under the value: for values
	// that cannot be listed, such as the addresses of a range. It needs Scan.
	Has func(o *T, value string) bool
}

// Ref says that an object needs another one. While the other is missing or
// unavailable, or Check (if set) objects to it, the referrer is not Available.
type Ref struct {
	Kind, Key string
	Check     func(target any) string // "" or a sentence; target is a *T of Kind
	Keep      bool                    // the target may not be deleted while referred to
}

// Kind declares one kind of object; storage, indexes, REST and CLI follow from
// it. T must be a struct that encoding/json carries faithfully.
type Kind[T any] struct {
	Name     string
	Key      func(*T) string
	Common   func(*T) *Common
	Indexes  []Index[T]
	Default  func(*T)          // fills in fields; runs on every save and load, when Meta is there
	Validate func(*T) []string // sentences; any refuses the save
	Refs     func(*T) []Ref    // what it needs
	// Fit looks at other objects, in the order of the saves: it may fill in what
	// follows from them, and its sentences refuse the save. k is the kind itself.
	Fit func(k *Kind[T], r Reader, o *T) []string
	// Stays says why the object may never be deleted, "" if it may.
	Stays    func(*T) string
	Engine   []string           // fields that only the server sets
	Hidden   []string           // fields that no reply shows
	Params   func(*T) *Params   // nil: no params routes
	Profiles func(*T) *[]string // nil: carries no profiles
	Virtual  bool               // lives in memory only
	Private  bool               // the server's own: no routes, no events
	Sealed   bool               // only the server creates, changes and deletes it
	// Known, if set, is what clients know an object by: its events have that
	// kind and key, also if the kind is Private.
	Known func(*T) (kind, key string)

	names indexNames
}

// Params maps a parameter's name to its JSON value.
type Params map[string]any

// Object is one stored object as the generic layers see it.
type Object struct {
	Kind string
	Key  string
	Val  any    // *T, shared: read only
	JSON []byte // as replies show it, shared: read only
	Rev  uint64
}

// Any is what generic code (REST, bundles) needs of a Kind[T].
type Any interface {
	KindName() string
	IndexNames() []string
	IndexInfos() []IndexInfo
	ServerOnly() bool
	EngineFields() []string
	HiddenFields() []string
	Decode(data []byte) (any, error)
	KeyOf(val any) string
	CommonOf(val any) *Common
	ParamsOf(val any) *Params
	ProfilesOf(val any) *[]string
	IndexValues(val any, index string) []string
	IndexHas(val any, index, value string) bool
	Spelled(index, value string) string
	Lookup(r Reader, ref string) (Object, error)
	Has(r Reader, key string) bool
	Len(r Reader) int
	Each(r Reader) iter.Seq[Object]
	EachBy(r Reader, index, value string) iter.Seq[Object]
	CreateAny(tx *Tx, val any) error
	ReplaceAny(tx *Tx, val any) error
	Unfit(tx *Tx, val any) []string
	Delete(tx *Tx, key string) error
	LayerAny(tx *Tx, layer string, val any) error
	self() *kindOps
}

// kindOps is a Kind[T] with T erased, for tables.
type kindOps struct {
	name     string
	id       int // position of its table in a snapshot
	fields   map[string]fieldPlan
	indexes  []erasedIndex
	key      func(any) string
	common   func(any) *Common
	refs     func(any) []Ref
	encode   func(any) (stored, public []byte, err error)
	decode   func([]byte) (any, error)
	copy     func(any) (any, error)
	defaults func(any)
	validate func(any) []string
	fit      func(Reader, any) []string
	stays    func(any) string
	known    func(any) (kind, key string) // nil: by its name and key
	virtual  bool
	private  bool
}

type erasedIndex struct {
	name   string
	of     func(any) []string
	unique bool
}

// KindName is the kind's name in URLs, records, events and the CLI.
func (k *Kind[T]) KindName() string { return k.Name }

// EngineFields lists JSON fields that users may not set.
func (k *Kind[T]) EngineFields() []string { return k.Engine }

// HiddenFields lists JSON fields that no reply shows.
func (k *Kind[T]) HiddenFields() []string { return k.Hidden }

// ServerOnly says that users may only read objects of the kind.
func (k *Kind[T]) ServerOnly() bool { return k.Sealed }

// Decode reads one object strictly: an unknown field is an error that names it.
func (k *Kind[T]) Decode(data []byte) (any, error) {
	v := new(T)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return nil, Errorf(Malformed, k.Name, "", "%s", plainJSON(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, Errorf(Malformed, k.Name, "", "more than one JSON value")
	}
	return v, nil
}

// plainJSON words encoding/json's errors for a user.
func plainJSON(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Sprintf("field %s: cannot hold a %s", t.Field, t.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// KeyOf returns the object's key.
func (k *Kind[T]) KeyOf(val any) string { return k.Key(val.(*T)) }

// CommonOf returns the object's mix-in, nil for kinds without one.
func (k *Kind[T]) CommonOf(val any) *Common {
	if k.Common == nil {
		return nil
	}
	return k.Common(val.(*T))
}

// ParamsOf returns where the object keeps its params, nil for kinds without.
func (k *Kind[T]) ParamsOf(val any) *Params {
	if k.Params == nil {
		return nil
	}
	return k.Params(val.(*T))
}

// ProfilesOf returns where the object keeps its profile names, nil for kinds without.
func (k *Kind[T]) ProfilesOf(val any) *[]string {
	if k.Profiles == nil {
		return nil
	}
	return k.Profiles(val.(*T))
}

func (k *Kind[T]) self() *kindOps {
	plan, _ := planOf(reflect.TypeFor[T](), k.Hidden)
	o := &kindOps{
		fields:  map[string]fieldPlan{},
		name:    k.Name,
		key:     func(v any) string { return k.Key(v.(*T)) },
		common:  k.CommonOf,
		refs:    func(v any) []Ref { return nil },
		encode:  k.encoder(plan),
		decode:  k.decodeStored,
		copy:    copierFor[T](),
		virtual: k.Virtual,
		private: k.Private,
	}
	for _, f := range plan {
		o.fields[f.name] = f
	}
	o.defaults = func(v any) {
		if c := k.CommonOf(v); c != nil {
			c.fill()
		}
		if k.Default != nil {
			k.Default(v.(*T))
		}
	}
	o.validate = func(v any) []string {
		if k.Validate == nil {
			return nil
		}
		return k.Validate(v.(*T))
	}
	o.fit = func(r Reader, v any) []string {
		if k.Fit == nil {
			return nil
		}
		return k.Fit(k, r, v.(*T))
	}
	o.stays = func(v any) string {
		if k.Stays == nil {
			return ""
		}
		return k.Stays(v.(*T))
	}
	if k.Known != nil {
		o.known = func(v any) (string, string) { return k.Known(v.(*T)) }
	}
	if k.Refs != nil {
		o.refs = func(v any) []Ref { return k.Refs(v.(*T)) }
	}
	for _, x := range k.Indexes {
		if x.tree() {
			o.indexes = append(o.indexes, erasedIndex{x.Name, func(v any) []string { return x.Of(v.(*T)) }, x.Unique})
		}
	}
	return o
}

// encoder returns how objects become JSON. public is what replies show; stored
// is the same bytes, followed by an object of the hidden fields if there are
// any, so that both are kept once.
func (k *Kind[T]) encoder(plan structPlan) func(v any) (stored, public []byte, err error) {
	if plan == nil {
		return k.encode
	}
	shown, hidden := plan.split()
	size := atomic.Int64{} // of recent ones: buffers begin as large
	return func(v any) (stored, public []byte, err error) {
		at := reflect.ValueOf(v).Elem()
		stored, err = shown.object(make([]byte, 0, size.Load()), at)
		end := len(stored)
		if err == nil && len(hidden) > 0 {
			stored, err = hidden.object(stored, at)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("encode %s/%s: %w", k.Name, k.KeyOf(v), err)
		}
		size.Store(int64(len(stored) + 64))
		return stored, stored[:end:end], nil
	}
}

// encode is the encoder of types that have no plan.
func (k *Kind[T]) encode(v any) (stored, public []byte, err error) {
	if stored, err = json.Marshal(v); err != nil {
		return nil, nil, fmt.Errorf("encode %s/%s: %w", k.Name, k.KeyOf(v), err)
	}
	if len(k.Hidden) == 0 {
		return stored, stored, nil
	}
	var m map[string]json.RawMessage
	if err = json.Unmarshal(stored, &m); err != nil {
		return nil, nil, err
	}
	for _, h := range k.Hidden {
		delete(m, h)
	}
	public, err = json.Marshal(m)
	return stored, public, err
}

// decodeStored reads the fields of an object from one JSON object or several,
// and tolerates unknown ones: a newer server may have written them.
func (k *Kind[T]) decodeStored(data []byte) (any, error) {
	v := new(T)
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		switch err := d.Decode(v); {
		case errors.Is(err, io.EOF) && d.InputOffset() > 0:
			return v, nil
		case err != nil:
			return nil, err
		}
	}
}
