package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"drpd/pkg/client"
)

// listWatch shows a list and then what happens to what it selects.
type listWatch struct {
	*group
	query   url.Values
	initial bool // the objects as they are come first
	last    string
	shown   bool
	columns []column
	widths  []int
}

// watchList goes on until it is stopped, whatever becomes of the connection.
func (g *group) watchList(ctx context.Context, q url.Values, initial bool) error {
	w := &listWatch{group: g, query: q, initial: initial}
	if g.formatOf() == "json" {
		g.flags.format = "jsonl" // a list has an end, this has none
	}
	return g.poll(ctx, func(ctx context.Context) (bool, error) { return false, w.stream(ctx) })
}

func (w *listWatch) stream(ctx context.Context) error {
	c := w.conn()
	if c.err != nil {
		return c.err
	}
	for m, err := range c.api.Events(ctx, w.last, w.name+".*.*") {
		if err != nil {
			return c.worded(ctx, err)
		}
		w.last = m.ID
		switch m.Kind {
		case client.Connected:
			err = w.first(ctx)
		case client.Lagged:
			w.note("some changes were lost; the list follows anew")
			w.shown = false
			return nil
		case client.Happened:
			err = w.event(ctx, m.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// first shows the list once the stream is open, so that nothing is missed.
func (w *listWatch) first(ctx context.Context) error {
	if w.shown {
		return nil
	}
	w.shown = true
	list := []doc{}
	if err := w.conn().get(ctx, at(w.name), w.query, &list); err != nil {
		return about(err, "list %s", w.name)
	}
	rows := bare(list).([]any)
	w.columns = w.columnsOf(w.name, rows)
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = w.cells(r)
	}
	_, w.widths = w.fit(w.columns, cells)
	if !w.initial {
		return nil
	}
	if w.isTable() {
		return w.drawTable(w.columns, rows)
	}
	return w.print(w.name, list)
}

func (w *listWatch) cells(row any) []string {
	out := make([]string, len(w.columns))
	for j, c := range w.columns {
		out[j] = cell(field(row, c.Path))
	}
	return out
}

// event shows one change if the filters let the object through. A deleted one
// passes them no more, but it is news all the same.
func (w *listWatch) event(ctx context.Context, data []byte) error {
	var e struct {
		Time        time.Time
		Action, Key string
		Object      doc
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if e.Action != "delete" {
		o, err := w.matches(ctx, e.Key, w.selecting())
		if isNotFound(err) || err == nil && o.val == nil {
			return nil
		}
		if err != nil {
			return err
		}
		e.Object = o
	}
	if !w.isTable() {
		return w.print(w.name, e.Object)
	}
	keep := make([]int, len(w.columns))
	for j := range keep {
		keep[j] = j
	}
	cells := append([]string{e.Time.UTC().Format("15:04:05"), e.Action}, w.cells(e.Object)...)
	return w.row(cells, append([]int{0, 1}, shifted(keep, 2)...), append([]int{8, 6}, w.widths...))
}

func shifted(list []int, by int) []int {
	out := slices.Clone(list)
	for i := range out {
		out[i] += by
	}
	return out
}

// selecting is the query without what only arranges a list.
func (w *listWatch) selecting() url.Values {
	q := url.Values{}
	for k, v := range w.query {
		if !slices.Contains([]string{"sort", "reverse", "limit", "offset"}, k) {
			q[k] = v
		}
	}
	return q
}
