package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"drpd/pkg/client"
)

// defaultEndpoint is where a server on the same host listens.
const defaultEndpoint = "https://127.0.0.1:8092"

// tryLimit is how long one of several servers may take to answer.
const tryLimit = 5 * time.Second

// pinPrefix marks the fingerprints that people see and that settings keep.
const pinPrefix = "SHA256:"

// conn speaks to one server and words its errors for people. A conn that could
// not be set up fails on use.
type conn struct {
	api      *client.Client
	endpoint string
	err      error
	planning bool // nothing may be changed
}

// conn returns the session's connection, set up on first use.
func (s *session) conn() *conn {
	if s.link == nil {
		s.link = s.firstOf(strings.Fields(s.env["RS_ENDPOINTS"]))
	}
	return s.link
}

// firstOf connects to the first of some servers that lets the caller in; with
// none named, to the one that flags and settings say.
func (s *session) firstOf(endpoints []string) *conn {
	if len(endpoints) == 0 || s.flags.endpoint != "" || s.flags.site != "" || s.env["RS_ENDPOINT"] != "" {
		return s.connect()
	}
	var c *conn
	for _, e := range endpoints {
		s.alive = e
		ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
		c = s.connect()
		c.err = c.get(ctx, "/info", nil, nil)
		cancel()
		if c.err == nil {
			break
		}
	}
	return c
}

func (s *session) connect() *conn {
	at, err := s.target()
	if err == nil && s.env["RS_LOCAL_PROXY"] == "" { // a proxy has its own
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
		Pin: strings.TrimPrefix(t.Fingerprint, pinPrefix),
		// Commands take as long as their answer does, and whoever follows
		// something tries again by itself: see poll.
		Timeout: -1, Retries: -1, Prefix: s.flags.via, Header: s.traceHeader(), Socket: s.env["RS_LOCAL_PROXY"]}
	if s.flags.verbose {
		cfg.Trace = func(method, path string, status int) { s.note("%s %s %d", method, path, status) }
	}
	c, err := client.New(cfg)
	if err != nil {
		err = failf(exitUsage, "%v", err)
	}
	return &conn{api: c, endpoint: t.Endpoint, err: err, planning: s.flags.planOut != ""}
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
		return &failure{code: exitUnreachable, what: "the certificate of " + c.endpoint + " is not the one known from the first login, nor of the authority known",
			cause: "it has fingerprint " + pinPrefix + e.Got + ", known is " + pinPrefix + e.Want,
			fix:   "compare with what drpd prints when it starts (certificate authority sha256 ...); if it is that: drpcli login --renew -E " + c.endpoint}
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

// replyFailure words an error reply as DRP does.
func replyFailure(e *client.Error) error {
	f := &failure{code: ofStatus(e.Code), status: e.Code, request: e.RequestID, what: e.Type, says: e.Messages}
	if e.Model != "" {
		f.what += ": " + strings.TrimSuffix(e.Model+"/"+e.Key, "/")
	}
	switch {
	case e.Code == http.StatusUnauthorized:
		f.fix = "drpcli login, or set RS_KEY=user:password or RS_TOKEN"
	case e.Code == http.StatusForbidden && strings.Contains(f.message(), "credentials"):
		f.fix = "drpcli login"
	case e.Code == http.StatusConflict && strings.Contains(f.message(), "test"):
		f.fix = "somebody changed it meanwhile: look at it again, then repeat"
	}
	return f
}

// raw makes one call whose reply is more than JSON.
func (c *conn) raw(ctx context.Context, q client.Request) (*client.Reply, error) {
	if c.err != nil {
		return nil, c.err
	}
	if err := c.onlyReads(q.Method, q.Path); err != nil {
		return nil, err
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
	if err := c.onlyReads(q.Method, q.Path); err != nil {
		return nil, err
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
