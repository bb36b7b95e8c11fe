package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

const identityKey = "identity"

func identity(c echo.Context) auth.Identity {
	id, _ := c.Get(identityKey).(auth.Identity)
	return id
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// request gives each request an id, recovers panics, and logs every change
// with who made it.
func (s *server) request(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if id == "" || len(id) > 64 {
			id = uuid.NewString()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		decodeNames(c)
		start := s.cfg.Now()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			if err != nil {
				c.Error(err)
			}
			s.audit(c, start)
			err = nil
		}()
		return next(c)
	}
}

// decodeNames decodes the names in a URL, once and here only: echo gives them
// as they were sent if that differs from the usual form, else decoded. Whoever
// decoded again would take a%2541 for aA, and overwrite that file.
func decodeNames(c echo.Context) {
	if c.Request().URL.RawPath == "" {
		return
	}
	values := slices.Clone(c.ParamValues())
	for i, v := range values {
		if name, err := url.PathUnescape(v); err == nil { // net/url took the whole path already
			values[i] = name
		}
	}
	c.SetParamValues(values...)
}

// audit records every change, also those that were refused. What is no change
// of an object, and what nobody did whom we know, is only logged.
func (s *server) audit(c echo.Context, start time.Time) {
	r, id := c.Request(), identity(c)
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	if id.Name != "" && !strings.HasSuffix(c.Path(), "/log") {
		s.cfg.Auth.Audit(r.Context(), auth.Record{Action: r.Method, Actor: id.Name, Status: c.Response().Status})
		return
	}
	s.cfg.Log.Info("change", "actor", id.Name, "method", r.Method, "path", r.URL.Path,
		"status", c.Response().Status, "client", c.RealIP(), "request", requestID(c), "took", s.cfg.Now().Sub(start))
}

// authenticate finds out who calls, and notes it for what is done in their name.
func (s *server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		ctx := resource.WithOrigin(r.Context(), resource.Origin{Address: c.RealIP(), Request: requestID(c), Method: r.Method, Path: r.URL.Path})
		id, err := s.cfg.Auth.Authenticate(ctx, r)
		if err != nil {
			return err
		}
		c.Set(identityKey, id)
		if s.cfg.Closed != nil {
			if err := s.cfg.Closed(id, r.Method, r.URL.Path); err != nil {
				return err
			}
		}
		ctx = resource.WithGuard(resource.WithActor(ctx, id.Name), id.Guard())
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

func (s *server) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout+waitFor(c.Request()))
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// allow refuses what the caller may not do.
func allow(c echo.Context, scope, action, specific string) error {
	return permitted(identity(c), scope, action, specific)
}

func permitted(id auth.Identity, scope, action, specific string) error {
	if !id.Allow(scope, action, specific) {
		return resource.Errorf(resource.Forbidden, scope, specific, "%s may not %s %s %s", id.Name, action, scope, specific)
	}
	return nil
}

// maxNesting bounds objects within objects.
const maxNesting = 64

// body reads a JSON body of at most limit bytes.
func body(c echo.Context, limit int64) ([]byte, error) {
	ct := c.Request().Header.Get(echo.HeaderContentType)
	if !strings.Contains(ct, "application/json") {
		return nil, failf(http.StatusUnsupportedMediaType, "BadRequest", "content type is %q, send application/json", ct)
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, limit))
	if err != nil {
		return nil, err
	}
	return data, checkNesting(data)
}

// optionalBody is body for operations that need none.
func optionalBody(c echo.Context, limit int64) ([]byte, error) {
	if c.Request().ContentLength == 0 {
		return nil, nil
	}
	return body(c, limit)
}

func checkNesting(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			if depth++; depth > maxNesting {
				return resource.Errorf(resource.Malformed, "", "", "the body nests deeper than %d levels", maxNesting)
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return nil
}

// bodyInto reads a JSON body into v.
func (s *server) bodyInto(c echo.Context, v any) error {
	data, err := body(c, s.cfg.BodyLimit)
	if err != nil {
		return err
	}
	return fromJSON(data, v)
}

func fromJSON(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return resource.Errorf(resource.Malformed, "", "", "the body is not the JSON wanted here: %v", err)
	}
	return nil
}
