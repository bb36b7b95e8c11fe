package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxOutage is how long following goes on while the server does not answer.
const maxOutage = 2 * time.Minute

// poll calls look until it is done. A server that restarts meanwhile does not
// end it; --timeout and Ctrl-C do, and the work goes on.
func (s *session) poll(ctx context.Context, look func(ctx context.Context) (done bool, err error)) error {
	if s.flags.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.flags.timeout)
		defer cancel()
	}
	tick := time.NewTicker(s.cfg.Poll)
	defer tick.Stop()
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
		select {
		case <-ctx.Done():
			return s.stopped(ctx)
		case <-tick.C:
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

func (g *group) awaitCmd() *cobra.Command {
	var gone string
	c := g.cmd("await <id> ['Field=Value'...]", "Wait until an object is as wanted; the conditions are those of list.", cobra.MinimumNArgs(1),
		func(ctx context.Context, args []string) error {
			if gone != "" && gone != "deleted" {
				return failf(exitUsage, "--for knows only deleted, not %q", gone)
			}
			if gone == "" && len(args) < 2 {
				return failf(exitUsage, "say what to wait for: Field=Value, or --for deleted")
			}
			return g.await(ctx, args[0], args[1:], gone != "")
		})
	c.Flags().StringVar(&gone, "for", "", "deleted: wait until the object is gone")
	c.Example = fmt.Sprintf("  drpcli %s await x Available=true --timeout 5m\n  drpcli %s await x --for deleted", g.name, g.name)
	return c
}

func (g *group) await(ctx context.Context, ref string, conditions []string, gone bool) error {
	q, err := filters(conditions)
	if err != nil {
		return err
	}
	o, err := g.fetch(ctx, g.kind, ref, nil)
	if gone && isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	key := keyOf(g.kind, o)
	err = g.poll(ctx, func(ctx context.Context) (bool, error) {
		if gone {
			err := g.conn().get(ctx, at(g.name, key), nil, nil)
			if isNotFound(err) {
				return true, nil
			}
			return false, err
		}
		found, err := g.matches(ctx, key, q)
		o = found
		return found != nil, err
	})
	if err != nil || gone {
		return about(err, "%s %s, waiting for %s", one(g.name), ref, strings.Join(conditions, " "))
	}
	return g.print(g.name, o)
}

// matches asks the server whether one object passes filters; an object that is
// gone never will.
func (g *group) matches(ctx context.Context, key string, q url.Values) (object, error) {
	mine := url.Values{}
	for k, v := range q {
		mine[k] = v
	}
	field := keyField(g.kind)
	if byUUID(g.kind) {
		field = "Uuid"
	}
	mine.Add(field, "Eq("+key+")")
	var list []object
	if err := g.conn().get(ctx, at(g.name), mine, &list); err != nil {
		return nil, err
	}
	if len(list) > 0 {
		return list[0], nil
	}
	return nil, g.conn().get(ctx, at(g.name, key), nil, nil)
}

// waitCmd is DRP's older form of await.
func (g *group) waitCmd() *cobra.Command {
	c := g.cmd("wait <id> <Field> <value> [<seconds>]", "Wait for one value; prints complete, timeout or interrupt, as DRP does.", cobra.RangeArgs(3, 4),
		func(ctx context.Context, args []string) error {
			if len(args) == 4 {
				n, err := strconv.Atoi(args[3])
				if err != nil || n <= 0 {
					return failf(exitUsage, "%q is not a number of seconds", args[3])
				}
				g.flags.timeout = time.Duration(n) * time.Second
			}
			q := url.Values{args[1]: {args[2]}}
			key, err := g.keyFor(ctx, g.kind, args[0])
			if err != nil {
				return err
			}
			err = g.poll(ctx, func(ctx context.Context) (bool, error) {
				o, err := g.matches(ctx, key, q)
				return o != nil, err
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
		})
	return c
}
