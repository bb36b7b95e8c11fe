package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// compressFrom is the least reply that is worth compressing, in bytes.
const compressFrom = 1 << 10

// compress packs replies with gzip for who accepts it, as they are written. Not
// those that are streams, files (packed already, and read in ranges) or logs,
// which are read from a byte on; nor tokens, whose length would tell of them.
func compress() echo.MiddlewareFunc {
	return middleware.GzipWithConfig(middleware.GzipConfig{Level: 1, MinLength: compressFrom, Skipper: func(c echo.Context) bool {
		p := c.Path()
		return c.Request().Method == http.MethodHead || slices.ContainsFunc([]string{"/ws", "/events/stream", "/files/*", "/isos/*", "/log", "/token"},
			func(end string) bool { return strings.HasSuffix(p, end) })
	}})
}

// exposed are the headers that pages of other origins may read.
const exposed = "ETag, Location, X-DRP-LIST-COUNT, X-DRP-LIST-TOTAL-COUNT, X-DRP-LIST-FILTER-COUNT, X-DRP-SHA256SUM, X-DRP-LOG-SIZE, X-DRP-LOG-END, X-DRP-Reason, X-Request-Id"

// crossOrigin lets pages of every origin call the API, as DRP does. They are
// told "*", so browsers never add credentials of their own: a page has to know
// a token.
func crossOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, head := c.Request(), c.Response().Header()
		if r.Header.Get(echo.HeaderOrigin) == "" || !strings.HasPrefix(r.URL.Path, "/api/") {
			return next(c)
		}
		head.Set(echo.HeaderAccessControlAllowOrigin, "*")
		head.Set(echo.HeaderAccessControlExposeHeaders, exposed)
		if r.Method != http.MethodOptions || r.Header.Get(echo.HeaderAccessControlRequestMethod) == "" {
			return next(c)
		}
		head.Set(echo.HeaderAccessControlAllowMethods, "GET, HEAD, POST, PUT, PATCH, DELETE")
		// "*" does not cover Authorization: what is asked for is named.
		head.Set(echo.HeaderAccessControlAllowHeaders, r.Header.Get(echo.HeaderAccessControlRequestHeaders))
		head.Set(echo.HeaderAccessControlMaxAge, "600")
		head.Add(echo.HeaderVary, echo.HeaderAccessControlRequestHeaders)
		return c.NoContent(http.StatusNoContent)
	}
}
