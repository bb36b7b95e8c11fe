// Package engine calls steps and actions when objects change or time comes.
//
// A Step decides: a pure function over the newest state and a time, that
// returns why nothing moves. An Action does: it carries out the effect that an
// object stands for, outside any transaction. The engine looks at every object
// when it starts, so a restart loses nothing, and stores why each one waits.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"drpd/pkg/resource"
)

// Step decides about one object. No I/O, no clock, no goroutine: the same
// state and time give the same answer, and a second run changes nothing.
type Step func(tx *resource.Tx, now time.Time, key string) (Result, error)

// Result says why nothing moves and when to look again, for the operator too.
type Result struct {
	Waiting string
	Until   time.Time
	Done    bool // for a native task: it has succeeded
	// Brief reasons are over within moments as a rule, as between an agent's
	// tasks: one is stored, and so shown, only when it has lasted for Moment.
	Brief bool
}

// Moment is how long a Brief reason is held back.
const Moment = time.Second

// Rule is a Step and what wakes it.
type Rule struct {
	Name string
	Kind resource.Any    // the kind of the keys that Step gets
	Wake map[string]Wake // by event type; events of Kind wake their own key anyway
	Step Step
}

// Wake says which keys of a rule an event of another kind matters to.
type Wake func(r resource.Reader, e resource.Event) []string

// Config makes an Engine.
type Config struct {
	DB      *resource.DB
	Rules   []Rule
	Actions []Runner
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default: discard
	Workers int              // default 8: they wait for commits, which they share
}

// Engine runs rules and actions until its Run ends.
type Engine struct {
	cfg   Config
	queue *queue
	types map[string]bool // of the events that wake a rule
}

type item struct {
	rule int
	key  string
}

// New checks the table of rules.
func New(cfg Config) (*Engine, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Workers == 0 {
		cfg.Workers = 8
	}
	seen, types := map[string]bool{}, map[string]bool{}
	for _, r := range cfg.Rules {
		if seen[r.Name] || r.Step == nil || r.Kind == nil {
			return nil, fmt.Errorf("rule %q is declared twice or has no kind or step", r.Name)
		}
		seen[r.Name] = true
		types[r.Kind.KindName()] = true
		for event := range r.Wake {
			types[event] = true
		}
	}
	return &Engine{cfg: cfg, queue: newQueue(cfg.Now), types: types}, nil
}

// Rules is the table that the engine runs, for checks of all rules at once.
func (e *Engine) Rules() []Rule { return e.cfg.Rules }

// Run works until ctx ends, then returns nil with nothing left running.
func (e *Engine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.watch(ctx) })
	for range e.cfg.Workers {
		g.Go(func() error { return e.work(ctx) })
	}
	for _, a := range e.cfg.Actions {
		g.Go(func() error { return a.run(ctx, e.cfg) })
	}
	return g.Wait()
}

// watch queues every key once, then whatever events touch.
func (e *Engine) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		after := e.cfg.DB.Seq()
		e.queueAll()
		for evs, err := range e.cfg.DB.Watch(ctx, after, e.wakes) {
			if err != nil {
				e.cfg.Log.Warn("engine fell behind, looking at everything again", "err", err)
				break
			}
			for _, ev := range evs {
				e.route(ev)
			}
		}
	}
	return nil
}

// wakes says whether an event matters to any rule.
func (e *Engine) wakes(ev *resource.Event) bool { return e.types[ev.Type] }

func (e *Engine) queueAll() {
	v := e.cfg.DB.View()
	for i, r := range e.cfg.Rules {
		for o := range r.Kind.Each(v) {
			e.queue.add(item{i, o.Key})
		}
	}
}

func (e *Engine) route(ev resource.Event) {
	for i, r := range e.cfg.Rules {
		if r.Kind.KindName() == ev.Type {
			e.queue.add(item{i, ev.Key})
		}
		if wake := r.Wake[ev.Type]; wake != nil {
			v := e.cfg.DB.View()
			for _, key := range wake(v, ev) {
				if r.Kind.Has(v, key) { // what is gone had an event of its own
					e.queue.add(item{i, key})
				}
			}
		}
	}
}

func (e *Engine) work(ctx context.Context) error {
	for {
		it, ok := e.queue.take(ctx)
		if !ok {
			return nil
		}
		next := e.look(ctx, it)
		e.queue.done(it, next)
	}
}

// look runs one step, stores its reason and says when to look again.
func (e *Engine) look(ctx context.Context, it item) time.Time {
	r := e.cfg.Rules[it.rule]
	var res Result
	var asked time.Time
	run := func(tx *resource.Tx) error {
		res, asked = Result{}, e.cfg.Now()
		if _, err := r.Kind.Lookup(tx, it.key); err != nil {
			return clearWait(tx, r, it.key)
		}
		var err error
		if res, err = r.Step(tx, asked, it.key); err != nil {
			return err
		}
		now := e.cfg.Now()
		if next := e.queue.hold(it, res, now); !next.IsZero() {
			res.Until = next
			return clearOther(tx, r, it.key, res)
		}
		return saveWait(tx, now, r, it.key, res)
	}
	if e.cfg.DB.Idle(run) { // most events change nothing for most rules
		return later(res.Until, asked)
	}
	err := e.cfg.DB.Update(ctx, run)
	if err == nil {
		return later(res.Until, asked)
	}
	if ctx.Err() != nil {
		return time.Time{}
	}
	return e.failed(ctx, r, it, err)
}

// tooEarly is how long a step is left alone that waits for what is over.
const tooEarly = time.Second

// later is when to look again: a step that names a time which was over when it
// was asked waits for something else in truth, and would be asked in a circle.
func later(until, asked time.Time) time.Time {
	if until.IsZero() || until.After(asked) {
		return until
	}
	return asked.Add(tooEarly)
}

// failed stores the error and backs off: 1 s doubling to 1 min.
func (e *Engine) failed(ctx context.Context, r Rule, it item, cause error) time.Time {
	e.cfg.Log.Error("step failed", "rule", r.Name, "kind", r.Kind.KindName(), "key", it.key, "err", cause)
	now := e.cfg.Now()
	tries := 1
	err := e.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		w := waitOf(tx, r, it.key)
		w.LastError, w.Tries = cause.Error(), w.Tries+1
		if w.Since.IsZero() {
			w.Since = now
		}
		tries = w.Tries
		w.Until = now.Add(Backoff(tries))
		return Waits.Put(tx, w)
	})
	if err != nil {
		e.cfg.Log.Error("reason not stored", "rule", r.Name, "key", it.key, "err", err)
	}
	return now.Add(Backoff(tries))
}

// Backoff is how long to wait after the n-th failure: 1 s, doubling to 1 min.
func Backoff(n int) time.Duration {
	return min(time.Second<<min(max(n-1, 0), 6), time.Minute)
}

// Native is an operation of the server itself: the step of a running job. It
// is called again until its Result is Done; a *resource.Error fails the job
// with that cause, any other error is retried with back-off.
type Native func(tx *resource.Tx, now time.Time, job string) (Result, error)
