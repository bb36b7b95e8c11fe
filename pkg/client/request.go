package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is one call of any route.
type Request struct {
	Method string // default GET
	Path   string // below /api/v3, escaped; see Path
	Query  url.Values
	Header http.Header
	// In is sent as JSON; nil: nothing, []byte and io.Reader: as they are. A
	// reader is not closed.
	In   any
	Size int64 // bytes of In if it is a reader, -1 if not known
	Once bool  // a second try after a lost reply would do harm
}

// Reply is an answer with status below 300.
type Reply struct {
	Status int
	Header http.Header // of each answer: X-Request-Id
	Body   []byte
	call   string
}

// Path joins the parts of a path; a slash in one does not split it.
func Path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// Slashed is the path of a name with slashes in it: a param or a file.
func Slashed(name string) string { return Path(strings.Split(name, "/")...) }

// Decode fills out from JSON. A reply without a body leaves it as it is.
func (r *Reply) Decode(out any) error {
	if len(bytes.TrimSpace(r.Body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.Body, out); err != nil {
		return fmt.Errorf("%s: the reply is not the JSON wanted: %w", r.call, err)
	}
	return nil
}

// Raw makes a call, again if that is safe and the server was away. Replies of
// 300 and more are an *Error, no reply is a *ConnError.
func (c *Client) Raw(ctx context.Context, q Request) (*Reply, error) {
	q, err := q.encoded()
	if err != nil {
		return nil, err
	}
	wait := c.cfg.Pace
	for try := 0; ; try++ {
		r, err := c.once(ctx, q)
		if err == nil || try >= c.cfg.Retries || !q.repeatable() || !passing(err) || !wait.Sleep(ctx) {
			return r, err
		}
	}
}

// call is Raw with the reply decoded into out, unless that is nil.
func (c *Client) call(ctx context.Context, q Request, out any) (*Reply, error) {
	r, err := c.Raw(ctx, q)
	if err != nil || out == nil {
		return r, err
	}
	return r, r.Decode(out)
}

// Do calls a route of plain parts: path below /api/v3 unescaped, in sent and
// out filled as JSON unless nil. It returns the HTTP status.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, in, out any) (int, error) {
	r, err := c.call(ctx, Request{Method: method, Path: Slashed(strings.Trim(path, "/")), Query: query, In: in}, out)
	if r == nil {
		return 0, err
	}
	return r.Status, err
}

// encoded has its In as bytes or a reader, and says in its header which.
func (q Request) encoded() (Request, error) {
	kind := "application/octet-stream"
	switch q.In.(type) {
	case nil, []byte, io.Reader:
	default:
		data, err := json.Marshal(q.In)
		if err != nil {
			return q, fmt.Errorf("encode the body of %s %s: %w", q.Method, q.Path, err)
		}
		kind, q.In = "application/json", data
	}
	if q.Header = q.Header.Clone(); q.Header == nil {
		q.Header = http.Header{}
	}
	if q.In != nil && q.Header.Get("Content-Type") == "" {
		q.Header.Set("Content-Type", kind)
	}
	return q, nil
}

// repeatable says whether a second try after a lost reply does no harm. A PUT
// tied to a revision would fail against its own first try.
func (q Request) repeatable() bool {
	if _, stream := q.In.(io.Reader); stream || q.Once {
		return false
	}
	return slices.Contains([]string{"", http.MethodGet, http.MethodHead}, q.Method) ||
		q.Method == http.MethodPut && q.Header.Get("If-Match") == ""
}

func (c *Client) once(ctx context.Context, q Request) (*Reply, error) {
	if c.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	resp, err := c.Stream(ctx, q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	r := &Reply{Status: resp.StatusCode, Header: resp.Header, call: resp.Request.Method + " " + resp.Request.URL.Path}
	r.Body, err = io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxReply+1))
	if err != nil {
		return nil, &ConnError{Host: c.base.Host, Err: fmt.Errorf("read reply of %s: %w", r.call, err)}
	}
	if int64(len(r.Body)) > c.cfg.MaxReply {
		return nil, fmt.Errorf("%s: the reply exceeds %d bytes", r.call, c.cfg.MaxReply)
	}
	return r, nil
}

// Stream makes a call once and returns as soon as the answer begins; the caller
// closes its body. Errors are those of Raw.
func (c *Client) Stream(ctx context.Context, q Request) (*http.Response, error) {
	q, err := q.encoded()
	if err != nil {
		return nil, err
	}
	var body io.Reader
	switch in := q.In.(type) {
	case []byte:
		body = bytes.NewReader(in)
	case io.Reader:
		body = io.NopCloser(in)
	}
	at := c.base.String() + "/api/v3" + q.Path
	if c.cfg.Prefix != "" {
		at = c.base.String() + Path(c.cfg.Prefix) + "/api/v3" + q.Path
	}
	if len(q.Query) > 0 {
		at += "?" + q.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, at, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", q.Method, q.Path, err)
	}
	req.Header = q.Header
	for k, v := range c.cfg.Header {
		req.Header[k] = v
	}
	if _, stream := q.In.(io.Reader); stream {
		if req.ContentLength = q.Size; q.Size == 0 {
			req.Body = http.NoBody
		}
	}
	c.login(req)
	return c.send(req)
}

// Fetch begins a download from any http or https URL, after offset bytes of
// it if that is not 0 (the answer is then 206); the caller closes the body.
// Credentials go to the client's own server only.
func (c *Client) Fetch(ctx context.Context, from string, offset int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	if req.URL.Scheme == c.base.Scheme && req.URL.Host == c.base.Host {
		c.login(req)
	}
	return c.send(req)
}

// send turns error replies into *Error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &ConnError{Host: req.URL.Host, Err: err}
	}
	if c.cfg.Trace != nil {
		c.cfg.Trace(req.Method, req.URL.Path, resp.StatusCode)
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, errorOf(resp)
}
