package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/resource"
	"drpd/pkg/store"
	"drpd/pkg/store/mem"
)

// toy is what the rules and actions of these tests work on.
type toy struct {
	Name, State string
	Tries       int
	Next        time.Time
}

type rig struct {
	db    *resource.DB
	toys  *resource.Kind[toy]
	store *store.Faulty
	seen  *diary
}

// diary notes when something happened, in seconds since the start.
type diary struct {
	mu    sync.Mutex // guards notes
	start time.Time
	notes []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, fmt.Sprintf("%v ", time.Since(d.start).Round(time.Second))+fmt.Sprintf(format, args...))
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Compact(d.notes) // steps may be run twice
	d.notes = nil
	return out
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{toys: &resource.Kind[toy]{Name: "toys", Key: func(o *toy) string { return o.Name }},
		store: store.NewFaulty(mem.New(mem.Config{}), store.Faults{}), seen: &diary{start: time.Now()}}
	var err error
	r.db, err = resource.Open(t.Context(), resource.Config{Store: r.store, Kinds: []resource.Any{r.toys, Waits}})
	require.NoError(t, err)
	return r
}

// run starts an engine; the function returned stops it and waits for its end.
func (r *rig) run(t *testing.T, rules []Rule, actions ...Runner) func() {
	t.Helper()
	e, err := New(Config{DB: r.db, Rules: rules, Actions: actions})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, e.Run(ctx)) })
	return func() { cancel(); wg.Wait() }
}

func (r *rig) put(t *testing.T, o toy) {
	t.Helper()
	require.NoError(t, r.db.Update(t.Context(), func(tx *resource.Tx) error { return r.toys.Put(tx, &o) }))
}

func (r *rig) wait(key string) Wait {
	w, err := Waits.Get(r.db.View(), "rule toys "+key)
	if err != nil {
		return Wait{}
	}
	return *w
}

func (r *rig) rule(step Step) []Rule { return []Rule{{Name: "rule", Kind: r.toys, Step: step}} }

func TestBackoff(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 8: time.Minute, 1 << 40: time.Minute} {
		assert.Equal(t, want, Backoff(n), "after failure %d", n)
	}
}

func TestFailingStepBacksOffAndKeepsItsReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a"})
		stop := r.run(t, r.rule(func(tx *resource.Tx, _ time.Time, key string) (Result, error) {
			o, _ := r.toys.Get(tx, key)
			r.seen.note("%s", o.State)
			switch o.State {
			case "":
				return Result{}, errors.New("no luck")
			case "waits":
				return Result{Waiting: "for Godot"}, nil
			}
			return Result{}, nil
		}))
		defer stop()
		time.Sleep(20 * time.Second)
		assert.Equal(t, []string{"0s ", "1s ", "3s ", "7s ", "15s "}, r.seen.read())
		assert.Equal(t, Wait{Id: "rule toys a", Rule: "rule", Object: "toys/a", Since: r.wait("a").Since, Tries: 5, LastError: "no luck",
			Until: r.seen.start.Add(31 * time.Second)}, r.wait("a"))
		r.put(t, toy{Name: "a", State: "waits"}) // an event does not wait for the back-off
		synctest.Wait()
		assert.Equal(t, []string{"20s waits"}, r.seen.read())
		w := r.wait("a")
		assert.Equal(t, "for Godot", w.Waiting)
		assert.Zero(t, w.Tries)
		assert.Zero(t, w.Until)
		time.Sleep(time.Hour)
		assert.Empty(t, r.seen.read(), "the old timer is off")
		r.put(t, toy{Name: "a", State: "moved"})
		synctest.Wait()
		assert.Equal(t, Wait{}, r.wait("a"), "what moved waits for nothing")
	})
}

func TestStepIsLookedAtAgainAtUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a"})
		stop := r.run(t, r.rule(func(_ *resource.Tx, now time.Time, key string) (Result, error) {
			r.seen.note("%s", key)
			return Result{Waiting: "for its time", Until: now.Add(10 * time.Minute)}, nil
		}))
		time.Sleep(25 * time.Minute)
		assert.Equal(t, []string{"0s a", "10m0s a", "20m0s a"}, r.seen.read())
		assert.Equal(t, r.seen.start, r.wait("a").Since.Local(), "the reason has stayed the same")
		stop()
		time.Sleep(time.Hour)
		assert.Empty(t, r.seen.read())
		defer r.run(t, r.rule(func(_ *resource.Tx, _ time.Time, key string) (Result, error) {
			r.seen.note("again %s", key)
			return Result{}, nil
		}))()
		synctest.Wait()
		assert.Equal(t, []string{"1h25m0s again a"}, r.seen.read(), "everything is looked at after a restart")
	})
}

