//go:build linux

package agent

import (
	"context"
	"errors"
	"net/http"
	"time"

	"drpd/pkg/client"
)

// Waits between tries, doubled from the first to the last.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// pace is how tries follow each other.
func pace() client.Backoff { return client.Backoff{First: firstWait, Last: lastWait} }

// temporary says whether the same request may succeed later: the server was
// not reached, is starting, is overloaded, or failed inside.
func temporary(err error) bool {
	s := client.Status(err)
	return s == 0 || s == http.StatusTooManyRequests || s >= 500 && s != http.StatusNotImplemented
}

// restored says whether the server was restored from a backup and waits for us to
// say what runs here.
func restored(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Type == "Restored"
}

// denied says whether the token was not accepted for the request.
func denied(err error) bool {
	s := client.Status(err)
	return s == http.StatusUnauthorized || s == http.StatusForbidden
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
func (a *agent) call(ctx context.Context, fn func(c *client.Client) error) error {
	wait := pace()
	renewed, reported := false, false
	for {
		err := fn(a.client())
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
		case errors.Is(err, errLeave):
			return err
		case restored(err) && !reported:
			reported = true
			a.report(ctx)
			if !wait.Sleep(ctx) {
				return context.Cause(ctx)
			}
		case temporary(err):
			a.log.Warn("server does not answer, trying again", "err", err)
			if client.Status(err) == 0 {
				a.elsewhere()
			}
			if !wait.Sleep(ctx) {
				return context.Cause(ctx)
			}
		default:
			return err
		}
	}
}

// ask is call for a request with a result.
func ask[T any](ctx context.Context, a *agent, fn func(c *client.Client) (T, error)) (T, error) {
	var out T
	err := a.call(ctx, func(c *client.Client) (err error) {
		out, err = fn(c)
		return err
	})
	return out, err
}
