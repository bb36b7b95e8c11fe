package rest

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// extended finds the handler of a request that no route serves, if it is for
// objects of a kind that a plugin provider declares; else nil. Such kinds come
// and go while the server runs, so they have no routes of their own, and those
// of all others cost nothing more.
func (s *server) extended(c echo.Context) echo.HandlerFunc {
	_, path, _ := strings.Cut(echo.GetPath(c.Request()), "/api/v3/")
	part := strings.SplitN(path, "/", 4)
	meta := part[0] == "meta" && len(part) == 3
	if meta {
		part = part[1:]
	}
	if s.kinds[part[0]] != nil {
		return nil
	}
	k := s.kindNamed(part[0])
	if k == nil {
		return nil
	}
	handle := (&kindServer{s, k}).extendedRoute(c.Request().Method, part, meta)
	if handle == nil {
		return nil
	}
	c.SetParamNames("id", "*", "cmd")
	c.SetParamValues(append(part[1:], "", "", "")[0], last(part), last(part))
	decodeNames(c) // the path was taken as it was sent
	return s.limitTime(s.idempotent(handle))
}

func last(part []string) string { return part[len(part)-1] }

// extendedRoute is what kindRoutes are for other kinds, by the parts of a path.
func (h *kindServer) extendedRoute(method string, part []string, meta bool) echo.HandlerFunc {
	form := method + " "
	switch {
	case meta:
		form += "meta"
	case len(part) == 2:
		form += "id"
	case len(part) > 2:
		form += "id/" + part[2]
	}
	if len(part) == 4 {
		form += "/*"
	}
	actions := h.actionTarget()
	return map[string]echo.HandlerFunc{
		"GET ":               h.list,
		"HEAD ":              h.list,
		"POST ":              h.create,
		"GET id":             h.read,
		"HEAD id":            h.read,
		"PUT id":             h.replace,
		"PATCH id":           h.patch,
		"DELETE id":          h.remove,
		"GET meta":           h.getMeta,
		"PATCH meta":         h.patchMeta,
		"GET id/params":      h.getParams,
		"POST id/params":     h.setParams,
		"PATCH id/params":    h.patchParams,
		"GET id/params/*":    h.getParam,
		"POST id/params/*":   h.setParam,
		"DELETE id/params/*": h.deleteParam,
		"GET id/pubkey":      h.publicKey,
		"GET id/actions":     func(c echo.Context) error { return h.listActions(c, actions) },
		"GET id/actions/*":   func(c echo.Context) error { return h.showAction(c, actions) },
		"POST id/actions/*":  func(c echo.Context) error { return h.runAction(c, actions) },
	}[form]
}
