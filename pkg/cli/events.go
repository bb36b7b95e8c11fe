package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) eventsCmd() *cobra.Command {
	root := &cobra.Command{Use: "events", Short: "Follow what happens on the server.", Args: cobra.ArbitraryArgs, RunE: s.noVerb,
		Example: "  drpcli events watch\n  drpcli events watch 'machines.update.*' 'jobs.*.*'"}
	watch := &cobra.Command{Use: "watch [<type>.<action>.<key>]...", Short: "Print events as they happen, one on a line; * is anything.", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"*.*.*"}
			}
			return s.watchEvents(c.Context(), args)
		}}
	root.AddCommand(watch)
	return root
}

// watchEvents survives restarts of the server: it goes on after the last event
// that it saw.
func (s *session) watchEvents(ctx context.Context, patterns []string) error {
	last := ""
	return s.poll(ctx, func(ctx context.Context) (bool, error) {
		return false, s.stream(ctx, &last, patterns)
	})
}

// stream prints one connection's events; last is the number of the last one
// seen, "" for none.
func (s *session) stream(ctx context.Context, last *string, patterns []string) error {
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
			if err := s.event(m.Data); err != nil {
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
