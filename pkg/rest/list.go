package rest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// kindServer serves one kind.
type kindServer struct {
	*server
	kind resource.Any
}

// list answers GET and HEAD of a whole kind: what the caller may see and the
// filters let through.
func (h *kindServer) list(c echo.Context) error {
	if h.kind.KindName() == api.Files.Name && wantsNames(c) {
		return h.listFolder(c, api.Files.Name)
	}
	q, err := parseQuery(c.QueryParams())
	if err != nil {
		return h.ours(err)
	}
	v := h.cfg.DB.View()
	found, err := h.find(c, v, q)
	if err != nil {
		return h.ours(err)
	}
	page := q.page(found)
	c.Response().Header().Set("X-DRP-LIST-COUNT", strconv.Itoa(len(page)))
	c.Response().Header().Set("X-DRP-LIST-TOTAL-COUNT", strconv.Itoa(len(found)))
	c.Response().Header().Set("X-DRP-LIST-FILTER-COUNT", strconv.Itoa(len(found))) // what drpcli count reads
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	if err := h.mayDecode(c, page, q.view); err != nil {
		return err
	}
	return h.writeList(c, v, page, q.view)
}

// ours adds the kind to an error that names none.
func (h *kindServer) ours(err error) error {
	return keyed(err, resource.Object{Kind: h.kind.KindName()})
}

// page is the part of a list that offset and limit leave.
func (q query) page(found []resource.Object) []resource.Object {
	page := found[min(q.offset, len(found)):]
	if q.limit >= 0 {
		page = page[:min(q.limit, len(page))]
	}
	return page
}

// mayDecode checks that the caller may see the secure params of all of them.
func (h *kindServer) mayDecode(c echo.Context, page []resource.Object, view shape) error {
	if !view.decode {
		return nil
	}
	if h.cfg.Params == nil {
		return notWired("decode")
	}
	for _, o := range page {
		if err := allow(c, o.Kind, "getSecure", o.Key); err != nil {
			return err
		}
	}
	return nil
}

func (h *kindServer) find(c echo.Context, v *resource.View, q query) ([]resource.Object, error) {
	f := h.fieldsOf(h.kind, v)
	if err := f.check(&q); err != nil {
		return nil, err
	}
	id, kind, n := identity(c), h.kind.KindName(), 0
	var found []resource.Object
	for o := range h.candidates(v, f, q) {
		if n++; n%256 == 0 && c.Request().Context().Err() != nil {
			return nil, c.Request().Context().Err()
		}
		if q.holds(f, o) && id.Allow(kind, "list", o.Key) {
			found = append(found, o)
		}
	}
	h.order(f, q, found)
	return found, nil
}

// maxUnion bounds how many values of an index are looked up one by one.
const maxUnion = 64

// candidates narrows a list by an index if all that a key's filters want are
// exact values.
func (h *kindServer) candidates(v *resource.View, f *fields, q query) iter.Seq[resource.Object] {
	for _, key := range q.keys() {
		if values, exact := q.exact(key); exact && len(values) <= maxUnion && f.narrows(key) {
			return h.union(v, key, values)
		}
	}
	return h.kind.Each(v)
}

// union yields the objects with one of the values under an index, in the order
// of their keys.
func (h *kindServer) union(v *resource.View, index string, values []string) iter.Seq[resource.Object] {
	if len(values) == 1 {
		return h.kind.EachBy(v, index, values[0])
	}
	seen := map[string]resource.Object{}
	for _, value := range values {
		for o := range h.kind.EachBy(v, index, value) {
			seen[o.Key] = o
		}
	}
	all := make([]resource.Object, 0, len(seen))
	for _, o := range seen {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b resource.Object) int { return strings.Compare(a.Key, b.Key) })
	return slices.Values(all)
}

func (h *kindServer) order(f *fields, q query, found []resource.Object) {
	if len(q.sort) > 0 {
		type placed struct {
			resource.Object
			at []value
		}
		all := make([]placed, len(found))
		for i, o := range found {
			all[i] = placed{o, make([]value, len(q.sort))}
			for j, by := range q.sort {
				all[i].at[j] = sortValue(first(f.of(o, by)))
			}
		}
		slices.SortStableFunc(all, func(a, b placed) int { return slices.CompareFunc(a.at, b.at, value.rank) })
		for i, p := range all {
			found[i] = p.Object
		}
	}
	if q.reverse {
		slices.Reverse(found)
	}
}

func first(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

// writeList copies the kept JSON of objects into the reply, thinned out as
// asked. It is the hot path of lists: nothing is decoded here.
func (h *kindServer) writeList(c echo.Context, v *resource.View, page []resource.Object, view shape) error {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	c.Response().WriteHeader(http.StatusOK)
	size := 64
	for _, o := range page {
		if size += len(o.JSON) + 1; size > 64<<10 {
			break
		}
	}
	w := bufio.NewWriterSize(c.Response(), min(size, 64<<10))
	_ = w.WriteByte('[') // Flush returns the first error
	var buf []byte
	for i, o := range page {
		data, err := h.render(buf[:0], v, o, view)
		if err != nil {
			return fmt.Errorf("render %s/%s: %w", o.Kind, o.Key, err)
		}
		if i > 0 {
			_ = w.WriteByte(',')
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		if view.thins() {
			buf = data
		}
	}
	_, _ = w.WriteString("]\n")
	return w.Flush()
}

// render returns the JSON of an object as a reply shows it: the kept one, or
// one that is made in the space of to.
func (h *kindServer) render(to []byte, r resource.Reader, o resource.Object, view shape) ([]byte, error) {
	if p, ok := o.Val.(*api.ContentPack); ok {
		return json.Marshal(h.summary(r, p))
	}
	if !view.thins() {
		return o.JSON, nil
	}
	var plain []byte
	if view.decode {
		m, err := h.cfg.Params(r, o, false, true)
		if err != nil {
			return nil, err
		}
		if plain, err = json.Marshal(m); err != nil {
			return nil, err
		}
	}
	return view.cut(to, o.JSON, plain, h.kind.ParamsOf(o.Val) != nil), nil
}
