package resource

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
	main tree[*entry]
	idx  []indexTree
}

// snapshot is everything at one instant. refs holds target -> referrer edges.
type snapshot struct {
	kinds  map[string]*kindOps
	tables []table // by kindOps.id
	refs   tree[edge]
	rev    *stamp
	view   View // of itself
}

// table is the table of a kind, which must be declared.
func (s *snapshot) table(kind string) table { return s.tables[s.kinds[kind].id] }

type edge struct{ kind, key string }

func emptySnapshot(kinds map[string]*kindOps) *snapshot {
	s := &snapshot{kinds: kinds, tables: make([]table, len(kinds)), refs: newTree[edge](), rev: &stamp{}}
	s.view.s = s
	for _, k := range kinds {
		t := table{main: newTree[*entry]()}
		for range k.indexes {
			t.idx = append(t.idx, newTree[struct{}]())
		}
		s.tables[k.id] = t
	}
	return s
}

func refKey(kind, key string) string { return kind + "\x00" + key + "\x00" }

func edgeKey(r Ref, from edge) string { return refKey(r.Kind, r.Key) + from.kind + "\x00" + from.key }
