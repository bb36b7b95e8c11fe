package rest

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

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
	if h.kind.KindName() == api.Files.Name || h.kind.KindName() == "isos" {
		if c.QueryParams().Has("path") {
			return h.listFolder(c, h.kind.KindName())
		}
	}
	q, err := parseQuery(c.QueryParams())
	if err != nil {
		return err
	}
	found, err := h.find(c, q)
	if err != nil {
		return err
	}
	page := found[min(q.offset, len(found)):]
	if q.limit >= 0 {
		page = page[:min(q.limit, len(page))]
	}
	c.Response().Header().Set("X-DRP-LIST-COUNT", strconv.Itoa(len(page)))
	c.Response().Header().Set("X-DRP-LIST-TOTAL-COUNT", strconv.Itoa(len(found)))
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	return h.writeList(c, page, q.view)
}

func (h *kindServer) find(c echo.Context, q query) ([]resource.Object, error) {
	v := h.cfg.DB.View()
	f := h.fieldsOf(h.kind, v)
	if err := f.check(q); err != nil {
		return nil, err
	}
	id, kind := identity(c), h.kind.KindName()
	var found []resource.Object
	for o := range h.candidates(v, q) {
		if len(found)%256 == 0 && c.Request().Context().Err() != nil {
			return nil, c.Request().Context().Err()
		}
		if q.holds(f, o) && id.Allow(kind, "list", o.Key) {
			found = append(found, o)
		}
	}
	h.order(f, q, found)
	return found, nil
}

// candidates narrows a list by an index if a filter wants one exact value.
func (h *kindServer) candidates(v *resource.View, q query) iter.Seq[resource.Object] {
	for key, conds := range q.any {
		exact := len(conds) == 1 && conds[0].op == "Eq" && conds[0].args[0] != ""
		// addresses and times may be equal without having the same spelling
		if exact && slices.Contains(h.kind.IndexNames(), key) && plainText(conds[0].args[0]) {
			return h.kind.EachBy(v, key, conds[0].args[0])
		}
	}
	return h.kind.Each(v)
}

func plainText(s string) bool {
	_, notAddr := netip.ParseAddr(s)
	_, notTime := time.Parse(time.RFC3339Nano, s)
	return notAddr != nil && notTime != nil
}

func (h *kindServer) order(f *fields, q query, found []resource.Object) {
	if len(q.sort) > 0 {
		keys := make(map[string][]any, len(found))
		for _, o := range found {
			for _, by := range q.sort {
				keys[o.Key] = append(keys[o.Key], first(f.of(o, by)))
			}
		}
		slices.SortStableFunc(found, func(a, b resource.Object) int {
			for i := range q.sort {
				if n := rank(keys[a.Key][i], keys[b.Key][i]); n != 0 {
					return n
				}
			}
			return 0
		})
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

// rank orders two values of objects: no value, then numbers, then the rest.
func rank(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	_, an := a.(float64)
	_, bn := b.(float64)
	switch {
	case an && !bn:
		return -1
	case bn && !an:
		return 1
	}
	return compare(a, text(b))
}

func (h *kindServer) writeList(c echo.Context, page []resource.Object, view shape) error {
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write([]byte("[")); err != nil {
		return err
	}
	for i, o := range page {
		data, err := h.render(o, view)
		if err != nil {
			return fmt.Errorf("render %s/%s: %w", o.Kind, o.Key, err)
		}
		if i > 0 {
			data = append([]byte(","), data...)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	_, err := w.Write([]byte("]\n"))
	return err
}

// shape thins out objects: slim drops Params or Meta, only keeps some params.
type shape struct {
	slim []string
	only []string
}

func shapeOf(q url.Values) shape {
	split := func(key string) (out []string) {
		for _, v := range q[key] {
			for s := range strings.SplitSeq(v, ",") {
				if s = strings.TrimSpace(s); s != "" {
					out = append(out, s)
				}
			}
		}
		return out
	}
	return shape{slim: split("slim"), only: split("params")}
}

// render returns the JSON of an object as a reply shows it.
func (h *kindServer) render(o resource.Object, view shape) ([]byte, error) {
	if p, ok := o.Val.(*api.ContentPack); ok {
		return json.Marshal(summary(p))
	}
	if len(view.slim) == 0 && len(view.only) == 0 {
		return o.JSON, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(o.JSON, &m); err != nil {
		return nil, err
	}
	for _, name := range view.slim {
		if name == "Params" || name == "Meta" {
			delete(m, name)
		}
	}
	if p := h.kind.ParamsOf(o.Val); p != nil {
		if len(view.only) > 0 {
			some := resource.Params{}
			for _, name := range view.only {
				if v, ok := (*p)[name]; ok {
					some[name] = v
				}
			}
			data, err := json.Marshal(some)
			if err != nil {
				return nil, err
			}
			m["Params"] = data
		}
		m["Partial"] = json.RawMessage("true")
	}
	return json.Marshal(m)
}
