package resource

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"drpd/pkg/store"
)

type actorKey struct{}

// WithActor names who is behind the updates made under ctx, for events and audit.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns who is behind ctx, "drpd" for the server itself.
func Actor(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok {
		return a
	}
	return "drpd"
}

// Update runs fn over the newest state and returns when its changes are
// durable. If fn fails nothing is changed.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u, lead, err := db.stage(ctx, fn)
	if err != nil || u == nil {
		return err
	}
	if !lead {
		select {
		case <-u.done:
			return u.err
		case <-u.lead:
		}
	}
	// Whoever leads commits all that is queued, itself included, then hands on.
	db.commitBatch(context.WithoutCancel(ctx))
	return u.err
}

// errDry ends a function that would write where nothing may be written.
var errDry = errors.New("a write in a dry run")

// Idle says whether fn would change nothing, over the newest durable state and
// without holding up any update. Where it would, call Update. Whatever becomes
// durable later has events of its own, so a watcher may leave it at that.
func (db *DB) Idle(fn func(tx *Tx) error) bool {
	tx := db.newTx(db.durable.Load())
	tx.dry = true
	return fn(tx) == nil && !tx.wrote && len(tx.after) == 0
}

// mayWrite is asked before every write.
func (tx *Tx) mayWrite() error {
	if tx.dry {
		tx.wrote = true
		return errDry
	}
	return nil
}

// stage runs fn and queues what it did; lead says that the caller shall commit.
func (db *DB) stage(ctx context.Context, fn func(tx *Tx) error) (u *update, lead bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock() // also when fn panics
	tx := db.newTx(db.head)
	tx.options = optionsOf(ctx)
	guarded, also := func() error { return tx.guarded(ctx) }, func() error { return tx.also(ctx) }
	for _, do := range []func() error{func() error { return fn(tx) }, tx.runAfter, guarded, also, tx.settle, tx.follow} {
		if err := do(); err != nil {
			return nil, false, err
		}
	}
	if len(tx.changes) == 0 && len(db.queue) == 0 && !db.committing {
		return nil, false, nil
	}
	u = &update{changes: tx.changes, snap: db.head, actor: Actor(ctx), done: make(chan struct{}), lead: make(chan struct{}, 1)}
	if len(tx.changes) > 0 {
		u.snap = tx.snapshot()
		db.head = u.snap
	}
	db.queue = append(db.queue, u)
	lead = !db.committing
	db.committing = true
	return u, lead, nil
}

// follow tells Config.Follow of the changes, and finishes what it adds to them.
func (tx *Tx) follow() error {
	if tx.db.cfg.Follow == nil || len(tx.changes) == 0 {
		return nil
	}
	u := &update{changes: tx.changes, snap: tx.db.head}
	if err := tx.db.cfg.Follow(tx, events(u, 0, tx.Now())); err != nil {
		return err
	}
	if err := tx.runAfter(); err != nil {
		return err
	}
	return tx.settle()
}

// maxBatch bounds one commit: more updates wait for the next.
const maxBatch = 256

// commitBatch makes everything queued durable in one commit of the store.
func (db *DB) commitBatch(ctx context.Context) {
	// Whoever could run now may still join: one commit for more updates is what
	// makes each of them cheap.
	runtime.Gosched()
	db.mu.Lock()
	batch := db.queue[:min(len(db.queue), maxBatch)]
	db.queue = db.queue[len(batch):]
	db.mu.Unlock()
	ops := mergeOps(batch)
	var rev store.Rev
	var err error
	if len(ops) > 0 {
		rev, err = db.cfg.Store.Commit(ctx, ops)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err != nil {
		batch = append(slices.Clip(batch), db.queue...) // built on what failed
		db.queue = nil
		db.head = db.durable.Load()
	} else {
		db.publish(batch, uint64(rev))
	}
	for _, u := range batch {
		if err != nil {
			u.err = notSaved(err)
		}
		close(u.done)
	}
	if len(db.queue) > 0 {
		db.queue[0].lead <- struct{}{}
	} else {
		db.committing = false
	}
}

// notSaved words a failed commit. Nobody else writes, so a conflict means that
// an earlier commit was made although it had failed.
func notSaved(err error) *Error {
	if errors.Is(err, store.ErrConflict) {
		return Errorf(Unavailable, "", "", "not saved: the store holds changes that this server does not know: restart it (%v)", err)
	}
	return Errorf(Unavailable, "", "", "not saved: %v", err)
}

// publish stamps the batch with its revision and makes it visible, in order.
func (db *DB) publish(batch []*update, rev uint64) {
	if rev == 0 {
		rev = db.durable.Load().rev.rev
	}
	now := db.cfg.Now()
	for _, u := range batch {
		if len(u.changes) == 0 {
			continue // it only waited for what it read; its snapshot is another's
		}
		u.snap.rev.rev = rev
		db.durable.Store(u.snap)
		db.feed.add(events(u, rev, now))
	}
}

func events(u *update, rev uint64, now time.Time) []Event {
	out := make([]Event, 0, len(u.changes))
	for _, c := range u.changes {
		k := u.snap.kinds[c.kind]
		if k.private && k.known == nil {
			continue
		}
		e := Event{Rev: rev, Time: now, Type: c.kind, Key: c.key, Principal: u.actor, Action: "update"}
		switch {
		case c.old == nil && c.new == nil:
			continue
		case c.old == nil:
			e.Action = "create"
		case c.new == nil:
			e.Action = "delete"
		}
		if c.old != nil {
			e.Original, e.Old = c.old.public, c.old.val
		}
		if c.new != nil {
			e.Object, e.New = c.new.public, c.new.val
		} else {
			e.Object = c.old.public
		}
		if k.known != nil {
			e.Type, e.Key = k.known(cmp.Or(c.new, c.old).val)
		}
		out = append(out, e)
	}
	return out
}

// mergeOps folds a batch into at most one op for each record: the revision
// before the batch, the data after it.
func mergeOps(batch []*update) []store.Op {
	at := map[edge]int{}
	var ops []store.Op
	for _, u := range batch {
		for _, c := range u.changes {
			if c.derived {
				continue
			}
			id := edge{c.kind, c.key}
			i, ok := at[id]
			if !ok {
				i = len(ops)
				at[id] = i
				ops = append(ops, store.Op{Kind: c.kind, Key: c.key, If: savedRev(c.old)})
			}
			ops[i].Data = nil
			if c.new != nil && c.new.layer == "" { // a layer that took the object over is not stored
				ops[i].Data = c.new.stored
			}
		}
	}
	kept := ops[:0]
	for _, o := range ops {
		if o.If != 0 || o.Data != nil {
			kept = append(kept, o)
		}
	}
	return kept
}

func savedRev(e *entry) store.Rev {
	if e == nil || e.saved == nil {
		return 0
	}
	return store.Rev(e.saved.rev)
}
