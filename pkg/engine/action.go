package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"drpd/pkg/resource"
)

// Action carries out the effects that objects of one kind stand for. Do bears
// being repeated: after a crash it runs again for whatever is still due.
type Action[T any] struct {
	Name string
	Kind *resource.Kind[T]
	// Due says whether the object waits for Do, or when to look again.
	Due func(o *T, now time.Time) (due bool, at time.Time)
	// Claim marks the object as in hand, durably, before Do touches anything.
	Claim func(o *T, now time.Time)
	// Do works outside any transaction; change is then applied to the object.
	Do       func(ctx context.Context, o *T) (change func(*T) error)
	Timeout  time.Duration
	Parallel int // default 1
}

// Runner is an Action with its type erased.
type Runner interface {
	run(ctx context.Context, cfg Config) error
}

func (a Action[T]) run(ctx context.Context, cfg Config) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(a.Parallel, 1) + 1)
	inHand := &keySet{keys: map[string]bool{}, freed: make(chan struct{}, 1)}
	for ctx.Err() == nil {
		after := cfg.DB.Seq()
		next := a.startDue(ctx, cfg, g, inHand)
		a.await(ctx, cfg, after, next, inHand.freed)
	}
	return g.Wait()
}

// startDue starts Do for everything that is due and returns the next time to look.
func (a Action[T]) startDue(ctx context.Context, cfg Config, g *errgroup.Group, inHand *keySet) time.Time {
	var next time.Time
	now := cfg.Now()
	for o := range a.Kind.All(cfg.DB.View()) {
		due, at := a.Due(o, now)
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
		key := a.Kind.Key(o)
		if !due || !inHand.add(key) {
			continue
		}
		g.Go(func() error {
			defer inHand.remove(key)
			err := a.one(ctx, cfg, key)
			if err != nil && !errors.Is(err, errNotDue) && ctx.Err() == nil {
				cfg.Log.Error("action not recorded, tried again", "action", a.Name, "key", key, "err", err)
				pause(ctx, Backoff(1))
			}
			return nil
		})
	}
	return next
}

// one claims the object, does it and stores the outcome.
func (a Action[T]) one(ctx context.Context, cfg Config, key string) error {
	var o *T
	err := cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		err := a.Kind.Modify(tx, key, func(c *T) error {
			if due, _ := a.Due(c, cfg.Now()); !due {
				return errNotDue
			}
			a.Claim(c, cfg.Now())
			return nil
		})
		if err == nil {
			o, err = a.Kind.Get(tx, key)
		}
		return err
	})
	if err != nil {
		return err
	}
	dctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	change := a.Do(dctx, o)
	if ctx.Err() != nil {
		return nil // shutting down: it is still claimed and will be repeated
	}
	return cfg.DB.Update(ctx, func(tx *resource.Tx) error { return a.Kind.Modify(tx, key, change) })
}

// errNotDue: somebody settled the object before it was claimed.
var errNotDue = errors.New("no longer due")

// await returns when an object of the kind changed, next has come, or a key is
// no longer in hand: its last event may have come while it still was, and of a
// claim or an outcome that was not stored no event tells.
func (a Action[T]) await(ctx context.Context, cfg Config, after uint64, next time.Time, freed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer cancel()
	listener.Go(func() {
		select {
		case <-ctx.Done():
		case <-freed:
			cancel()
		}
	})
	if !next.IsZero() {
		t := time.AfterFunc(max(next.Sub(cfg.Now()), 10*time.Millisecond), cancel)
		defer t.Stop()
	}
	for evs, err := range cfg.DB.Watch(ctx, after, resource.OfKinds(a.Kind.Name)) {
		if err != nil {
			return
		}
		if len(evs) > 0 {
			return
		}
	}
}

type keySet struct {
	freed chan struct{} // receives after a key was removed

	mu   sync.Mutex // guards keys
	keys map[string]bool
}

func (s *keySet) add(k string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[k] {
		return false
	}
	s.keys[k] = true
	return true
}

func (s *keySet) remove(k string) {
	s.mu.Lock()
	delete(s.keys, k)
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
