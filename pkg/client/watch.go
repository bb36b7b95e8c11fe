package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

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
		w := &watcher{c: c, q: url.Values{"register": patterns}, yield: yield, wait: minWait}
		for ctx.Err() == nil && !w.stopped {
			err := w.connect(ctx)
			if w.stopped || ctx.Err() != nil {
				return
			}
			if s := Status(err); s >= 400 && s < 500 && s != http.StatusTooManyRequests {
				yield(resource.Event{}, err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(w.wait):
			}
			w.wait = min(2*w.wait, maxWait)
		}
	}
}

const (
	minWait = 100 * time.Millisecond
	maxWait = 10 * time.Second
	// quiet is how long a stream may be silent; the server sends signs of life
	// every 15 s.
	quiet = 45 * time.Second
)

type watcher struct {
	c       *Client
	q       url.Values
	yield   func(resource.Event, error) bool
	stopped bool
	wait    time.Duration
	after   string // id of the last event seen
	event   string // SSE event name of the message being read
}

// connect follows one stream until it breaks.
func (w *watcher) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.c.url([]string{"events", "stream"}, w.q), nil)
	if err != nil {
		return err
	}
	if w.after != "" {
		req.Header.Set("Last-Event-ID", w.after)
	}
	resp, err := w.c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.wait = minWait
	alive := time.AfterFunc(quiet, cancel)
	defer alive.Stop()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 64<<20)
	for in.Scan() && !w.stopped {
		alive.Reset(quiet)
		if err := w.line(in.Text()); err != nil {
			return err
		}
	}
	return in.Err()
}

func (w *watcher) line(s string) error {
	name, value, _ := strings.Cut(s, ": ")
	switch name {
	case "": // ": following after 12", or the end of a message
		if n, ok := strings.CutPrefix(value, "following after "); ok {
			return w.connected(n)
		}
		if s == "" {
			w.event = ""
		}
	case "id":
		w.after = value
	case "event":
		w.event = value
	case "data":
		return w.data(value)
	}
	return nil
}

func (w *watcher) connected(after string) error {
	w.after = after
	w.stopped = !w.yield(resource.Event{Type: "watch", Action: "connected"}, nil)
	return nil
}

func (w *watcher) data(value string) error {
	switch w.event {
	case "lagged":
		w.after = ""
		w.stopped = !w.yield(resource.Event{}, ErrLagged)
		return nil
	case "denied":
		return &Error{Type: "AUTH", Messages: []string{"the token ended: log in again"}, Code: http.StatusForbidden}
	}
	var e resource.Event
	if err := json.Unmarshal([]byte(value), &e); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	w.stopped = !w.yield(e, nil)
	return nil
}
