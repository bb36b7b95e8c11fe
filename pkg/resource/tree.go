package resource

import (
	"strings"

	"github.com/tidwall/btree"
)

// tree is a sorted map with string keys. Versions share what they have in
// common: a write copies the nodes on its path and leaves other versions as
// they are. Any number of goroutines may read a tree that nobody writes.
type tree[V any] struct{ m *btree.Map[string, V] }

// treeDegree makes nodes of at most 31 entries: larger ones make a write copy
// more, smaller ones make paths longer.
const treeDegree = 16

func newTree[V any]() tree[V] { return tree[V]{btree.NewMap[string, V](treeDegree)} }

// fork returns a version to be written. Only the goroutine that writes may
// fork; reads of t may go on meanwhile.
func (t tree[V]) fork() tree[V] { return tree[V]{t.m.IsoCopy()} }

func (t tree[V]) get(key string) V {
	v, _ := t.m.Get(key)
	return v
}

func (t tree[V]) len() int { return t.m.Len() }

// walk visits the entries whose keys begin with prefix, in order. The tree must
// not be written meanwhile.
func (t tree[V]) walk(prefix string, yield func(key string, v V) bool) {
	t.m.Ascend(prefix, func(key string, v V) bool {
		return strings.HasPrefix(key, prefix) && yield(key, v)
	})
}

// indexTree is an index: what indexKey makes of value and key of each object.
type indexTree = tree[struct{}]

// indexKey orders by value, then by key, so that equal values iterate in key
// order. Keys hold no NUL.
func indexKey(value, key string) string { return value + "\x00" + key }

// keyIn is the object's key in an index key.
func keyIn(indexKey string) string { return indexKey[strings.LastIndexByte(indexKey, 0)+1:] }
