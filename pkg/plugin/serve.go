//go:build linux

package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// serve keeps a process going while the plugin and its provider are there.
func (s *Supervisor) serve(ctx context.Context, name string, svc *service) {
	tries := 0
	for {
		want, ok := s.goesOn(ctx, name, svc)
		if !ok {
			break
		}
		began := s.cfg.Now()
		err := s.once(ctx, want, svc)
		if err == nil || ctx.Err() != nil {
			tries = 0
			continue
		}
		if s.cfg.Now().Sub(began) > time.Minute {
			tries = 0
		}
		tries++
		again := engine.Backoff(tries)
		s.cfg.Log.Warn("plugin does not run", "plugin", name, "provider", want.def.Name, "err", err, "tries", tries)
		s.fault(ctx, name, err, tries, s.cfg.Now().Add(again))
		if s.pause(ctx, name, svc, want, again) {
			tries = 0
		}
	}
	if ctx.Err() == nil {
		s.fault(ctx, name, nil, 0, time.Time{})
	}
}

// goesOn ends the service of a plugin that is not wanted. Events that come
// while it is decided are not lost: look waits for the same lock.
func (s *Supervisor) goesOn(ctx context.Context, name string, svc *service) (spec, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		if want, ok := s.wanted(name); ok {
			return want, true
		}
	}
	delete(s.serving, name)
	return spec{}, false
}

// errChanged means that something else is wanted than what is being started.
var errChanged = errors.New("something else is wanted of it now")

// errLacks means that nothing but a change of the plugin helps.
var errLacks = errors.New("not started")

// once runs one process to its end: nil if it was ended because something else
// is wanted now, or ctx is over.
func (s *Supervisor) once(ctx context.Context, want spec, svc *service) error {
	if want.lacks != "" {
		return fmt.Errorf("%w: %s", errLacks, want.lacks)
	}
	p, err := s.start(ctx, want, svc)
	if errors.Is(err, errChanged) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.close(s)
	if err := p.configure(ctx, want); err != nil {
		return err
	}
	s.mu.Lock()
	svc.running = p
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		svc.running = nil
		s.mu.Unlock()
		s.tell(want.plugin, "stopped")
	}()
	s.fault(ctx, want.plugin, nil, 0, time.Time{})
	s.tell(want.plugin, "configed")
	s.cfg.Log.Info("plugin runs", "plugin", want.plugin, "provider", want.def.Name, "version", want.def.Version, "user", p.cell.User)
	return s.watch(ctx, p, want, svc)
}

// watch waits for the end of the process, tells it of new params, and ends it
// when it is not wanted any more.
func (s *Supervisor) watch(ctx context.Context, p *instance, want spec, svc *service) error {
	if want.def.HasPublish {
		stop := s.forward(ctx, p)
		defer stop()
	}
	for {
		select {
		case err := <-p.ended:
			return p.died(err)
		case <-ctx.Done():
			return nil
		case why := <-p.leaves:
			return fmt.Errorf("the plugin says that it leaves: %s", why)
		case <-svc.wake:
			now, ok := s.wanted(want.plugin)
			if !ok || now.program != want.program || now.lacks != "" {
				return nil
			}
			if now.text == want.text {
				continue
			}
			if err := p.configure(ctx, now); err != nil {
				return err
			}
			want = now
			s.tell(want.plugin, "configed")
		}
	}
}

// pause waits for the next try, and says whether it ended sooner since
// something else is wanted.
func (s *Supervisor) pause(ctx context.Context, name string, svc *service, was spec, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	timer := t.C
	if was.lacks != "" {
		timer = nil
	}
	for {
		select {
		case <-ctx.Done():
			return true
		case <-timer:
			return false
		case <-svc.wake:
			if now, ok := s.wanted(name); !ok || !now.same(was) {
				return true
			}
		}
	}
}

// tell publishes what became of a plugin.
func (s *Supervisor) tell(plugin, action string) {
	e := resource.Event{Type: api.Plugins.Name, Action: action, Key: plugin, Principal: "plugins/" + plugin}
	if o, err := api.Plugins.Lookup(s.cfg.DB.View(), plugin); err == nil {
		e.Object = o.JSON
	}
	s.cfg.DB.Publish(e)
}

// Rule is the name under which reasons of this package are stored.
const Rule = "plugin process"

// fault stores why a plugin does not run; nil: that it does.
func (s *Supervisor) fault(ctx context.Context, plugin string, cause error, tries int, again time.Time) {
	msgs, id := []string{}, Rule+" "+api.Plugins.Name+" "+plugin
	if cause != nil {
		msgs = messages(cause)
	}
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		p, err := api.Plugins.Get(tx, plugin)
		if err == nil && !p.ReadOnly && !slices.Equal(p.PluginErrors, msgs) {
			err = api.Plugins.Modify(tx, plugin, func(p *api.Plugin) error { p.PluginErrors = msgs; return nil })
			if err != nil {
				return err
			}
		}
		if cause == nil || p == nil {
			if !engine.Waits.Has(tx, id) {
				return nil
			}
			return engine.Waits.Delete(tx, id)
		}
		w := &engine.Wait{Id: id, Rule: Rule, Object: api.Plugins.Name + "/" + plugin, Since: s.cfg.Now(), Tries: tries, LastError: strings.Join(msgs, "; "),
			Until: again, Waiting: "its process ended and is started again"}
		if errors.Is(cause, errLacks) {
			w.Waiting, w.Until, w.LastError, w.Tries = strings.Join(msgs, "; "), time.Time{}, "", 0
		}
		return engine.Waits.Put(tx, w)
	})
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("reason not stored", "rule", Rule, "plugin", plugin, "err", err)
	}
}

// messages are those of a plugin's own error or of ours, without the object
// that they are about, else the one of err.
func messages(err error) []string {
	if e, ok := errors.AsType[*Error](err); ok && len(e.Messages) > 0 {
		return e.Messages
	}
	if e, ok := errors.AsType[*resource.Error](err); ok && error(e) == err {
		return e.Msgs
	}
	return []string{err.Error()}
}

// Unnamed are the programs that no provider has, and that are not just coming
// in. They are no rubbish yet: the database may be an older copy.
func (s *Supervisor) Unnamed(ctx context.Context) ([]string, error) {
	used := map[string]bool{}
	for p := range api.PluginProviders.All(s.cfg.DB.View()) {
		used[p.Program] = true
	}
	list, err := s.cfg.Blobs.List(ctx, area)
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, b := range list {
		if !used[b.Path] && !s.fresh[b.Path] {
			out = append(out, b.Path)
		}
	}
	return out, err
}

// tidy removes what an earlier server said about its processes.
func (s *Supervisor) tidy(ctx context.Context) {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error { return engine.Forget(tx, Rule) })
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("old reasons not removed", "rule", Rule, "err", err)
	}
}
