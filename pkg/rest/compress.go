package rest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"
)

// compressFrom is the least reply that is worth compressing, in bytes.
const compressFrom = 1 << 10

// compress packs replies with gzip for who accepts it, as they are written. Not
// those that are streams, files (packed already, and read in ranges) or logs,
// which are read from a byte on; nor tokens, whose length would tell of them.
func compress() echo.MiddlewareFunc {
	pool := &sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }} // the level is a valid one
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !compressible(c) {
				return next(c)
			}
			res := c.Response()
			res.Header().Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
			w := &packer{ResponseWriter: res.Writer, pool: pool}
			res.Writer = w
			err := next(c)
			res.Writer = w.ResponseWriter
			return errors.Join(err, w.finish())
		}
	}
}

func compressible(c echo.Context) bool {
	r, p := c.Request(), c.Path()
	if r.Method == http.MethodHead || !acceptsGzip(r.Header.Get(echo.HeaderAcceptEncoding)) {
		return false
	}
	return !slices.ContainsFunc([]string{"/ws", "/events/stream", "/files/*", "/isos/*", "/log", "/token"},
		func(end string) bool { return strings.HasSuffix(p, end) })
}

func acceptsGzip(accept string) bool {
	for word := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(strings.ReplaceAll(word, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.TrimPrefix(q, "q="), "0.") != "" || q == ""
		}
	}
	return false
}

// packer holds back the first bytes of a reply until it is known whether
// packing is worth it.
type packer struct {
	http.ResponseWriter
	pool   *sync.Pool
	status int
	held   []byte
	z      *gzip.Writer // nil: not packing
}

func (p *packer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// WriteHeader waits for the first bytes.
func (p *packer) WriteHeader(status int) { p.status = status }

func (p *packer) Write(b []byte) (int, error) {
	if p.z != nil {
		return p.z.Write(b)
	}
	if p.held = append(p.held, b...); len(p.held) < compressFrom {
		return len(b), nil
	}
	head := p.Header()
	head.Set(echo.HeaderContentEncoding, "gzip")
	head.Del(echo.HeaderContentLength)
	p.z = p.pool.Get().(*gzip.Writer)
	p.z.Reset(p.ResponseWriter)
	p.begin()
	_, err := p.z.Write(p.held)
	p.held = nil
	return len(b), err
}

func (p *packer) begin() {
	if p.status != 0 {
		p.ResponseWriter.WriteHeader(p.status)
	}
}

// finish writes what is held back.
func (p *packer) finish() error {
	if p.z != nil {
		err := p.z.Close()
		p.pool.Put(p.z)
		return err
	}
	p.begin()
	if len(p.held) == 0 {
		return nil
	}
	_, err := p.ResponseWriter.Write(p.held)
	return err
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
