package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"drpd/pkg/resource"
)

// ErrLagged is yielded when events were lost: look at everything again; the
// watch goes on from now.
var ErrLagged = errors.New("events were lost: read everything again")

// Watch yields the events that match <type>.<action>.<key> patterns, until ctx
// ends, the consumer stops, or the server refuses. It reconnects by itself and
// continues where it was; where that is impossible it yields ErrLagged once
// and goes on. An event of Type "watch", Action "connected" comes first and
// after each reconnect: whoever reads the state after it misses nothing.
func (c *Client) Watch(ctx context.Context, patterns ...string) iter.Seq2[resource.Event, error] {
	return func(yield func(resource.Event, error) bool) {
		w := &watcher{yield: yield, wait: c.cfg.Pace}
		for ctx.Err() == nil {
			err := w.follow(c.Events(ctx, w.after, patterns...))
			if w.stopped || ctx.Err() != nil {
				return
			}
			if s := Status(err); s >= 400 && s < 500 && s != http.StatusTooManyRequests {
				yield(resource.Event{}, err)
				return
			}
			if !w.wait.Sleep(ctx) {
				return
			}
		}
	}
}

type watcher struct {
	yield   func(resource.Event, error) bool
	stopped bool
	wait    Backoff
	after   string // id of the last event seen
}

// follow passes one stream on until it breaks.
func (w *watcher) follow(stream iter.Seq2[Message, error]) error {
	for m, err := range stream {
		if err != nil {
			return err
		}
		w.wait.Reset()
		w.after = m.ID
		e := resource.Event{Type: "watch", Action: "connected"}
		switch m.Kind {
		case Lagged:
			e, err = resource.Event{}, ErrLagged
		case Happened:
			e = resource.Event{}
			if err := json.Unmarshal(m.Data, &e); err != nil {
				return fmt.Errorf("read event: %w", err)
			}
		}
		if w.stopped = !w.yield(e, err); w.stopped {
			return nil
		}
	}
	return nil
}
