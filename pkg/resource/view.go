package resource

import (
	"iter"
	"slices"
	"strings"
)

// Reader is anything that objects can be read from: a View or a Tx.
type Reader interface {
	find(kind, key string) *entry
	roots(kind string) (main tree[*entry], idx []indexTree)
}

// View is one durable revision of everything. It costs nothing to hold.
type View struct{ s *snapshot }

// Rev is the revision that the view shows.
func (v *View) Rev() uint64 { return v.s.rev.rev }

func (v *View) find(kind, key string) *entry {
	return v.s.table(kind).main.get(key)
}

func (v *View) roots(kind string) (tree[*entry], []indexTree) {
	t := v.s.table(kind)
	return t.main, t.idx
}

// Get returns the object with that key: shared, read only.
func (k *Kind[T]) Get(r Reader, key string) (*T, error) {
	e := r.find(k.Name, key)
	if e == nil {
		return nil, Errorf(NotFound, k.Name, key, "not found")
	}
	return e.val.(*T), nil
}

// Has says whether the key exists.
func (k *Kind[T]) Has(r Reader, key string) bool { return r.find(k.Name, key) != nil }

// All yields every object in key order: shared, read only.
func (k *Kind[T]) All(r Reader) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		main, _ := r.roots(k.Name)
		main.walk("", func(_ string, e *entry) bool { return yield(e.val.(*T)) })
	}
}

// By yields the objects that have value under the index, in key order.
func (k *Kind[T]) By(r Reader, index, value string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		k.eachBy(r, index, value, func(e *entry) bool { return yield(e.val.(*T)) })
	}
}

// One returns the object that has value under the index, nil if none has.
func (k *Kind[T]) One(r Reader, index, value string) *T {
	for o := range k.By(r, index, value) {
		return o
	}
	return nil
}

// Len counts the objects.
func (k *Kind[T]) Len(r Reader) int {
	main, _ := r.roots(k.Name)
	return main.len()
}

func (k *Kind[T]) eachBy(r Reader, index, value string, yield func(*entry) bool) {
	main, idx := r.roots(k.Name)
	value = k.Spelled(index, value)
	if i := k.tree(index); i >= 0 {
		idx[i].walk(indexKey(value, ""), func(at string, _ struct{}) bool {
			return yield(main.get(keyIn(at))) // of the same instant as the index
		})
		return
	}
	i := k.declared(index)
	if index == keyIndex || i >= 0 && k.Indexes[i].Primary {
		if e := r.find(k.Name, value); e != nil {
			yield(e)
		}
		return
	}
	if i < 0 && !slices.Contains(k.IndexNames(), index) {
		panic("resource: " + k.Name + " has no index " + index)
	}
	main.walk("", func(_ string, e *entry) bool {
		return !k.IndexHas(e.val, index, value) || yield(e)
	})
}

// Lookup finds an object by key or by "Index:value" over a declared index.
func (k *Kind[T]) Lookup(r Reader, ref string) (Object, error) {
	if e := r.find(k.Name, ref); e != nil {
		return e.object(k.Name), nil
	}
	if len(k.Indexes) > 0 && k.Indexes[0].Primary && k.Indexes[0].Spell != nil {
		if e := r.find(k.Name, k.Indexes[0].Spell(ref)); e != nil {
			return e.object(k.Name), nil
		}
	}
	if index, value, ok := strings.Cut(ref, ":"); ok {
		i := k.declared(index)
		if index == keyIndex || i >= 0 && k.Indexes[i].Unique {
			for o := range k.EachBy(r, index, value) {
				return o, nil
			}
		}
	}
	return Object{}, Errorf(NotFound, k.Name, ref, "not found")
}

// Each yields every object in key order.
func (k *Kind[T]) Each(r Reader) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		main, _ := r.roots(k.Name)
		main.walk("", func(_ string, e *entry) bool { return yield(e.object(k.Name)) })
	}
}

// EachBy yields the objects with value under a declared index.
func (k *Kind[T]) EachBy(r Reader, index, value string) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		k.eachBy(r, index, value, func(e *entry) bool { return yield(e.object(k.Name)) })
	}
}

func (e *entry) object(kind string) Object {
	return Object{Kind: kind, Key: e.key, Val: e.val, JSON: e.public, Rev: e.seen.rev}
}
