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

// table is one kind in one snapshot: objects by key, and keys by each index. A
// change thus touches only the indexes whose values it changes.
type table struct {
	main *iradix.Tree[*entry]
	idx  []*iradix.Tree[string]
}

// snapshot is everything at one instant. refs holds target -> referrer edges.
type snapshot struct {
	kinds  map[string]*kindOps
	tables []table // by kindOps.id
	refs   *iradix.Tree[edge]
	rev    *stamp
}

// table is the table of a kind, which must be declared.
func (s *snapshot) table(kind string) table { return s.tables[s.kinds[kind].id] }

type edge struct{ kind, key string }

func emptySnapshot(kinds map[string]*kindOps) *snapshot {
	s := &snapshot{kinds: kinds, tables: make([]table, len(kinds)), refs: iradix.New[edge](), rev: &stamp{}}
	for _, k := range kinds {
		t := table{main: iradix.New[*entry]()}
		for range k.indexes {
			t.idx = append(t.idx, iradix.New[string]())
		}
		s.tables[k.id] = t
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
