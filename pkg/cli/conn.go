package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// defaultEndpoint is where a server on the same host listens.
const defaultEndpoint = "https://127.0.0.1:8092"

// maxReply bounds a JSON reply in memory: some 100,000 machines.
const maxReply = 1 << 30

// conn speaks to one server. A conn that could not be set up fails on use.
type conn struct {
	base string // with /api/v3
	auth func(*http.Request)
	http *http.Client
	err  error
	log  func(format string, args ...any)
}

// conn returns the session's connection, set up on first use.
func (s *session) conn() *conn {
	if s.link == nil {
		s.link = s.connect()
	}
	return s.link
}

func (s *session) connect() *conn {
	at, err := s.target()
	if err != nil {
		return &conn{err: err}
	}
	c := newConn(at.Endpoint, at.Fingerprint)
	c.auth, c.err = s.credentials(at)
	if s.flags.verbose {
		c.log = s.note
	}
	return c
}

// newConn trusts a certificate that has the fingerprint, or without one what
// the system trusts.
func newConn(endpoint, fingerprint string) *conn {
	t := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2: true,
		// The server answers within a minute, or says that it cannot.
		ResponseHeaderTimeout: 90 * time.Second,
		TLSClientConfig:       pinned(endpoint, fingerprint),
	}
	return &conn{base: strings.TrimRight(endpoint, "/") + "/api/v3", http: &http.Client{Transport: t}, auth: func(*http.Request) {}}
}

func unreachable(endpoint string, err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	f := &failure{code: exitUnreachable, what: "no answer from " + endpoint, cause: rootCause(err).Error(),
		fix: "check that drpd runs there, or name another server with -E or RS_ENDPOINT"}
	if u, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f.what, f.cause = "the certificate of "+endpoint+" is not known", u.Err.Error()
		f.fix = "drpcli login -E " + endpoint
	}
	return f
}

func rootCause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// raw sends a request and returns a reply with status below 300; the caller
// closes its body.
func (c *conn) raw(ctx context.Context, method, path string, q url.Values, kind string, body io.Reader) (*http.Response, error) {
	if c.err != nil {
		return nil, c.err
	}
	at := c.base + path
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return c.send(r)
}

// send adds the credentials and turns replies that are errors into failures.
func (c *conn) send(r *http.Request) (*http.Response, error) {
	c.auth(r)
	resp, err := c.http.Do(r)
	if err != nil {
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		return nil, unreachable(strings.TrimSuffix(c.base, "/api/v3"), err)
	}
	if c.log != nil {
		c.log("%s %s %d", r.Method, r.URL.Path, resp.StatusCode)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, replyFailure(resp)
}

// replyFailure words an error reply.
func replyFailure(resp *http.Response) error {
	f := &failure{code: ofStatus(resp.StatusCode), status: resp.StatusCode, request: resp.Header.Get("X-Request-Id")}
	var e struct {
		Model, Key, Type string
		Messages         []string
	}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(data, &e) != nil || len(e.Messages) == 0 {
		e.Messages = []string{http.StatusText(resp.StatusCode)}
	}
	f.what = strings.Join(e.Messages, "; ")
	if e.Model != "" {
		f.what += " (" + strings.TrimSuffix(e.Model+"/"+e.Key, "/") + ")"
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		f.fix = "drpcli login, or set RS_KEY=user:password or RS_TOKEN"
	case resp.StatusCode == http.StatusForbidden && strings.Contains(f.what, "credentials"):
		f.fix = "drpcli login"
	}
	return f
}

// call sends v as JSON, if not nil, and decodes the reply into out, if not nil.
func (c *conn) call(ctx context.Context, method, path string, q url.Values, v, out any) error {
	var body io.Reader
	kind := ""
	if v != nil {
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode the body of %s %s: %w", method, path, err)
		}
		body, kind = bytes.NewReader(data), "application/json"
	}
	resp, err := c.raw(ctx, method, path, q, kind, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return unreachable(strings.TrimSuffix(c.base, "/api/v3"), err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the reply is not the JSON wanted: %w", method, path, err)
	}
	return nil
}

func (c *conn) get(ctx context.Context, path string, q url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, q, nil, out)
}

// at joins path segments; a slash in one does not split it.
func at(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// slashed makes a path of a name with slashes: a param or a file.
func slashed(name string) string { return at(strings.Split(name, "/")...) }

// upload sends bytes as they are; size is -1 if it is not known.
func (c *conn) upload(ctx context.Context, path string, q url.Values, body io.Reader, size int64, out any) error {
	if c.err != nil {
		return c.err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path+"?"+q.Encode(), body)
	if err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(out)
}
