package client

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// quiet is how long a stream may be silent; the server sends signs of life
	// every 15 s.
	quiet = 45 * time.Second
	// maxEvent bounds one event in bytes.
	maxEvent = 64 << 20
)

var errEnded = errors.New("the server ended it")

// Message is one of an event stream. Its Kind is one of the constants below.
type Message struct {
	Kind string
	ID   string // go on after it; "" means from now
	Data []byte // Happened: a resource.Event as JSON
}

// Kinds of messages.
const (
	Connected = "connected" // the stream has begun: what happens from now on will follow
	Happened  = "event"
	Lagged    = "lagged" // events were lost: read everything again, and go on from now
)

// Events yields the messages of one stream of events that match
// <type>.<action>.<key> patterns, from the one after the ID after, or from now.
// Unless the consumer stops, it ends with an error: that of ctx, *ConnError if
// the stream broke, *Error if the server refused or the token ended.
func (c *Client) Events(ctx context.Context, after string, patterns ...string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		s := &stream{yield: yield, after: after}
		if err := c.read(ctx, s, patterns); err != nil && !s.stopped {
			yield(Message{}, err)
		}
	}
}

func (c *Client) read(ctx context.Context, s *stream, patterns []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := Request{Path: "/events/stream", Query: url.Values{"register": patterns}, Header: http.Header{}}
	if s.after != "" {
		q.Header.Set("Last-Event-ID", s.after)
	}
	resp, err := c.Stream(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	alive := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("nothing came for %s", quiet)) })
	defer alive.Stop()
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxEvent)
	for in.Scan() && !s.stopped {
		alive.Reset(quiet)
		if err := s.line(in.Text()); err != nil {
			return err
		}
	}
	err = cmp.Or(context.Cause(ctx), in.Err(), errEnded)
	return &ConnError{Host: c.base.Host, Err: fmt.Errorf("event stream: %w", err)}
}

// stream reads text/event-stream.
type stream struct {
	yield   func(Message, error) bool
	stopped bool
	after   string // id of the last event seen
	event   string // name of the message being read
}

func (s *stream) say(kind, data string) {
	s.stopped = !s.yield(Message{Kind: kind, ID: s.after, Data: []byte(data)}, nil)
}

func (s *stream) line(text string) error {
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "": // ": following after 12", or the end of a message
		if id, ok := strings.CutPrefix(value, "following after "); ok {
			s.after = id
			s.say(Connected, "")
		}
		if text == "" {
			s.event = ""
		}
	case "id":
		s.after = value
	case "event":
		s.event = value
	case "data":
		return s.data(value)
	}
	return nil
}

func (s *stream) data(value string) error {
	switch s.event {
	case "lagged":
		s.after = ""
		s.say(Lagged, "")
	case "denied":
		return &Error{Type: "AUTH", Messages: []string{"the token ended: log in again"}, Code: http.StatusUnauthorized}
	default:
		s.say(Happened, value)
	}
	return nil
}
