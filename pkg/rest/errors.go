package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// ErrorReply is the body of every error.
type ErrorReply struct {
	Model    string
	Key      string
	Type     string
	Messages []string
	Code     int // the HTTP status again
}

// Error makes a reply an error, for what a plugin answers with.
func (r ErrorReply) Error() string { return strings.Join(r.Messages, "; ") }

// fail is an error whose status does not follow from its class. An empty kind
// stands for the method of the request.
type fail struct {
	status int
	kind   string
	err    error
}

func (f *fail) Error() string { return f.err.Error() }
func (f *fail) Unwrap() error { return f.err }

func failf(status int, typ, format string, args ...any) error {
	return &fail{status, typ, resource.Errorf("", "", "", format, args...)}
}

// statusOf is the one table from classes of errors to HTTP.
func statusOf(code resource.Code, verb string) (int, string) {
	switch code {
	case resource.NotFound:
		return http.StatusNotFound, verb
	case resource.Conflict:
		return http.StatusConflict, conflictType(verb)
	case resource.Invalid:
		return http.StatusUnprocessableEntity, "ValidationError"
	case resource.Malformed:
		return http.StatusBadRequest, verb
	case resource.Forbidden:
		return http.StatusForbidden, "AUTH"
	case resource.Refused:
		return http.StatusConflict, "Refused"
	case resource.Unavailable:
		return http.StatusServiceUnavailable, "Unavailable"
	}
	return http.StatusInternalServerError, "InternalError"
}

// conflictType is DRP's word for what two writers cannot both have.
func conflictType(verb string) string {
	switch verb {
	case http.MethodPost:
		return "CREATE"
	case http.MethodDelete:
		return "StillInUseError"
	}
	return "Conflict"
}

// missing is how DRP says that there is no such object, by kind.
var missing = map[string]string{api.ContentPacks.Name: "No such content store", "interfaces": "No interface"}

// worded gives what drpcli's users match on: DRP's words for an object that is
// not there.
func worded(e *resource.Error) []string {
	if e.Kind == api.ContentPacks.Name && e.Key == "" && slices.Equal(e.Msgs, []string{"the key field is empty"}) {
		return []string{"the content pack has no Name in its meta"}
	}
	if e.Code != resource.NotFound || len(e.Msgs) != 1 || e.Msgs[0] != "not found" {
		return e.Msgs
	}
	if text := missing[e.Kind]; text != "" {
		return []string{text}
	}
	return []string{"Not Found"}
}

// replyOf words an error for the caller. Internal errors keep their details
// for the log.
func replyOf(err error, verb string) ErrorReply {
	r := ErrorReply{Messages: []string{err.Error()}}
	if e, ok := errors.AsType[*resource.Error](err); ok {
		r.Model, r.Key, r.Messages = e.Kind, e.Key, worded(e)
	}
	if own, ok := errors.AsType[ErrorReply](err); ok {
		return own
	}
	var f *fail
	var h *echo.HTTPError
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		r.Code, r.Type = f.status, cmp.Or(f.kind, verb)
	case errors.As(err, &h):
		r.Code, r.Type, r.Messages = h.Code, http.StatusText(h.Code), []string{fmt.Sprint(h.Message)}
	case errors.Is(err, auth.ErrAnonymous):
		r.Code, r.Type = http.StatusUnauthorized, "AUTH"
	case errors.Is(err, auth.ErrTooMany):
		r.Code, r.Type = http.StatusTooManyRequests, "AUTH"
	case errors.Is(err, auth.ErrDenied):
		r.Code, r.Type = http.StatusForbidden, "AUTH"
	case errors.As(err, &big):
		r.Code, r.Type = http.StatusRequestEntityTooLarge, "TooLarge"
		r.Messages = []string{fmt.Sprintf("the body has more than %d bytes", big.Limit)}
	case errors.Is(err, blob.ErrTooLarge):
		r.Code, r.Type = http.StatusRequestEntityTooLarge, "TooLarge"
	case errors.Is(err, blob.ErrChecksum):
		r.Code, r.Type = http.StatusUnprocessableEntity, "Checksum"
	case errors.Is(err, fs.ErrNotExist):
		r.Code, r.Type = http.StatusNotFound, verb
		r.Messages = []string{"Not Found"}
	case errors.Is(err, context.DeadlineExceeded):
		r.Code, r.Type, r.Messages = http.StatusServiceUnavailable, "Timeout", []string{"the request took too long: try again"}
	default:
		r.Code, r.Type = statusOf(resource.CodeOf(err), verb)
		if r.Code == http.StatusInternalServerError {
			r.Messages = []string{"internal error: see the server's log"}
		}
		if r.Model == api.ContentPacks.Name && r.Code < http.StatusInternalServerError {
			r.Type = verb // DRP's word for everything about content packs
		}
	}
	return r
}

// answerError is echo's handler of the errors that handlers return.
func (s *server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		s.cfg.Log.Warn("reply cut off", "path", c.Path(), "err", err)
		return
	}
	r := replyOf(err, c.Request().Method)
	if r.Code == http.StatusInternalServerError {
		s.cfg.Log.Error("request failed", "path", c.Request().URL.Path, "request", requestID(c), "err", err)
	}
	switch r.Code {
	case http.StatusUnauthorized:
		c.Response().Header().Set("WWW-Authenticate", "dr-provision")
	case http.StatusTooManyRequests:
		c.Response().Header().Set("Retry-After", "60")
	}
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(r.Code)
		return
	}
	data, _ := json.Marshal(r)
	_ = c.JSONBlob(r.Code, data)
}

func noRoute(c echo.Context) error {
	return failf(http.StatusNotFound, c.Request().Method, "there is no %s %s", c.Request().Method, c.Request().URL.Path)
}

// notServed says what to do instead of what Digital Rebar has and this server
// has not.
var notServed = map[string]string{
	"system/upgrade": "replace the program drpd and start it again",
	"system/cert":    "the server's key never leaves it; to show another certificate, start it with --tls-cert and --tls-key",
	"static/cert":    "the server's key never leaves it; to show another certificate, start it with --tls-cert and --tls-key",
}

// noRoute is for what no route serves: objects of declared kinds, and mistakes.
// Writes to what only the server writes
// are told so.
func (s *server) noRoute(c echo.Context) error {
	if handle := s.extended(c); handle != nil {
		return handle(c)
	}
	_, path, _ := strings.Cut(c.Request().URL.Path, "/api/v3/")
	name, key, _ := strings.Cut(path, "/")
	k := s.kinds[name]
	reads := c.Request().Method == http.MethodGet || c.Request().Method == http.MethodHead
	if cure := notServed[path]; cure != "" {
		return failf(http.StatusNotFound, c.Request().Method, "there is no %s %s: %s", c.Request().Method, c.Request().URL.Path, cure)
	}
	if k == nil || !k.ServerOnly() || reads || strings.Contains(key, "/") {
		return noRoute(c)
	}
	return resource.Errorf(resource.Forbidden, name, key, "%s are the server's own: it alone creates, changes and deletes them, and everybody else may only read them", name)
}

func notWired(what string) error {
	return failf(http.StatusNotImplemented, "NotImplemented", "this server does not offer %s", what)
}
