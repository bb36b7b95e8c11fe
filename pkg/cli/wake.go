package cli

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"drpd/pkg/client"
)

// alarm tells when something happened that may matter to who waits; only while
// it is live need nobody look by the clock.
type alarm struct {
	wake chan struct{} // holds one
	live atomic.Bool
}

// alarm follows events until stop is called. Of a server that gives none it is
// asked ever more rarely whether it does now.
func (s *session) alarm(ctx context.Context, patterns []string) (a *alarm, stop func()) {
	a = &alarm{wake: make(chan struct{}, 1)}
	c := s.conn()
	if len(patterns) == 0 || c.err != nil {
		return a, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		pace := client.Backoff{First: s.cfg.Poll, Last: 30 * s.cfg.Poll}
		for ctx.Err() == nil {
			a.follow(c.api.Events(ctx, "", patterns...), pace.Reset)
			a.live.Store(false)
			if !pace.Sleep(ctx) {
				return
			}
		}
	})
	return a, func() { cancel(); wg.Wait() }
}

// pause waits for the next look; it is false when ctx ended. Now and then there
// is one though nothing rang, for rights may hide an event and not its outcome.
func (a *alarm) pause(ctx context.Context, tick <-chan time.Time) bool {
	const rarely = 60
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return false
		case <-a.wake:
			return true
		case <-tick:
			if !a.live.Load() || n >= rarely {
				return true
			}
		}
	}
}

// follow rings for every message: what happened before the first is looked at
// then.
func (a *alarm) follow(stream func(func(client.Message, error) bool), connected func()) {
	for m, err := range stream {
		if err != nil {
			return
		}
		if m.Kind == client.Connected {
			connected()
			a.live.Store(true)
		}
		select {
		case a.wake <- struct{}{}:
		default: // it rings already
		}
	}
}

// eventsOf are the patterns of what changes an object as filters see it: the
// object, and where its params come from.
func eventsOf(kind, key string) []string {
	plain := strings.NewReplacer(".", `\1`, ",", `\2`, "*", `\3`).Replace(key)
	return []string{kind + ".*." + plain, "profiles,stages,params.*.*"}
}
