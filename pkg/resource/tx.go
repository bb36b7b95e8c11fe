package resource

import (
	"fmt"
	"slices"
	"strings"
)

// Tx is one update in the making: it sees the newest state and its own changes.
// Functions that get a Tx do no I/O and finish at once, since updates run one
// after another.
type Tx struct {
	db      *DB
	base    *snapshot
	tabs    map[string]*txTable
	refs    tree[edge] // of our own once they change
	changes []change
	touched map[edge]int // position in changes
	reckon  []edge       // whose availability must be looked at
	mark    *stamp
	loading bool
	dry     bool // writes nothing; wrote says that it was tried
	wrote   bool
	options Options
	depth   int
	after   []func() error
}

// txTable is one kind within a Tx that writes it.
type txTable struct {
	base table
	main tree[*entry]
	idx  []indexTree // those of base until they change
}

// index returns an index to be written.
func (t *txTable) index(i int) indexTree {
	if t.idx[i] == t.base.idx[i] {
		t.idx[i] = t.base.idx[i].fork()
	}
	return t.idx[i]
}

// freeze returns the table as it is now, whatever is written later.
func (t *txTable) freeze() table {
	out := table{main: t.main.fork(), idx: slices.Clone(t.idx)}
	for i, x := range t.idx {
		if x != t.base.idx[i] {
			out.idx[i] = x.fork()
		}
	}
	return out
}

// change is the effect of the whole Tx on one object. derived changes (what a
// content layer holds, or availability) are not stored.
type change struct {
	kind     string
	key      string
	old, new *entry
	derived  bool
}

func (db *DB) newTx(base *snapshot) *Tx {
	return &Tx{db: db, base: base, mark: &stamp{}}
}

func (tx *Tx) find(kind, key string) *entry {
	if t, ok := tx.tabs[kind]; ok {
		return t.main.get(key)
	}
	return tx.base.table(kind).main.get(key)
}

func (tx *Tx) roots(kind string) (tree[*entry], []indexTree) {
	t, ok := tx.tabs[kind]
	if !ok {
		b := tx.base.table(kind)
		return b.main, b.idx
	}
	now := t.freeze()
	return now.main, now.idx
}

func (tx *Tx) table(kind string) *txTable {
	if t, ok := tx.tabs[kind]; ok {
		return t
	}
	b := tx.base.table(kind)
	t := &txTable{base: b, main: b.main.fork(), idx: slices.Clone(b.idx)}
	if tx.tabs == nil {
		tx.tabs = map[string]*txTable{}
	}
	tx.tabs[kind] = t
	return t
}

// Create adds an object; it is a Conflict if the key exists.
func (k *Kind[T]) Create(tx *Tx, v *T) error { return tx.put(k.Name, v, mustCreate, "") }

// Put adds or replaces an object.
func (k *Kind[T]) Put(tx *Tx, v *T) error { return tx.put(k.Name, v, mayCreate, "") }

// Modify changes a copy of the object and puts it back. If fn fails, or
// changes nothing, nothing is written.
func (k *Kind[T]) Modify(tx *Tx, key string, fn func(*T) error) error {
	old, err := k.Get(tx, key)
	if err != nil {
		return err
	}
	c, err := tx.db.kinds[k.Name].copy(old)
	if err != nil {
		return err
	}
	if err := fn(c.(*T)); err != nil {
		return err
	}
	return tx.put(k.Name, c, mustReplace, "")
}

// Delete removes an object; a Conflict names who still needs it.
func (k *Kind[T]) Delete(tx *Tx, key string) error { return tx.remove(k.Name, key, "") }

// CreateAny is Create for generic callers.
func (k *Kind[T]) CreateAny(tx *Tx, val any) error { return tx.put(k.Name, val, mustCreate, "") }

// ReplaceAny replaces an existing object, for generic callers.
func (k *Kind[T]) ReplaceAny(tx *Tx, val any) error { return tx.put(k.Name, val, mustReplace, "") }

// LayerAny puts an object into a read-only content layer: held in memory, not stored.
func (k *Kind[T]) LayerAny(tx *Tx, layer string, val any) error {
	c := k.CommonOf(val)
	if c != nil {
		c.ReadOnly, c.Bundle = true, layer
	}
	return tx.put(k.Name, val, mayCreate, layer)
}

