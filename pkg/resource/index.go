package resource

import (
	"slices"
	"strconv"
	"sync"
)

// IndexInfo describes one index to clients: Type, Unique, Unordered and Regex
// are DRP's.
type IndexInfo struct {
	Name      string `json:"-"`
	Type      string
	Unique    bool
	Unordered bool
	Regex     bool
	Scan      bool `json:"-"` // a lookup looks at every object
}

// indexNames is made once for each kind: lists ask for it for each object.
type indexNames struct {
	once sync.Once
	list []string
}

// tree says that the index keeps a tree of its own.
func (x *Index[T]) tree() bool { return !x.Scan && !x.Primary }

// baseIndexes are what every kind has beside the declared ones. They are read
// from the objects and keep no tree, so that saves do not pay for them.
var baseIndexes = []struct {
	info IndexInfo
	of   func(*Common) string
}{
	{IndexInfo{Name: "Available", Type: "boolean"}, func(c *Common) string { return strconv.FormatBool(c.Available) }},
	{IndexInfo{Name: "Valid", Type: "boolean"}, func(c *Common) string { return strconv.FormatBool(c.Validated) }},
	{IndexInfo{Name: "ReadOnly", Type: "boolean"}, func(c *Common) string { return strconv.FormatBool(c.ReadOnly) }},
	{IndexInfo{Name: "Bundle", Type: "string", Regex: true}, func(c *Common) string { return c.Bundle }},
	{IndexInfo{Name: "Endpoint", Type: "string", Regex: true}, func(c *Common) string { return c.Endpoint }},
}

// keyIndex is the index of keys: the main table itself.
const keyIndex = "Key"

// IndexNames lists the indexes, the declared ones first: read only.
func (k *Kind[T]) IndexNames() []string {
	k.names.once.Do(func() {
		for _, x := range k.IndexInfos() {
			k.names.list = append(k.names.list, x.Name)
		}
	})
	return k.names.list
}

// IndexInfos describes the indexes: the declared ones, then Key, and for kinds
// with a Common also Available, Valid, ReadOnly, Bundle and Endpoint.
func (k *Kind[T]) IndexInfos() []IndexInfo {
	out := make([]IndexInfo, 0, len(k.Indexes)+1+len(baseIndexes))
	for _, x := range k.Indexes {
		info := IndexInfo{Name: x.Name, Type: x.Type, Unique: x.Unique, Unordered: x.Unordered, Regex: x.Regex, Scan: x.Scan}
		if info.Type == "" {
			info.Type, info.Regex = "string", true
		}
		out = append(out, info)
	}
	out = append(out, IndexInfo{Name: keyIndex, Type: "string", Unique: true, Regex: true})
	if k.Common == nil {
		return out
	}
	for _, b := range baseIndexes {
		if k.declared(b.info.Name) < 0 {
			info := b.info
			info.Scan = true
			out = append(out, info)
		}
	}
	return out
}

// declared is the place of an index in Indexes, -1 if it is not there.
func (k *Kind[T]) declared(name string) int {
	for i := range k.Indexes {
		if k.Indexes[i].Name == name {
			return i
		}
	}
	return -1
}

// tree is the place of an index among those that keep a tree, -1 for others.
func (k *Kind[T]) tree(name string) int {
	n := 0
	for i := range k.Indexes {
		switch {
		case !k.Indexes[i].tree():
			continue
		case k.Indexes[i].Name == name:
			return n
		}
		n++
	}
	return -1
}

// IndexHas says whether a lookup of value under the index finds the object.
func (k *Kind[T]) IndexHas(val any, index, value string) bool {
	if i := k.declared(index); i >= 0 && k.Indexes[i].Has != nil {
		return k.Indexes[i].Has(val.(*T), value)
	}
	return slices.Contains(k.IndexValues(val, index), value)
}

// Spelled is a value of an index in the form that objects have it in.
func (k *Kind[T]) Spelled(index, value string) string {
	if i := k.declared(index); i >= 0 && k.Indexes[i].Spell != nil {
		return k.Indexes[i].Spell(value)
	}
	return value
}

// IndexValues returns the object's values under one index.
func (k *Kind[T]) IndexValues(val any, index string) []string {
	v := val.(*T)
	if i := k.declared(index); i >= 0 {
		return k.Indexes[i].Of(v)
	}
	if index == keyIndex {
		return []string{k.Key(v)}
	}
	if k.Common != nil {
		for _, b := range baseIndexes {
			if b.info.Name == index {
				return []string{b.of(k.Common(v))}
			}
		}
	}
	return nil
}
