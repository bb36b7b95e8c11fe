package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"drpd/pkg/client"
)

// view is how much of each object is wanted.
type view struct {
	limit, offset     int
	slim, params      string
	decode, aggregate bool
	watch, watchOnly  bool
}

func (v *view) declare(f *pflag.FlagSet) {
	f.StringVar(&v.slim, "slim", "", "leave out Params, Meta or both")
	f.StringVar(&v.params, "params", "", "show only these params, separated by commas")
	f.BoolVar(&v.decode, "decode", false, "open secure params")
	f.BoolVar(&v.aggregate, "aggregate", false, "with what profiles, stage and defaults give")
	f.BoolVarP(&v.watch, "watch", "w", false, "go on with every change, until stopped")
	f.BoolVar(&v.watchOnly, "watch-only", false, "show changes only")
}

func (v *view) page(f *pflag.FlagSet) {
	f.IntVar(&v.limit, "limit", -1, "at most so many")
	f.IntVar(&v.offset, "offset", -1, "leave out so many first")
}

func (v *view) into(q url.Values) {
	for name, n := range map[string]int{"limit": v.limit, "offset": v.offset} {
		if n >= 0 {
			q.Set(name, strconv.Itoa(n))
		}
	}
	v.shape(q)
}

func (v *view) shape(q url.Values) {
	for name, text := range map[string]string{"slim": v.slim, "params": v.params} {
		if text != "" {
			q.Set(name, text)
		}
	}
	for name, on := range map[string]bool{"decode": v.decode, "aggregate": v.aggregate} {
		if on {
			q.Set(name, "true")
		}
	}
}

// change is what --etag and --wait look for.
type change struct{ etag, wait string }

func (w *change) declare(f *pflag.FlagSet) {
	f.StringVar(&w.etag, "etag", "", "with --wait: the revision already known; default the present one")
	f.StringVar(&w.wait, "wait", "", "wait so long for a change first, such as 30 (seconds) or 5m")
}

func (g *group) readVerbs() []*cobra.Command {
	v := &view{limit: -1, offset: -1}
	list := g.cmd("list [Field=value]...", "List "+g.name+", all or those that filters let through.", func(ctx context.Context, args []string) error {
		return g.list(ctx, args, v)
	})
	list.Example = fmt.Sprintf("  drpcli %s list\n  drpcli %s list Available=true sort=%s limit=10\n  drpcli %s list 'Meta.rack=Re(^r0[1-4])' -J %s,Meta.rack",
		g.name, g.name, keyField(g.kind), g.name, keyField(g.kind))
	v.declare(list.Flags())
	v.page(list.Flags())
	count := g.cmd("count [Field=value]...", "Count "+g.name+", all or those that filters let through.", g.count)
	var w, e change
	sv := &view{limit: -1, offset: -1}
	show := g.cmd("show <id>", "Show one "+one(g.name)+".", func(ctx context.Context, args []string) error {
		if err := g.await304(ctx, args[0], w); err != nil {
			return err
		}
		return g.show(ctx, args[0], sv)
	})
	sv.declare(show.Flags())
	w.declare(show.Flags())
	exists := g.cmd("exists <id>", "Exit 0 if it exists, 3 if not.", func(ctx context.Context, args []string) error {
		if err := g.await304(ctx, args[0], e); err != nil {
			return err
		}
		_, err := g.fetch(ctx, g.kind, args[0], nil)
		return err
	})
	e.declare(exists.Flags())
	return []*cobra.Command{list, show, exists, count,
		g.cmd("indexes", "List the indexes for filters.", g.indexes),
		g.cmd("etag <id>", "Print the revision of an object, which changes with it.", g.etag)}
}

func (g *group) list(ctx context.Context, args []string, v *view) error {
	q, err := filters(args)
	if err != nil {
		return err
	}
	v.into(q)
	if g.isTable() && g.flags.fields == "" && !q.Has("slim") && !q.Has("params") {
		q.Set("slim", "Params,Meta")
	}
	if by := g.listOrder(); g.isTable() && by != "" && !q.Has("sort") {
		q.Set("sort", by)
	}
	if v.watch || v.watchOnly {
		return g.watchList(ctx, q, !v.watchOnly)
	}
	list := []doc{}
	if err := g.conn().get(ctx, at(g.name), q, &list); err != nil {
		return about(err, "list %s", g.name)
	}
	if err := g.print(g.name, list); err != nil {
		return err
	}
	if g.isTable() && len(list) == 0 {
		g.note("no %s%s", g.name, map[bool]string{true: " match"}[len(args) > 0])
	}
	return g.strictErrors(list...)
}

