// Package runner serves contexts: for every machine, cluster or broker whose
// tasks shall run in a context and that has one to run, it keeps a process of
// our own agent going on the server.
//
// The process runs in a cell (package child): a user of its own, no view of
// others, no rights, limits. It has a token for its one object, which it gets in
// a file. It ends with the server, and with it whatever it started.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/child"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Key names one runner: the context of one object.
type Key struct{ Kind, ID, Context string }

// Credentials are how a runner reaches the server.
type Credentials struct{ Endpoint, CAFingerprint, Token string }

// Config makes a Supervisor. DB and Credentials are required.
type Config struct {
	DB          *resource.DB
	Keeper      child.Keeper // who confines the processes; default child.None, which refuses
	Credentials func(k Key) (Credentials, error)
	Max         int              // runners at once, default 32
	Idle        time.Duration    // how long one without work is kept, default 30 s
	Now         func() time.Time // default time.Now
	Log         *slog.Logger     // default: discard
}

// Supervisor starts and ends runners until its Run ends.
type Supervisor struct {
	cfg   Config
	slots chan struct{}

	mu      sync.Mutex // guards below
	serving map[Key]chan struct{}
}

// New fills in the defaults of cfg.
func New(cfg Config) *Supervisor {
	if cfg.Keeper == nil {
		cfg.Keeper = child.None{}
	}
	if cfg.Max == 0 {
		cfg.Max = 32
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Supervisor{cfg: cfg, slots: make(chan struct{}, cfg.Max), serving: map[Key]chan struct{}{}}
}

// Run supervises until ctx ends; all processes have ended then.
func (s *Supervisor) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	s.forget(ctx)
	for ctx.Err() == nil {
		after := s.cfg.DB.Seq()
		s.lookAtAll(ctx, &wg)
		for evs, err := range s.cfg.DB.Watch(ctx, after, gives) {
			if err != nil {
				s.cfg.Log.Warn("runners fell behind, looking at everything again", "err", err)
				break
			}
			for _, id := range touched(evs) {
				s.look(ctx, &wg, id)
			}
		}
	}
	return nil
}

// gives says whether an event may give work to somebody.
func gives(e *resource.Event) bool {
	switch e.New.(type) {
	case *api.Machine, *api.Job, *api.WorkOrder:
		return true
	}
	return false
}

// touched lists the objects that events may give work to.
func touched(evs []resource.Event) []string {
	var out []string
	for _, e := range evs {
		switch o := e.New.(type) {
		case *api.Machine:
			out = append(out, o.Uuid)
		case *api.Job:
			out = append(out, o.Machine)
		case *api.WorkOrder:
			out = append(out, o.Machine)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *Supervisor) lookAtAll(ctx context.Context, wg *sync.WaitGroup) {
	v := s.cfg.DB.View()
	for _, k := range api.MachineLike() {
		for m := range k.All(v) {
			s.look(ctx, wg, m.Uuid)
		}
	}
}

// look starts to serve an object that has work, and tells its runner to look
// again if it has one.
func (s *Supervisor) look(ctx context.Context, wg *sync.WaitGroup, id string) {
	v := s.cfg.DB.View()
	k, m := api.Runner(v, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, wake := range s.serving {
		if key.ID == id {
			ring(wake)
		}
	}
	if m == nil {
		return
	}
	key := Key{Kind: k.Name, ID: id, Context: workflow.ContextWork(v, m)}
	if key.Context == "" {
		return
	}
	if s.serving[key] != nil {
		return
	}
	wake := make(chan struct{}, 1)
	s.serving[key] = wake
	wg.Go(func() { s.serve(ctx, key, wake) })
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// wanted says whether there is work for the runner now.
func (s *Supervisor) wanted(key Key) bool {
	v := s.cfg.DB.View()
	_, m := api.Runner(v, key.ID)
	return m != nil && workflow.ContextWork(v, m) == key.Context
}

// serve keeps a process going while there is work.
func (s *Supervisor) serve(ctx context.Context, key Key, wake chan struct{}) {
	tries := 0
	for s.goesOn(ctx, key, wake) {
		if !s.slot(ctx, key) {
			continue
		}
		start := s.cfg.Now()
		err := s.once(ctx, key, wake)
		<-s.slots
		if err == nil || ctx.Err() != nil {
			tries = 0
			continue
		}
		if s.cfg.Now().Sub(start) > time.Minute {
			tries = 0
		}
		tries++
		again := engine.Backoff(tries)
		s.cfg.Log.Warn("context runner ended", "kind", key.Kind, "id", key.ID, "context", key.Context, "err", err, "again", again)
		why := fmt.Sprintf("its process ended %d times, started again in %s: %v", tries, again, err)
		if errors.Is(err, child.ErrRefused) {
			why = err.Error()
		}
		s.say(ctx, key, why)
		pause(ctx, again)
	}
	if ctx.Err() == nil {
		s.say(ctx, key, "")
	}
}

// goesOn ends the service of a key that has no work. Events that come while it
// is decided are not lost: look waits for the same lock.
func (s *Supervisor) goesOn(ctx context.Context, key Key, wake chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil && s.wanted(key) {
		return true
	}
	delete(s.serving, key)
	return false
}

func (s *Supervisor) slot(ctx context.Context, key Key) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	s.say(ctx, key, fmt.Sprintf("all %d runners of this server are busy", s.cfg.Max))
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// forget removes what an earlier server said about its runners.
func (s *Supervisor) forget(ctx context.Context) {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error { return engine.Forget(tx, Rule) })
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("old reasons not removed", "rule", Rule, "err", err)
	}
}

// Rule is the name under which reasons of this package are stored.
const Rule = "context runner"

// say stores why an object waits for its runner; "" that it does not.
func (s *Supervisor) say(ctx context.Context, key Key, why string) {
	id := Rule + " " + key.Kind + " " + key.ID
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		if why == "" {
			if !engine.Waits.Has(tx, id) {
				return nil
			}
			return engine.Waits.Delete(tx, id)
		}
		return engine.Waits.Put(tx, &engine.Wait{Id: id, Rule: Rule, Object: key.Kind + "/" + key.ID, Since: s.cfg.Now(),
			Waiting: fmt.Sprintf("waits for the runner of context %s: %s", key.Context, why)})
	})
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("reason not stored", "rule", Rule, "key", key.ID, "err", err)
	}
}
