package resource

import (
	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// stamp is a revision that becomes known when its batch is durable.
type stamp struct{ rev uint64 }

// entry is one object in memory. Entries are never changed once in a snapshot.
type entry struct {
	key    string
	val    any
	stored []byte
	public []byte
	layer  string // "" for the writable layer
	under  *entry // of an overwritable layer: comes back when this one goes
	seen   *stamp // revision of the last visible change (ETag)
	saved  *stamp // revision in the store; nil if it is not stored
}

// table is one kind in one snapshot: objects by key and by each index.
type table struct {
	main *iradix.Tree[*entry]
	idx  []*iradix.Tree[*entry]
}

// snapshot is everything at one instant. refs holds target -> referrer edges.
type snapshot struct {
	kinds  map[string]*kindOps
	tables map[string]table
	refs   *iradix.Tree[edge]
	rev    *stamp
}

type edge struct{ kind, key string }

func emptySnapshot(kinds map[string]*kindOps) *snapshot {
	s := &snapshot{kinds: kinds, tables: map[string]table{}, refs: iradix.New[edge](), rev: &stamp{}}
	for name, k := range kinds {
		t := table{main: iradix.New[*entry]()}
		for range k.indexes {
			t.idx = append(t.idx, iradix.New[*entry]())
		}
		s.tables[name] = t
	}
	return s
}

// indexKey orders by value, then by key, so that equal values iterate in key order.
func indexKey(value, key string) []byte {
	b := make([]byte, 0, len(value)+1+len(key))
	b = append(b, value...)
	b = append(b, 0)
	return append(b, key...)
}

func refKey(kind, key string) []byte {
	return append(indexKey(kind, key), 0)
}

func edgeKey(r Ref, from edge) []byte {
	b := refKey(r.Kind, r.Key)
	return append(append(append(b, from.kind...), 0), from.key...)
}
