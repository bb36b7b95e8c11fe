//go:build linux

package agent

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// watch wakes the loop whenever something of the machine changes. Events only
// save time: what is missed is found by the next poll.
func (a *agent) watch(ctx context.Context) error {
	wait := pace()
	for {
		if id := a.machine(); id != "" {
			start := time.Now()
			err := a.follow(ctx, id)
			a.log.Debug("event stream ended", "err", err)
			if time.Since(start) > lastWait {
				wait.Reset()
			}
		}
		if !wait.Sleep(ctx) {
			return nil
		}
	}
}

// follow reads one event stream until it ends. It needs no content: whatever
// comes is a reason to look. That the stream begins is one too, for what
// happened before.
func (a *agent) follow(ctx context.Context, id string) error {
	for _, err := range a.client().Events(ctx, "", cmp.Or(a.cfg.Kind, "machines")+".*."+id, "work_orders.*.*") {
		if err != nil {
			return err
		}
		a.ring()
	}
	return nil
}

func (a *agent) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// rest returns when something may have changed.
func (a *agent) rest(ctx context.Context) {
	t := time.NewTimer(a.cfg.Poll - rand.N(a.cfg.Poll/4))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-a.bell:
	case <-t.C:
	}
}