// RemoveLayer takes every object of a content layer out of memory.
func (tx *Tx) RemoveLayer(layer string) error {
	for kind := range tx.db.kinds {
		main, _ := tx.roots(kind)
		var keys []string
		main.walk("", func(_ string, e *entry) bool {
			if e.layer == layer {
				keys = append(keys, e.key)
			}
			return true
		})
		for _, key := range keys {
			if err := tx.remove(kind, key, layer); err != nil {
				return err
			}
		}
	}
	return nil
}

// TakeIntoLayer is LayerAny that also takes over an object of the writable
// layer: its record leaves the store.
func (tx *Tx) TakeIntoLayer(k Any, layer string, val any) error {
	if c := k.CommonOf(val); c != nil {
		c.ReadOnly, c.Bundle = true, layer
	}
	return tx.put(k.KindName(), val, mayTake, layer)
}

// RemoveFromLayer takes one object out of a content layer.
func (tx *Tx) RemoveFromLayer(layer, kind, key string) error { return tx.remove(kind, key, layer) }

type putMode int

const (
	mustCreate putMode = iota
	mustReplace
	mayCreate
	mayTake // also what the writable layer has
)

// put checks, defaults, runs the hooks and files one object.
func (tx *Tx) put(kind string, v any, mode putMode, layer string) error {
	if err := tx.mayWrite(); err != nil {
		return err
	}
	k := tx.db.kinds[kind]
	k.defaults(v)
	key := k.key(v)
	old := tx.find(kind, key)
	if err := tx.allowed(kind, key, old, mode, layer); err != nil {
		return err
	}
	if err := tx.runHooks(kind, old, v); err != nil {
		return err
	}
	if msgs := append(k.validate(v), k.fit(tx, v)...); len(msgs) > 0 {
		return &Error{Code: Invalid, Kind: kind, Key: key, Msgs: msgs}
	}
	if c := k.common(v); c != nil {
		c.Validated = true
		if old != nil {
			was := k.common(old.val)
			c.Available, c.Errors = was.Available, was.Errors
		} else {
			c.Available, c.Errors = true, []string{}
		}
		if layer == "" {
			c.ReadOnly, c.Bundle = false, ""
		}
	}
	stored, public, err := k.encode(v)
	if err != nil {
		return err
	}
	if old != nil && old.layer == layer && slices.Equal(stored, old.stored) {
		return nil
	}
	e := &entry{key: key, val: v, stored: stored, public: public, layer: layer, under: tx.beneath(old, layer), seen: tx.mark}
	if layer == "" && !k.virtual {
		e.saved = tx.mark
	}
	unsaved := old == nil || old.saved == nil
	if err := tx.file(kind, old, e, layer != "" && unsaved || k.virtual); err != nil {
		return err
	}
	tx.reckon = append(tx.reckon, edge{kind, key})
	return nil
}

// givesWay says whether the entry is of an overwritable layer.
func (tx *Tx) givesWay(e *entry) bool {
	return e.layer != "" && slices.Contains(tx.db.cfg.Overwritable, e.layer)
}

// beneath is what an entry of layer, put in old's place, hides.
func (tx *Tx) beneath(old *entry, layer string) *entry {
	switch {
	case old == nil:
		return nil
	case old.layer != layer && tx.givesWay(old):
		return old
	}
	return old.under
}

func (tx *Tx) allowed(kind, key string, old *entry, mode putMode, layer string) error {
	switch {
	case key == "":
		return Errorf(Malformed, kind, "", "Empty key not allowed")
	case strings.IndexByte(key, 0) >= 0 || len(key) > 512:
		return Errorf(Invalid, kind, "", "a key has at most 512 bytes and no NUL")
	case old == nil && mode == mustReplace:
		return Errorf(NotFound, kind, key, "not found")
	case old != nil && mode == mustCreate:
		return Errorf(Conflict, kind, key, "already exists")
	case old != nil && old.layer != layer && layer != "" && tx.givesWay(old):
		return nil
	case old != nil && old.layer != layer && old.layer != "":
		return Errorf(Conflict, kind, key, "belongs to content pack %s, which is read only: copy it under another name", old.layer)
	case old != nil && old.layer != layer && mode != mayTake:
		return Errorf(Conflict, kind, key, "exists outside content pack %s: delete or rename it first", layer)
	}
	return nil
}

