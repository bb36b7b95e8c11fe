package engine

import (
	"slices"
	"time"

	"drpd/pkg/resource"
)

// Wait is the stored reason why one object does not move under one rule.
type Wait struct {
	Id        string // rule kind key
	Rule      string
	Object    string // kind/key
	Waiting   string
	Since     time.Time
	Until     time.Time `json:",omitzero"` // looked at again then
	Tries     int       `json:",omitempty"`
	LastError string    `json:",omitempty"`
}

// Waits by Id; ByObject finds all reasons of one object.
var Waits = &resource.Kind[Wait]{
	Name: "waits", Key: func(w *Wait) string { return w.Id }, Sealed: true,
	Indexes: []resource.Index[Wait]{{Name: ByObject, Of: func(w *Wait) []string { return []string{w.Object} }}},
	Engine:  []string{"Id", "Rule", "Object", "Waiting", "Since", "Until", "Tries", "LastError"},
}

// ByObject is the index of Waits by "kind/key".
const ByObject = "Object"

// Reasons are all reasons of one object: those stored, and the Brief ones that
// hold now.
func (e *Engine) Reasons(kind, key string) []*Wait {
	out := slices.Collect(Waits.By(e.cfg.DB.View(), ByObject, kind+"/"+key))
	now := e.cfg.Now()
	for _, r := range e.cfg.Rules {
		stored := slices.ContainsFunc(out, func(w *Wait) bool { return w.Id == waitID(r, key) })
		if stored || r.Kind.KindName() != kind {
			continue
		}
		var res Result
		idle := e.cfg.DB.Idle(func(tx *resource.Tx) (err error) {
			res, err = r.Step(tx, now, key)
			return err
		})
		if idle && res.Brief {
			out = append(out, &Wait{Id: waitID(r, key), Rule: r.Name, Object: kind + "/" + key, Waiting: res.Waiting, Since: now, Until: res.Until})
		}
	}
	return out
}

func waitID(r Rule, key string) string { return r.Name + " " + r.Kind.KindName() + " " + key }

// waitOf copies the stored reason, or starts one.
func waitOf(tx *resource.Tx, r Rule, key string) *Wait {
	if w, err := Waits.Get(tx, waitID(r, key)); err == nil {
		c := *w
		return &c
	}
	return &Wait{Id: waitID(r, key), Rule: r.Name, Object: r.Kind.KindName() + "/" + key}
}

func clearWait(tx *resource.Tx, r Rule, key string) error {
	if !Waits.Has(tx, waitID(r, key)) {
		return nil
	}
	return Waits.Delete(tx, waitID(r, key))
}

// clearOther removes a stored reason other than the present one.
func clearOther(tx *resource.Tx, r Rule, key string, res Result) error {
	if waitOf(tx, r, key).Waiting == res.Waiting {
		return nil
	}
	return clearWait(tx, r, key)
}

// saveWait keeps the reason; Since stays while the reason stays the same, and
// the last error survives a retry, until the object moves.
func saveWait(tx *resource.Tx, now time.Time, r Rule, key string, res Result) error {
	if res.Waiting == "" {
		return clearWait(tx, r, key)
	}
	w := waitOf(tx, r, key)
	if w.Waiting == res.Waiting && w.Until.Equal(res.Until) {
		return nil
	}
	if w.Waiting != res.Waiting {
		w.Waiting, w.Since, w.Tries = res.Waiting, now, 0
	}
	w.Until = res.Until
	return Waits.Put(tx, w)
}

// Forget removes all reasons that were stored under a rule's name: those of an
// earlier process of the server.
func Forget(tx *resource.Tx, rule string) error {
	var old []string
	for w := range Waits.All(tx) {
		if w.Rule == rule {
			old = append(old, w.Id)
		}
	}
	for _, id := range old {
		if err := Waits.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}
