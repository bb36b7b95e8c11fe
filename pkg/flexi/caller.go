package flexi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"drpd/pkg/api"
	"drpd/pkg/callout"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Caller sends the requests that callbacks stand for.
type Caller struct {
	DB    *resource.DB
	Vault *param.Vault
	Now   func() time.Time
	Out   *callout.Policy // where it may call
}

// tryLimit is how long one try may take.
const tryLimit = time.Minute

// Action is the engine's row for callbacks. A request whose outcome was lost in
// a crash is sent again: the service must bear that.
func (c *Caller) Action() engine.Action[api.Callback] {
	return engine.Action[api.Callback]{
		Name: "callbacks", Kind: api.Callbacks, Timeout: tryLimit, Parallel: 16,
		Due: func(o *api.Callback, now time.Time) (bool, time.Time) {
			if o.Over() {
				return false, time.Time{}
			}
			return !now.Before(o.NextTry), o.NextTry
		},
		Claim: func(o *api.Callback, _ time.Time) { o.State, o.Tries = api.CallbackWorking, o.Tries+1 },
		Do: func(ctx context.Context, o *api.Callback) func(*api.Callback) error {
			out := c.send(ctx, o)
			return func(o *api.Callback) error { out.settle(o, c.Now()); return nil }
		},
	}
}

// outcome is that of one try.
type outcome struct {
	status int
	kept   any
	err    error
	again  bool // another try may do better
	req    *request
}

// settle records one try.
func (t outcome) settle(o *api.Callback, now time.Time) {
	o.Status = t.status
	if t.err == nil {
		o.State, o.Ended, o.Response, o.Error = api.CallbackDone, now, t.kept, ""
		return
	}
	o.Error, o.State = t.err.Error(), api.CallbackWanted
	if t.again && o.Tries <= t.req.Retry {
		o.NextTry = now.Add(max(time.Duration(t.req.Delay)*time.Second, engine.Backoff(1)))
		if o.NextTry.Before(o.Created.Add(time.Duration(t.req.Timeout) * time.Second)) {
			return
		}
	}
	o.State, o.Ended = api.CallbackFailed, now
	o.Error = fmt.Sprintf("given up after %d tries: %v", o.Tries, t.err)
}

func (c *Caller) send(ctx context.Context, o *api.Callback) outcome {
	v := c.DB.View()
	j, err := api.Jobs.Get(v, o.Job)
	if err != nil {
		return outcome{err: fmt.Errorf("callback %s: %w", o.Action, err)}
	}
	k, m := api.Runner(v, o.Machine)
	if m == nil {
		return outcome{err: fmt.Errorf("callback %s: its machine is gone", o.Action)}
	}
	call := newCall(v, scopeOf(v, j, m), c.Vault)
	call.action, call.kind, call.out = o.Action, k.Name, c.Out
	switch call.request, err = call.lookUp(); {
	case err != nil:
		return outcome{err: err}
	case call.request == nil:
		return outcome{} // nothing is configured for it (any more)
	}
	limit := o.Created.Add(time.Duration(call.Timeout) * time.Second)
	ctx, cancel := context.WithTimeout(ctx, max(limit.Sub(c.Now()), time.Second))
	defer cancel()
	req, err := call.build(ctx)
	if err != nil {
		return outcome{err: err}
	}
	if err := call.authorize(req); err != nil {
		var t tokenError
		return outcome{req: call.request, err: err, again: errors.As(err, &t)}
	}
	return call.exchange(req)
}

// exchange sends the request and judges the reply.
func (c call) exchange(req *http.Request) outcome {
	out := outcome{req: c.request, again: true}
	var body []byte
	if body, out.status, out.err = c.converse(req); out.err == nil {
		out.kept, out.err = c.keep(body)
	}
	return out
}

// converse sends a request and reads its reply. Errors name the host only: a URL
// may hold secrets.
func (c call) converse(req *http.Request) (body []byte, status int, err error) {
	client := c.out.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, 0, fmt.Errorf("%s does not answer: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
	switch {
	case err != nil:
		err = fmt.Errorf("%s: its reply broke off: %w", req.URL.Host, err)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		err = fmt.Errorf("%s answers with HTTP status %d", req.URL.Host, resp.StatusCode)
	}
	return body, resp.StatusCode, err
}

// keep is what the caller wants to keep of a reply.
func (c call) keep(body []byte) (any, error) {
	if !c.JsonResponse && !c.StringResponse {
		return nil, nil
	}
	if len(body) > maxKept {
		return nil, fmt.Errorf("the reply is larger than %d bytes", maxKept)
	}
	if !c.JsonResponse {
		if !utf8.Valid(body) {
			return nil, errors.New("the reply is not text")
		}
		return string(body), nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, errors.New("the reply is not JSON")
	}
	return v, nil
}

func (c call) build(ctx context.Context) (*http.Request, error) {
	u, err := c.address(ctx, c.Url)
	if err != nil {
		return nil, err
	}
	body, kind, err := c.body(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, refuse(c.action, "Method or Url cannot be used")
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		value, err := c.fill(ctx, c.Headers[name])
		if err != nil {
			return nil, err
		}
		req.Header.Set(name, value)
	}
	return req, nil
}
