package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"drpd/pkg/client"
)

// defaultEndpoint is where a server on the same host listens.
const defaultEndpoint = "https://127.0.0.1:8092"

// pinPrefix marks the fingerprints that people see and that settings keep.
const pinPrefix = "SHA256:"

// conn speaks to one server and words its errors for people. A conn that could
// not be set up fails on use.
type conn struct {
	api      *client.Client
	endpoint string
	err      error
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
	if err == nil {
		at, err = s.credentials(at)
	}
	if err != nil {
		return &conn{err: err}
	}
	return s.dial(at)
}

// dial sets a connection up; it trusts the certificate that has the target's
// fingerprint, or without one what the system trusts.
func (s *session) dial(t target) *conn {
	cfg := client.Config{Endpoint: t.Endpoint, Token: t.Token, User: t.User, Password: t.Password,
		CertFingerprint: strings.TrimPrefix(t.Fingerprint, pinPrefix),
		// Commands take as long as their answer does, and whoever follows
		// something tries again by itself: see poll.
		Timeout: -1, Retries: -1}
	if s.flags.verbose {
		cfg.Trace = func(method, path string, status int) { s.note("%s %s %d", method, path, status) }
	}
	c, err := client.New(cfg)
	if err != nil {
		err = failf(exitUsage, "%v", err)
	}
	return &conn{api: c, endpoint: t.Endpoint, err: err}
}

// worded makes a failure of an error of the client.
func (c *conn) worded(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return replyFailure(e)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*client.PinError](err); ok {
		return &failure{code: exitUnreachable, what: "the certificate of " + c.endpoint + " is not the one known from the first login",
			cause: "it has fingerprint " + pinPrefix + e.Got + ", known is " + pinPrefix + e.Want,
			fix:   "if the server was set up anew: drpcli login --renew -E " + c.endpoint}
	}
	if e, ok := errors.AsType[*client.ConnError](err); ok {
		return unreachable(c.endpoint, e.Err)
	}
	return err
}

func unreachable(endpoint string, err error) error {
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

// replyFailure words an error reply.
func replyFailure(e *client.Error) error {
	f := &failure{code: ofStatus(e.Code), status: e.Code, request: e.RequestID, what: strings.Join(e.Messages, "; ")}
	if e.Model != "" {
		f.what += " (" + strings.TrimSuffix(e.Model+"/"+e.Key, "/") + ")"
	}
	switch {
	case e.Code == http.StatusUnauthorized:
		f.fix = "drpcli login, or set RS_KEY=user:password or RS_TOKEN"
	case e.Code == http.StatusForbidden && strings.Contains(f.what, "credentials"):
		f.fix = "drpcli login"
	}
	return f
}

// raw makes one call whose reply is more than JSON.
func (c *conn) raw(ctx context.Context, q client.Request) (*client.Reply, error) {
	if c.err != nil {
		return nil, c.err
	}
	r, err := c.api.Raw(ctx, q)
	return r, c.worded(ctx, err)
}

// stream is raw for bodies that do not fit into memory; the caller closes the
// reply's.
func (c *conn) stream(ctx context.Context, q client.Request) (*http.Response, error) {
	if c.err != nil {
		return nil, c.err
	}
	resp, err := c.api.Stream(ctx, q)
	return resp, c.worded(ctx, err)
}

// call sends v as JSON, if not nil, and decodes the reply into out, if not nil.
func (c *conn) call(ctx context.Context, method, path string, q url.Values, v, out any) error {
	r, err := c.raw(ctx, client.Request{Method: method, Path: path, Query: q, In: v})
	if err != nil || out == nil {
		return err
	}
	return r.Decode(out)
}

func (c *conn) get(ctx context.Context, path string, q url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, q, nil, out)
}

// at joins path segments; a slash in one does not split it.
func at(parts ...string) string { return client.Path(parts...) }

// slashed makes a path of a name with slashes: a param or a file.
func slashed(name string) string { return client.Slashed(name) }
