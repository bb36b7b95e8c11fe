package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) eventsCmd() *cobra.Command {
	return s.parent("events", "Follow what happens on the server.",
		"  drpcli events watch\n  drpcli events watch 'machines.update.*' 'jobs.*.*'\n  drpcli events post '{\"Type\": \"rack\", \"Action\": \"opened\", \"Key\": \"r7\"}'",
		s.verb("watch [<type.action.key>]...", "Print events as they happen, one on a line; * is anything.", func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				args = []string{"*.*.*"}
			}
			return s.watchEvents(ctx, args, s.event)
		}),
		s.verb("post <event>", "Publish an event of your own, given as JSON or YAML, a file or -.", func(ctx context.Context, args []string) error {
			body, err := s.bodyObject(args[0])
			if err != nil {
				return err
			}
			return about(s.conn().call(ctx, http.MethodPost, "/events", nil, body, nil), "post event")
		}))
}

func (s *session) logsCmd() *cobra.Command {
	return s.parent("logs", "Read the server's log.", "  drpcli logs get\n  drpcli logs watch",
		s.verb("get", "Print the lines that the server holds.", func(ctx context.Context, _ []string) error { return s.showPath(ctx, "/logs", nil) }),
		s.verb("watch", "Print lines as they are logged.", func(ctx context.Context, _ []string) error {
			return s.watchEvents(ctx, []string{"log.*.*"}, func(data []byte) error {
				var e struct{ Object doc }
				if err := json.Unmarshal(data, &e); err != nil {
					return fmt.Errorf("read event: %w", err)
				}
				if s.isTable() {
					return s.line("%s %s", e.Object.text("Time"), e.Object.text("Message"))
				}
				line, err := e.Object.MarshalJSON()
				if err != nil {
					return err
				}
				return s.line("%s", line)
			})
		}))
}

// watchEvents survives restarts of the server: it goes on after the last event
// that it saw.
func (s *session) watchEvents(ctx context.Context, patterns []string, show func(data []byte) error) error {
	last := ""
	return s.poll(ctx, func(ctx context.Context) (bool, error) {
		return false, s.stream(ctx, &last, patterns, show)
	})
}

// stream prints one connection's events; last is the number of the last one
// seen, "" for none.
func (s *session) stream(ctx context.Context, last *string, patterns []string, show func(data []byte) error) error {
	c := s.conn()
	if c.err != nil {
		return c.err
	}
	for m, err := range c.api.Events(ctx, *last, patterns...) {
		if err != nil {
			return c.worded(ctx, err)
		}
		*last = m.ID
		switch m.Kind {
		case client.Lagged:
			s.note("some events were lost; going on from now")
			return nil
		case client.Happened:
			if err := show(m.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *session) event(data []byte) error {
	if !s.isTable() {
		return s.line("%s", data)
	}
	var e struct {
		Time                         string
		Type, Action, Key, Principal string
		Object                       object
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	name := e.Key
	if n := nameOf(e.Object); e.Object != nil && n != e.Key {
		name += " (" + n + ")"
	}
	return s.line("%.19s  %-8s %-16s %s  by %s", e.Time, e.Action, e.Type, name, e.Principal)
}
