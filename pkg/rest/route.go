package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"drpd/pkg/auth"
)

// Route is one further route below /api/v3. Its function checks the caller's
// claims itself (Request.Allow): nothing is decided for it but, unless it is
// Open, who calls.
type Route struct {
	Method, Path string // as echo has it: /pools-active, /triggers/:id/fire
	Open         bool   // no credentials are asked for; the function checks a key of its own
	Long         bool   // it may wait for as long as the caller asks, beyond Config.Timeout
	Serve        func(ctx context.Context, r Request) (status int, reply any, err error)
}

// Request is what a Route is told of the call.
type Request struct {
	Identity auth.Identity
	Param    func(name string) string
	Query    url.Values
	Header   http.Header
	Body     json.RawMessage // at most BodyLimit bytes of JSON, or empty
	Base     string          // https://host:port as the caller reached us
}

// Allow says whether the caller may do it, as an error that names what.
func (r Request) Allow(scope, action, specific string) error {
	return permitted(r.Identity, scope, action, specific)
}

func (s *server) route(r Route) echo.HandlerFunc {
	return func(c echo.Context) error {
		data, err := optionalBody(c, s.cfg.BodyLimit)
		if err != nil {
			return err
		}
		status, reply, err := r.Serve(c.Request().Context(), Request{Identity: identity(c), Param: c.Param,
			Query: c.QueryParams(), Header: c.Request().Header, Body: data, Base: base(c)})
		if err != nil {
			return err
		}
		return answer(c, status, reply)
	}
}

// answer writes what a function of Config returned.
func answer(c echo.Context, status int, reply any) error {
	if status == 0 {
		status = http.StatusOK
	}
	if reply == nil {
		return noContent(c, status)
	}
	return c.JSON(status, reply)
}

// noContent answers without a body. DRP's client wants a type to decode even
// where there is nothing.
func noContent(c echo.Context, status int) error {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	return c.NoContent(status)
}

// base is the scheme, host and port by which the caller reached us.
func base(c echo.Context) string {
	if c.Request().TLS != nil {
		return "https://" + c.Request().Host
	}
	return "http://" + c.Request().Host
}

// read serves GET /<kind>/<id>/<name>.
func (h *kindServer) readVerb(c echo.Context) error {
	name := c.Param("verb")
	verb := h.cfg.Reads[h.kind.KindName()+"/"+name]
	if verb == nil {
		return noRoute(c)
	}
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	if err := allow(c, o.Kind, "action:"+name, o.Key); err != nil {
		return err
	}
	status, reply, err := verb(c.Request().Context(), o, nil, c.QueryParams())
	if err != nil {
		return err
	}
	return answer(c, status, reply)
}
