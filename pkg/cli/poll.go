package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxOutage is how long following goes on while the server does not answer.
const maxOutage = 2 * time.Minute

// poll calls look until it is done. A server that restarts meanwhile does not
// end it; --timeout and Ctrl-C do, and the work goes on.
func (s *session) poll(ctx context.Context, look func(ctx context.Context) (done bool, err error)) error {
	return s.pollOn(ctx, nil, look)
}

// pollOn looks when events say so, and by the clock only if there are none.
func (s *session) pollOn(ctx context.Context, events []string, look func(ctx context.Context) (done bool, err error)) error {
	if s.flags.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.flags.timeout)
		defer cancel()
	}
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
	alarm, stop := s.alarm(ctx, events)
	defer stop()
	var down time.Time
	for {
		done, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return s.stopped(ctx)
		case isDown(err):
			if down.IsZero() {
				down = s.cfg.Now()
				s.note("the server does not answer; trying again for %s: %v", maxOutage, err)
			}
			if s.cfg.Now().Sub(down) > maxOutage {
				return err
			}
		case err != nil || done:
			return err
		default:
			down = time.Time{}
		}
		if !alarm.pause(ctx, tick.C) {
			return s.stopped(ctx)
		}
	}
}

func isDown(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.code == exitUnreachable && !strings.Contains(f.what, "certificate")
}

func (s *session) stopped(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failf(exitTimeout, "timed out after %s; the work goes on", s.flags.timeout)
	}
	return failf(exitInterrupted, "stopped watching; the work goes on")
}

// awaitVerbs are await, and DRP's older wait.
func (g *group) awaitVerbs() []*cobra.Command {
	return []*cobra.Command{g.awaitCmd("await"), g.awaitCmd("wait")}
}

func (g *group) awaitCmd(name string) *cobra.Command {
	var gone string
	c := g.cmd(name+" <id> [condition]...", "Wait until an object is as wanted; conditions are filters of list, joined by and, or.",
		func(ctx context.Context, args []string) error {
			switch {
			case gone == "deleted":
				return g.awaitGone(ctx, args[0])
			case gone != "":
				return failf(exitUsage, "--for knows only deleted, not %q", gone)
			case oldWait(args):
				return g.wait(ctx, args)
			}
			return g.await(ctx, args[0], args[1:])
		})
	c.Flags().StringVar(&gone, "for", "", "deleted: wait until the object is gone")
	id := sampleID(g.name)
	c.Example = fmt.Sprintf("  drpcli %s %s %s Available=true --timeout 5m\n  drpcli %s %s %s 'Meta.ok=yes' or 'Available=false'\n  drpcli %s %s %s --for deleted",
		g.name, name, id, g.name, name, id, g.name, name, id)
	return c
}

// oldWait says that the words are <id> <Field> <value> [<seconds>], as DRP has
// them.
func oldWait(args []string) bool {
	return (len(args) == 3 || len(args) == 4) && !strings.ContainsAny(args[1], "=(") && operators[args[2]] == 0
}

func (g *group) awaitGone(ctx context.Context, ref string) error {
	o, err := g.fetch(ctx, g.kind, ref, nil)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	key := keyOf(g.kind, o)
	err = g.pollOn(ctx, eventsOf(g.name, key), func(ctx context.Context) (bool, error) {
		err := g.conn().get(ctx, at(g.name, key), nil, nil)
		if isNotFound(err) {
			return true, nil
		}
		return false, err
	})
	return about(err, "%s %s, waiting for its end", one(g.name), ref)
}

func (g *group) await(ctx context.Context, ref string, words []string) error {
	want, err := parseCondition(words)
	if err != nil {
		return err
	}
	key, err := g.keyFor(ctx, g.kind, ref)
	if err != nil {
		return err
	}
	err = g.pollOn(ctx, eventsOf(g.name, key), func(ctx context.Context) (bool, error) { return g.holds(ctx, key, want) })
	if err != nil {
		return about(err, "%s %s, waiting for %s", one(g.name), ref, strings.Join(words, " "))
	}
	return g.show(ctx, key, &view{})
}

// wait prints complete, timeout or interrupt, as DRP does.
func (g *group) wait(ctx context.Context, args []string) error {
	if len(args) == 4 {
		d, err := seconds(args[3])
		if err != nil {
			return err
		}
		g.flags.timeout = d
	}
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	err = g.pollOn(ctx, eventsOf(g.name, key), func(ctx context.Context) (bool, error) {
		return g.holds(ctx, key, condition{filter: url.Values{args[1]: {args[2]}}})
	})
	word := "complete"
	switch f := asFailure(err); {
	case err == nil:
	case f.code == exitTimeout:
		word = "timeout"
	case f.code == exitInterrupted:
		word = "interrupt"
	default:
		return err
	}
	return errors.Join(g.line("%s", word), err)
}
