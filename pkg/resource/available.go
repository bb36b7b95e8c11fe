package resource

import (
	"fmt"
	"slices"
)

// ownRefs are the references to be written.
func (tx *Tx) ownRefs() tree[edge] {
	if tx.refs.m == nil {
		tx.refs = tx.base.refs.fork()
	}
	return tx.refs
}

// refileRefs keeps the edges target -> referrer in step with one object.
func (tx *Tx) refileRefs(k *kindOps, old, new *entry) {
	var was, is []Ref
	if old != nil {
		was = k.refs(old.val)
	}
	if new != nil {
		is = k.refs(new.val)
	}
	for _, r := range was {
		if !hasRef(is, r) {
			tx.ownRefs().m.Delete(edgeKey(r, edge{k.name, old.key}))
		}
	}
	for _, r := range is {
		if from := (edge{k.name, new.key}); !hasRef(was, r) {
			tx.ownRefs().m.Set(edgeKey(r, from), from)
		}
	}
}

func hasRef(list []Ref, r Ref) bool {
	return slices.ContainsFunc(list, func(o Ref) bool { return o.Kind == r.Kind && o.Key == r.Key })
}

// referrers lists who refers to an object.
func (tx *Tx) referrers(kind, key string) []edge {
	refs := tx.base.refs
	if tx.refs.m != nil {
		refs = tx.refs
	}
	var out []edge
	refs.walk(refKey(kind, key), func(_ string, e edge) bool {
		out = append(out, e)
		return true
	})
	return out
}

// RefsOf lists what an object needs, nothing if it is not there.
func (tx *Tx) RefsOf(kind, key string) []Ref {
	e, k := tx.find(kind, key), tx.db.kinds[kind]
	if e == nil || k == nil {
		return nil
	}
	return k.refs(e.val)
}

// keepers lists referrers whose Ref forbids deleting the target.
func (tx *Tx) keepers(kind, key string) []string {
	var out []string
	for _, from := range tx.referrers(kind, key) {
		e := tx.find(from.kind, from.key)
		if e == nil {
			continue
		}
		for _, r := range tx.db.kinds[from.kind].refs(e.val) {
			if r.Keep && r.Kind == kind && r.Key == key {
				out = append(out, from.kind+"/"+from.key)
				break
			}
		}
	}
	return out
}

// settle recomputes Available for what changed and for what depends on it, and
// for nothing else.
func (tx *Tx) settle() error {
	// Each object may flip a few times while its targets settle; a longer walk
	// means that objects refer to each other in a circle.
	for n := 0; len(tx.reckon) > 0; n++ {
		if n > 1000 && n > 20*tx.size() {
			return Errorf(Invalid, tx.reckon[0].kind, tx.reckon[0].key, "refers to itself through other objects")
		}
		at := tx.reckon[0]
		tx.reckon = tx.reckon[1:]
		if err := tx.settleOne(at); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) size() int {
	n := 0
	for _, t := range tx.base.tables {
		n += t.main.len()
	}
	return n + len(tx.changes)
}

func (tx *Tx) settleOne(at edge) error {
	k := tx.db.kinds[at.kind]
	e := tx.find(at.kind, at.key)
	if e == nil || k.common(e.val) == nil {
		tx.reckon = append(tx.reckon, tx.referrers(at.kind, at.key)...)
		return nil
	}
	msgs := tx.problems(k, e)
	c := k.common(e.val)
	first := len(tx.changes) > 0 && tx.isChanged(at)
	if slices.Equal(msgs, c.Errors) && c.Available == (len(msgs) == 0) {
		if first {
			tx.reckon = append(tx.reckon, tx.unsettled(at)...)
		}
		return nil
	}
	if err := tx.derive(k, e, msgs); err != nil {
		return err
	}
	tx.reckon = append(tx.reckon, tx.referrers(at.kind, at.key)...)
	return nil
}

func (tx *Tx) isChanged(at edge) bool { _, ok := tx.touched[at]; return ok }

// unsettled lists the referrers that a changed and available object may matter
// to: all of them if it was not there or not available before the transaction,
// else those that check its contents.
func (tx *Tx) unsettled(at edge) []edge {
	was := tx.changes[tx.touched[at]].old
	isNew := was == nil || !tx.db.kinds[at.kind].common(was.val).Available
	var out []edge
	for _, from := range tx.referrers(at.kind, at.key) {
		e := tx.find(from.kind, from.key)
		if e == nil {
			continue
		}
		if isNew || tx.checks(from.kind, e, at) {
			out = append(out, from)
		}
	}
	return out
}

func (tx *Tx) checks(kind string, e *entry, at edge) bool {
	return slices.ContainsFunc(tx.db.kinds[kind].refs(e.val), func(r Ref) bool {
		return r.Check != nil && r.Kind == at.kind && r.Key == at.key
	})
}

// Unfit says which of the things that the object refers to are not there, or
// not of the right sort, in the transaction; what is only not available yet
// does not count.
func (k *Kind[T]) Unfit(tx *Tx, val any) (msgs []string) {
	for _, r := range tx.db.kinds[k.Name].refs(val) {
		if msg, waits := tx.lacks(r); msg != "" && !waits {
			msgs = append(msgs, msg)
		}
	}
	return msgs
}

// problems says why an object cannot be used now.
func (tx *Tx) problems(k *kindOps, e *entry) []string {
	msgs := []string{}
	for _, r := range k.refs(e.val) {
		if msg, _ := tx.lacks(r); msg != "" {
			msgs = append(msgs, msg)
		}
	}
	slices.Sort(msgs)
	return slices.Compact(msgs)
}

// lacks says why a reference cannot be used, "" if it can; waits: its target
// is there.
func (tx *Tx) lacks(r Ref) (msg string, waits bool) {
	target := tx.find(r.Kind, r.Key)
	if target == nil {
		return fmt.Sprintf("%s %q does not exist", singular(r.Kind), r.Key), false
	}
	if c := tx.db.kinds[r.Kind].common(target.val); c != nil && !c.Available {
		return fmt.Sprintf("%s %q is not available", singular(r.Kind), r.Key), true
	}
	if r.Check == nil {
		return "", false
	}
	return r.Check(target.val), false
}

// derive files a copy of the object with its new availability, without a store
// operation: after a restart it is computed again.
func (tx *Tx) derive(k *kindOps, e *entry, msgs []string) error {
	v, err := k.copy(e.val)
	if err != nil {
		return err
	}
	c := k.common(v)
	c.Available, c.Errors = len(msgs) == 0, msgs
	stored, public, err := k.encode(v)
	if err != nil {
		return err
	}
	n := &entry{key: e.key, val: v, stored: stored, public: public, layer: e.layer, under: e.under, seen: tx.mark, saved: e.saved}
	return tx.file(k.name, e, n, true)
}

func singular(kind string) string {
	if len(kind) > 1 && kind[len(kind)-1] == 's' {
		return kind[:len(kind)-1]
	}
	return kind
}
