//go:build linux

package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

// Waits between tries, doubled from the first to the last.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// backoff is how long to wait before the next try.
type backoff struct{ wait time.Duration }

// sleep waits, by up to a quarter less so that a rack of machines does not ask
// in step, and says whether ctx still holds.
func (b *backoff) sleep(ctx context.Context) bool {
	b.wait = min(max(2*b.wait, firstWait), lastWait)
	return pause(ctx, b.wait-rand.N(b.wait/4))
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// call repeats fn until the server has answered it, for ever if need be. When
// the token is refused the agent identifies itself anew, once; what is refused
// then is refused for another reason.
func (a *agent) call(ctx context.Context, fn func() error) error {
	var wait backoff
	renewed := false
	for {
		err := fn()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case denied(err) && !renewed:
			renewed = true
			a.log.Warn("token refused, identifying again", "err", err)
			if err := a.identify(ctx); err != nil {
				return err
			}
		case temporary(err):
			a.log.Warn("server does not answer, trying again", "err", err)
			if !wait.sleep(ctx) {
				return context.Cause(ctx)
			}
		default:
			return err
		}
	}
}

// ask is call for a request with a result.
func ask[T any](ctx context.Context, a *agent, fn func() (T, error)) (T, error) {
	var out T
	err := a.call(ctx, func() (err error) {
		out, err = fn()
		return err
	})
	return out, err
}
