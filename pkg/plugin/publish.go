//go:build linux

package plugin

import (
	"context"
	"encoding/json"
	"sync"

	"drpd/pkg/resource"
)

// forward sends every event to a plugin that wants them, until stop is called.
// It reads at the plugin's pace: one that is too slow misses some, which the
// log says, and nobody waits for it. Lines of the log are left out, for those
// of the plugin itself would have no end.
func (s *Supervisor) forward(ctx context.Context, p *instance) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			for evs, err := range s.cfg.DB.Watch(ctx, s.cfg.DB.Seq(), noLog) {
				if err != nil {
					s.cfg.Log.Warn("plugin is too slow for all events, some are left out", "plugin", p.plugin)
					break
				}
				for _, e := range evs {
					s.send(ctx, p, e)
				}
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func noLog(e *resource.Event) bool { return e.Type != "log" }

func (s *Supervisor) send(ctx context.Context, p *instance, e resource.Event) {
	if ctx.Err() != nil {
		return
	}
	data, err := e.AppendJSON(nil)
	if err != nil {
		return // it was encoded before
	}
	ctx, cancel := context.WithTimeout(ctx, eventLimit)
	defer cancel()
	if _, err := p.post(ctx, "publish", json.RawMessage(data)); err != nil && ctx.Err() == nil {
		s.cfg.Log.Debug("plugin refused an event", "plugin", p.plugin, "event", e.Type+"."+e.Action+"."+e.Key, "err", err)
	}
}
