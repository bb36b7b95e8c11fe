package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
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
		q := url.Values{"register": patterns}
		if last != "" {
			q.Set("after", last)
		}
		seen, err := s.stream(ctx, q)
		if seen != "" {
			last = seen
		}
		return false, err
	})
}

// stream prints one connection's events and returns the number of the last.
func (s *session) stream(ctx context.Context, q url.Values) (last string, err error) {
	resp, err := s.conn().raw(ctx, "GET", "/events/stream", q, "", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	r := bufio.NewReaderSize(resp.Body, 64<<10)
	kind := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return last, unreachable("the event stream", err)
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			last = value
		case "event":
			kind = value
		case "data":
			if kind == "lagged" {
				s.note("some events were lost; going on from now")
				return "", nil
			}
			if kind != "" {
				return last, &failure{code: exitDenied, what: "the event stream was ended: " + value, fix: "drpcli login"}
			}
			if err := s.event([]byte(value)); err != nil {
				return last, err
			}
		}
	}
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
