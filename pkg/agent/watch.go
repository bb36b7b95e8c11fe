//go:build linux

package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

const (
	pingEvery = 30 * time.Second
	maxEvent  = 8 << 20 // bytes of one event frame
)

// watch wakes the loop whenever something of the machine changes. Events only
// save time: what is missed is found by the next poll.
func (a *agent) watch(ctx context.Context) error {
	var wait backoff
	for {
		if id := a.machine(); id != "" {
			start := time.Now()
			err := a.follow(ctx, id)
			a.log.Debug("event stream ended", "err", err)
			if time.Since(start) > lastWait {
				wait = backoff{}
			}
		}
		if !wait.sleep(ctx) {
			return nil
		}
	}
}

// follow reads one event stream until it ends.
func (a *agent) follow(ctx context.Context, id string) error {
	dialing, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, a.api.base+"/api/v3/ws", &websocket.DialOptions{
		HTTPClient: a.api.http,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + a.api.token()}},
	})
	if err != nil {
		return fmt.Errorf("open event stream: %w", err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxEvent)
	for _, p := range []string{"machines.*." + id, "work_orders.*.*"} {
		if err := conn.Write(dialing, websocket.MessageText, []byte("register "+p)); err != nil {
			return fmt.Errorf("register for %s: %w", p, err)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.read(ctx, conn) })
	g.Go(func() error { return keepAlive(ctx, conn) })
	return g.Wait()
}

// read needs no content: whatever comes is a reason to look. The answers to the
// registrations are one too, for what happened before them.
func (a *agent) read(ctx context.Context, conn *websocket.Conn) error {
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return err
		}
		a.ring()
	}
}

// keepAlive notices a peer that is gone without a word.
func keepAlive(ctx context.Context, conn *websocket.Conn) error {
	for pause(ctx, pingEvery) {
		ping, cancel := context.WithTimeout(ctx, pingEvery)
		err := conn.Ping(ping)
		cancel()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
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