// strictErrors is --exit-early: an object that has errors is a failure.
func (s *session) strictErrors(list ...doc) error {
	if !s.flags.exitEarly {
		return nil
	}
	for _, d := range list {
		if errs := d.list("Errors"); len(errs) > 0 {
			return failf(exitOther, "%s has errors: %s", nameOf(d), text(errs))
		}
	}
	return nil
}

// listOrder is how people expect a list whose keys tell them nothing.
func (g *group) listOrder() string {
	switch {
	case !byUUID(g.kind):
		return ""
	case slices.Contains(g.kind.IndexNames(), "Name"):
		return "Name"
	case g.name == "jobs":
		return "StartTime"
	case g.name == "work_orders":
		return "CreateTime"
	}
	return ""
}

func (g *group) show(ctx context.Context, ref string, v *view) error {
	q := url.Values{}
	v.shape(q)
	if v.watch || v.watchOnly {
		key, err := g.keyFor(ctx, g.kind, ref)
		if err != nil {
			return err
		}
		q.Set(g.keyIndex(), "Eq("+key+")")
		return g.watchList(ctx, q, !v.watchOnly)
	}
	o, err := g.fetch(ctx, g.kind, ref, q)
	if err != nil {
		return about(err, "show %s", one(g.name))
	}
	if err := g.print(g.name, o); err != nil {
		return err
	}
	return g.strictErrors(o)
}

// keyIndex is the filter for a key.
func (g *group) keyIndex() string {
	if byUUID(g.kind) {
		return "Uuid"
	}
	return keyField(g.kind)
}

func (g *group) count(ctx context.Context, args []string) error {
	q, err := filters(args)
	if err != nil {
		return err
	}
	r, err := g.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: at(g.name), Query: q})
	if err != nil {
		return about(err, "count %s", g.name)
	}
	return g.line("%s", r.Header.Get("X-DRP-LIST-TOTAL-COUNT"))
}

func (g *group) indexes(ctx context.Context, _ []string) error {
	var out doc
	if err := g.conn().get(ctx, at("indexes", g.name), nil, &out); err != nil {
		return about(err, "indexes of %s", g.name)
	}
	return g.print("", out)
}

func (g *group) etag(ctx context.Context, args []string) error {
	tag, err := g.tagOf(ctx, args[0])
	if err != nil {
		return about(err, "etag of %s %s", one(g.name), args[0])
	}
	return g.line("%s", tag)
}

func (g *group) tagOf(ctx context.Context, ref string) (string, error) {
	r, err := g.conn().raw(ctx, client.Request{Method: http.MethodHead, Path: at(g.name, refOf(g.kind, ref))})
	if err != nil {
		return "", err
	}
	return r.Header.Get("ETag"), nil
}

// await304 waits until an object is no longer at a revision.
func (g *group) await304(ctx context.Context, ref string, w change) error {
	if w.wait == "" {
		return nil
	}
	d, err := seconds(w.wait)
	if err != nil {
		return err
	}
	tag := w.etag
	if tag == "" {
		if tag, err = g.tagOf(ctx, ref); err != nil {
			return about(err, "%s %s", one(g.name), ref)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err = g.poll(ctx, func(ctx context.Context) (bool, error) {
		now, err := g.tagOf(ctx, ref)
		return strings.Trim(now, `"`) != strings.Trim(tag, `"`), err
	})
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failf(exitTimeout, "%s %s did not change in %s", one(g.name), ref, d)
	}
	return err
}

// seconds reads a duration; a bare number is seconds.
func seconds(text string) (time.Duration, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, failf(exitUsage, "%q is neither a number of seconds nor a duration such as 5m", text)
	}
	return d, nil
}
