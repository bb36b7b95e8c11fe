//go:build linux

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"drpd/pkg/pki"
)

const (
	// callTimeout is how long one request may take; the server's own limit is a
	// minute.
	callTimeout = 70 * time.Second
	// maxReply bounds what the server may answer, in bytes.
	maxReply = 16 << 20
)

// statusError is an answer that is no success.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s (HTTP %d)", e.text, e.status) }

// answered returns the status of an answer that is no success, 0 if there was
// no answer at all.
func answered(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return 0
}

// temporary says whether the same request may succeed later: the server was
// not reached, is starting, is overloaded, or failed inside.
func temporary(err error) bool {
	s := answered(err)
	return s == 0 || s == http.StatusTooManyRequests || s >= 500 && s != http.StatusNotImplemented
}

// denied says whether the token was not accepted for the request.
func denied(err error) bool {
	s := answered(err)
	return s == http.StatusUnauthorized || s == http.StatusForbidden
}

// remote is the server's API as the agent sees it. Each call is one request.
type remote struct {
	base   string // https://host:port
	http   *http.Client
	mu     sync.Mutex // guards token
	secret string
}

func newRemote(c Config) *remote {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   20 * time.Second,
		ResponseHeaderTimeout: callTimeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   4,
	}
	if c.CAFingerprint != "" {
		t.TLSClientConfig = pki.PinnedClient(c.CAFingerprint)
	}
	return &remote{base: strings.TrimRight(c.Endpoint, "/"), http: &http.Client{Transport: t}, secret: c.Token}
}

func (r *remote) token() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secret
}

func (r *remote) setToken(t string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = t
}

// do sends one request with in as JSON, or as bytes if it is []byte, and
// decodes the answer into out unless that is nil. It returns status and header
// of a success.
func (r *remote) do(ctx context.Context, method, path string, in, out any) (int, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := r.request(ctx, method, path, in)
	if err != nil {
		return 0, nil, err
	}
	res, err := r.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, &statusError{res.StatusCode, reason(data)})
	}
	if out != nil && len(data) > 0 {
		if err := json.Unmarshal(data, out); err != nil {
			return 0, nil, fmt.Errorf("%s %s: decode answer: %w", method, path, err)
		}
	}
	return res.StatusCode, res.Header, nil
}

func (r *remote) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	kind, data := "application/json", []byte(nil)
	switch v := in.(type) {
	case nil:
	case []byte:
		kind, data = "application/octet-stream", v
	default:
		var err error
		if data, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("%s %s: encode: %w", method, path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+"/api/v3"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token())
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// reason takes the sentences out of an error body.
func reason(data []byte) string {
	var body struct{ Messages []string }
	if json.Unmarshal(data, &body) == nil && len(body.Messages) > 0 {
		return strings.Join(body.Messages, "; ")
	}
	return fmt.Sprintf("%.200q", data)
}
