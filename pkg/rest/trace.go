package rest

import (
	"context"
	"log/slog"
	"strings"

	"github.com/labstack/echo/v4"
)

// Trace is what a request asks of the log by X-Log-Request and X-Log-Token.
type Trace struct {
	Level slog.Level // the least that is logged for this request
	Token string     // by which its lines are found
}

type traceKey struct{}

// TraceOf is the trace of the request that ctx belongs to.
func TraceOf(ctx context.Context) (Trace, bool) {
	t, ok := ctx.Value(traceKey{}).(Trace)
	return t, ok
}

// maxTraceToken bounds what a caller puts into the log, in bytes.
const maxTraceToken = 128

// traced logs a request as closely as it asks for, whatever the preferences.
func (s *server) traced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		want := strings.ToLower(r.Header.Get("X-Log-Request"))
		if want == "" {
			return next(c)
		}
		token := r.Header.Get("X-Log-Token")
		t := Trace{Level: slog.LevelDebug, Token: strings.Map(printable, token[:min(len(token), maxTraceToken)])}
		switch want {
		case "info":
			t.Level = slog.LevelInfo
		case "warn":
			t.Level = slog.LevelWarn
		case "error", "fatal", "panic", "audit":
			t.Level = slog.LevelError
		}
		ctx := context.WithValue(r.Context(), traceKey{}, t)
		c.SetRequest(r.WithContext(ctx))
		log := s.cfg.Log.With("actor", identity(c).Name, "token", t.Token, "request", requestID(c))
		log.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery, "client", c.RealIP(), "length", r.ContentLength)
		start := s.cfg.Now()
		err := next(c)
		status := c.Response().Status
		if err != nil {
			status = replyOf(err, r.Method).Code
		}
		log.DebugContext(ctx, "reply", "status", status, "length", c.Response().Size, "took", s.cfg.Now().Sub(start), "err", err)
		return err
	}
}