// TestOneWorkerForEachKey holds a commit so that a step stays in hand, touches
// its object meanwhile, and sees the step run again, after the first has ended.
func TestOneWorkerForEachKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Now)
		a, b := item{0, "a"}, item{0, "b"}
		for range 3 {
			q.add(a)
			q.add(b)
		}
		take := func() item {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			it, _ := q.take(ctx)
			return it
		}
		assert.Equal(t, a, take())
		assert.Equal(t, b, take())
		q.add(a)
		assert.Equal(t, item{}, take(), "a is in hand")
		q.done(b, time.Time{})
		assert.Equal(t, item{}, take(), "nothing happened to b")
		q.done(a, time.Now().Add(time.Hour))
		assert.Equal(t, a, take(), "something happened to a meanwhile: at once, not in an hour")
		q.done(a, time.Now().Add(time.Hour))
		assert.Equal(t, item{}, take())
		time.Sleep(time.Hour)
		assert.Equal(t, a, take())
		q.done(a, time.Time{})
		assert.Empty(t, q.state, "nothing is kept of keys at rest")
	})
}

func (r *rig) action(do func(o *toy) error) Runner {
	return Action[toy]{Name: "play", Kind: r.toys, Timeout: time.Minute, Parallel: 2,
		Due:   func(o *toy, now time.Time) (bool, time.Time) { return o.State != "done" && !now.Before(o.Next), o.Next },
		Claim: func(o *toy, _ time.Time) { o.State, o.Tries = "working", o.Tries+1 },
		Do: func(_ context.Context, o *toy) func(*toy) error {
			r.seen.note("%s %s %d", o.Name, o.State, o.Tries)
			err := do(o)
			return func(o *toy) error {
				o.State, o.Next = "done", time.Time{}
				if err != nil {
					o.State, o.Next = "wanted", time.Now().Add(Backoff(o.Tries))
				}
				return nil
			}
		}}
}

func TestActionIsClaimedAndRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "wanted"})
		defer r.run(t, nil, r.action(func(o *toy) error {
			if stored, _ := r.toys.Get(r.db.View(), o.Name); stored.Tries != o.Tries || stored.State != "working" {
				t.Errorf("done before the claim was durable: %+v", stored)
			}
			if o.Tries < 4 {
				return errors.New("not yet")
			}
			return nil
		}))()
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"0s a working 1", "1s a working 2", "3s a working 3", "7s a working 4"}, r.seen.read())
		o, err := r.toys.Get(r.db.View(), "a")
		require.NoError(t, err)
		assert.Equal(t, "done", o.State)
	})
}

// TestActionOutlivesACrash loses the outcome of an action: it is still claimed,
// and done again by the next server.
func TestActionOutlivesACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "wanted"})
		stop := r.run(t, nil, r.action(func(*toy) error {
			r.store.Set(store.Faults{Every: 1})
			return nil
		}))
		time.Sleep(time.Second)
		stop()
		assert.Equal(t, []string{"0s a working 1"}, r.seen.read())
		r.store.Set(store.Faults{})
		defer r.run(t, nil, r.action(func(*toy) error { return nil }))()
		synctest.Wait()
		assert.Equal(t, []string{"1s a working 2"}, r.seen.read())
	})
}

// TestActionSurvivesAStoreThatFailsForAWhile fails claims and outcomes of a
// server that lives on: what is due is done all the same.
func TestActionSurvivesAStoreThatFailsForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.put(t, toy{Name: "a", State: "wanted"})
		first := true
		defer r.run(t, nil, r.action(func(*toy) error {
			if first {
				r.store.Set(store.Faults{Every: 1})
			}
			first = false
			return nil
		}))()
		time.Sleep(time.Minute)
		r.store.Set(store.Faults{})
		time.Sleep(5 * time.Minute)
		o, err := r.toys.Get(r.db.View(), "a")
		require.NoError(t, err)
		assert.Equal(t, "done", o.State)
	})
}

func TestTableOfRulesIsChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	step := func(*resource.Tx, time.Time, string) (Result, error) { return Result{}, nil }
	for name, rules := range map[string][]Rule{
		"twice":   append(r.rule(step), r.rule(step)...),
		"no step": r.rule(nil),
		"no kind": {{Name: "rule", Step: step}},
	} {
		_, err := New(Config{DB: r.db, Rules: rules})
		assert.EqualError(t, err, `rule "rule" is declared twice or has no kind or step`, name)
	}
}