func (tx *Tx) remove(kind, key, layer string) error {
	if err := tx.mayWrite(); err != nil {
		return err
	}
	old := tx.find(kind, key)
	if old == nil {
		return Errorf(NotFound, kind, key, "not found")
	}
	if old.layer != layer {
		return Errorf(Conflict, kind, key, "belongs to content pack %s, which is read only", old.layer)
	}
	if layer == "" && old.under == nil {
		if why := tx.db.kinds[kind].stays(old.val); why != "" {
			return Errorf(Conflict, kind, key, "cannot be deleted: %s", why)
		}
		if users := tx.keepers(kind, key); len(users) > 0 {
			return Errorf(Conflict, kind, key, "still in use by %s", some(users))
		}
	}
	if err := tx.runHooks(kind, old, nil); err != nil {
		return err
	}
	var back *entry
	if old.under != nil {
		again := *old.under
		again.seen, back = tx.mark, &again
	}
	if err := tx.file(kind, old, back, layer != "" || tx.db.kinds[kind].virtual); err != nil {
		return err
	}
	tx.reckon = append(tx.reckon, edge{kind, key})
	return nil
}

// some lists the first few, and says how many more there are.
func some(list []string) string {
	const most = 10
	if n := len(list) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), n)
	}
	return strings.Join(list, ", ")
}

// file puts new in old's place in the tables, the indexes and the list of changes.
func (tx *Tx) file(kind string, old, new *entry, derived bool) error {
	t, k := tx.table(kind), tx.db.kinds[kind]
	for i, x := range k.indexes {
		if err := refile(t, i, x, kind, old, new); err != nil {
			return err
		}
	}
	if new == nil {
		t.main.m.Delete(old.key)
	} else {
		t.main.m.Set(new.key, new)
	}
	tx.refileRefs(k, old, new)
	tx.record(kind, old, new, derived)
	return nil
}

func (tx *Tx) record(kind string, old, new *entry, derived bool) {
	at := new
	if at == nil {
		at = old
	}
	id := edge{kind, at.key}
	if i, ok := tx.touched[id]; ok {
		tx.changes[i].new = new
		tx.changes[i].derived = tx.changes[i].derived && derived
		return
	}
	if tx.touched == nil {
		tx.touched = map[edge]int{}
	}
	tx.touched[id] = len(tx.changes)
	tx.changes = append(tx.changes, change{kind: kind, key: at.key, old: old, new: new, derived: derived})
}

// refile moves one object in one index; values that stay cost nothing.
func refile(t *txTable, i int, x erasedIndex, kind string, old, new *entry) error {
	var was, is []string
	if old != nil {
		was = x.of(old.val)
	}
	if new != nil {
		is = x.of(new.val)
	}
	for _, v := range was {
		if !slices.Contains(is, v) {
			t.index(i).m.Delete(indexKey(v, old.key))
		}
	}
	for _, v := range is {
		if slices.Contains(was, v) {
			continue
		}
		if x.unique && v != "" {
			if other := firstOther(t.index(i), v, new.key); other != "" {
				return Errorf(Conflict, kind, new.key, "%s %q is already used by %s", x.name, v, other)
			}
		}
		t.index(i).m.Set(indexKey(v, new.key), struct{}{})
	}
	return nil
}

func firstOther(t indexTree, value, key string) (other string) {
	t.walk(indexKey(value, ""), func(at string, _ struct{}) bool {
		if other = keyIn(at); other == key {
			other = ""
		}
		return other == ""
	})
	return other
}

// After runs fn at the end of the transaction, when everything else is done:
// for a hook whose consequence must wait until its own object is filed.
func (tx *Tx) After(fn func() error) { tx.after = append(tx.after, fn) }

func (tx *Tx) runAfter() error {
	for len(tx.after) > 0 {
		fn := tx.after[0]
		tx.after = tx.after[1:]
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}
