package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Error is what the server said.
type Error struct {
	Model    string
	Key      string
	Type     string
	Messages []string
	Code     int // HTTP status

	RequestID string `json:"-"` // by which the server's log knows the call
}

func (e *Error) Error() string {
	where := strings.Trim(e.Model+"/"+e.Key, "/")
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s: %s%s", e.Type, where, strings.Join(e.Messages, "; "))
}

// Status returns the HTTP status of err, 0 if it is none of the server's.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

// ConnError means that no answer came, or not all of it.
type ConnError struct {
	Host string
	Err  error
}

func (e *ConnError) Error() string { return fmt.Sprintf("call %s: %v", e.Host, e.Err) }

// Unwrap is the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// passing says whether the same call may succeed later.
func passing(err error) bool {
	if _, ok := errors.AsType[*ConnError](err); ok {
		return !untrusted(err)
	}
	switch Status(err) {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// errorOf reads an error reply. One without a message of drpd's, as a proxy
// sends, or a reply to HEAD, is named by its status.
func errorOf(resp *http.Response) error {
	e := &Error{}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(body, e) != nil || len(e.Messages) == 0 {
		e.Type = resp.Request.Method + " " + resp.Request.URL.Path
		e.Messages = []string{http.StatusText(resp.StatusCode)}
	}
	if e.Type == "" {
		e.Type = http.StatusText(resp.StatusCode)
	}
	e.Code, e.RequestID = resp.StatusCode, resp.Header.Get("X-Request-Id")
	return e
}
