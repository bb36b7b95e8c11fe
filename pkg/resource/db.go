// Package resource turns records into typed, indexed, watchable objects.
//
// Every live object is in memory, in immutable snapshots: readers never lock,
// and one View is one revision of everything. Updates run one after another
// against the newest snapshot and become durable in batches (group commit): an
// Update returns only when its batch is durable, and if a batch fails, every
// update that was built on it fails too. A kind of object is one declaration,
// Kind[T]; all else is derived from it.
package resource

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"drpd/pkg/store"
)

// Hook runs in the transaction of every save of its kind, whoever saves: old is
// nil on create, new is nil on delete. It may change new, and save others.
type Hook struct {
	Kind   string
	Save   func(tx *Tx, old, new any) error
	OnLoad bool // also when the object is loaded at start (old is nil)
}

// OnSave makes a typed Hook.
func OnSave[T any](k *Kind[T], fn func(tx *Tx, old, new *T) error) Hook {
	return Hook{Kind: k.Name, Save: func(tx *Tx, old, new any) error {
		o, _ := old.(*T)
		n, _ := new.(*T)
		return fn(tx, o, n)
	}}
}

// Config opens a DB. Store and Kinds are required.
type Config struct {
	Store store.Store
	Kinds []Any
	Hooks []Hook
	Base  func(tx *Tx) error // puts in the built-in layers, before stored objects are loaded
	// Follow sees what each update changes before it is durable, and may change
	// more in the same update; of that it is not told. Nil: nothing follows.
	Follow func(tx *Tx, changes []Event) error
	// Overwritable layers give way: what the store or another layer has under
	// the same key hides their object until it is removed.
	Overwritable []string
	Now          func() time.Time // default time.Now
	Log          *slog.Logger     // default: discard
	Ring         int              // events kept for watchers, default 65536
}

// DB holds all objects. Its methods may be called from any goroutine.
type DB struct {
	cfg   Config
	kinds map[string]*kindOps
	hooks map[string][]Hook
	feed  *feed

	durable atomic.Pointer[snapshot] // newest that readers may see

	mu         sync.Mutex // guards all below
	head       *snapshot  // newest, perhaps not durable yet
	queue      []*update
	committing bool
}

// update is one Update between its function and its durability.
type update struct {
	changes []change
	snap    *snapshot
	actor   string
	err     error
	done    chan struct{}
	lead    chan struct{} // receives when this update shall commit the next batch
}

// Open loads every record of the store.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{cfg: cfg, kinds: map[string]*kindOps{}, hooks: map[string][]Hook{}, feed: newFeed(cfg.Ring)}
	for _, k := range cfg.Kinds {
		ops := k.self()
		ops.id = len(db.kinds)
		db.kinds[ops.name] = ops
	}
	for _, h := range cfg.Hooks {
		db.hooks[h.Kind] = append(db.hooks[h.Kind], h)
	}
	db.head = emptySnapshot(db.kinds)
	if err := db.load(ctx); err != nil {
		return nil, err
	}
	db.durable.Store(db.head)
	return db, nil
}

// load fills the first snapshot: built-in layers, stored records, derived state.
func (db *DB) load(ctx context.Context) error {
	tx := db.newTx(db.head)
	tx.loading = true
	if db.cfg.Base != nil {
		if err := db.cfg.Base(tx); err != nil {
			return fmt.Errorf("load built-in content: %w", err)
		}
	}
	var loaded []edge
	rev, err := db.cfg.Store.Load(ctx, func(r store.Record) error {
		if db.kinds[r.Kind] == nil {
			db.cfg.Log.Warn("record of unknown kind kept but not used", "kind", r.Kind, "key", r.Key)
			return nil
		}
		loaded = append(loaded, edge{r.Kind, r.Key})
		return tx.loadRecord(r)
	})
	if err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	for _, at := range loaded {
		if err := tx.loadHooks(at); err != nil {
			return fmt.Errorf("load %s/%s: %w", at.kind, at.key, err)
		}
	}
	if err := tx.settle(); err != nil {
		return err
	}
	tx.mark.rev = uint64(rev)
	db.head = tx.snapshot()
	return nil
}

func (tx *Tx) loadRecord(r store.Record) error {
	k := tx.db.kinds[r.Kind]
	v, err := k.decode(r.Data)
	if err != nil {
		return fmt.Errorf("record %s/%s: %w", r.Kind, r.Key, err)
	}
	k.defaults(v)
	old := tx.find(r.Kind, r.Key)
	if old != nil && !tx.givesWay(old) {
		tx.db.cfg.Log.Warn("stored object hidden by a content pack", "kind", r.Kind, "key", r.Key, "bundle", old.layer)
		return nil
	}
	stored, public, err := k.encode(v)
	if err != nil {
		return err
	}
	at := &stamp{rev: uint64(r.Rev)}
	e := &entry{key: r.Key, val: v, stored: stored, public: public, under: old, seen: at, saved: at}
	tx.reckon = append(tx.reckon, edge{r.Kind, r.Key})
	return tx.file(r.Kind, old, e, false)
}

func (tx *Tx) loadHooks(at edge) error {
	for _, h := range tx.db.hooks[at.kind] {
		if e := tx.find(at.kind, at.key); h.OnLoad && e != nil {
			if err := h.Save(tx, nil, e.val); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) runHooks(kind string, old *entry, new any) error {
	if tx.depth++; tx.depth > 8 {
		return fmt.Errorf("hooks of %s save each other's objects without end", kind)
	}
	defer func() { tx.depth-- }()
	var was any
	if old != nil {
		was = old.val
	}
	for _, h := range tx.db.hooks[kind] {
		if err := h.Save(tx, was, new); err != nil {
			return err
		}
	}
	return nil
}

// Loading says that the transaction fills the DB at start, from the built-in
// layers and the store; hooks that refuse a user's change let it pass.
func (tx *Tx) Loading() bool { return tx.loading }

// snapshot is what the transaction leaves behind: it writes nothing after.
func (tx *Tx) snapshot() *snapshot {
	s := &snapshot{kinds: tx.base.kinds, tables: slices.Clone(tx.base.tables), refs: tx.base.refs, rev: tx.mark}
	s.view.s = s
	for name, t := range tx.tabs {
		s.tables[tx.base.kinds[name].id] = table{main: t.main, idx: t.idx}
	}
	if tx.refs.m != nil {
		s.refs = tx.refs
	}
	return s
}

// View returns the newest durable state.
func (db *DB) View() *View { return &db.durable.Load().view }

// Kinds lists the declared kinds in their order, without private ones.
func (db *DB) Kinds() []Any {
	return slices.DeleteFunc(slices.Clone(db.cfg.Kinds), func(k Any) bool { return db.kinds[k.KindName()].private })
}

// Kind returns a declared kind by name, nil if there is none.
func (db *DB) Kind(name string) Any {
	for _, k := range db.cfg.Kinds {
		if k.KindName() == name {
			return k
		}
	}
	return nil
}

// Now is the DB's clock.
func (db *DB) Now() time.Time { return db.cfg.Now() }

// Now is the time of the update, for hooks.
func (tx *Tx) Now() time.Time { return tx.db.cfg.Now() }
