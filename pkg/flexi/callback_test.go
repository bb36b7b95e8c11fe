package flexi

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/callout"
	"drpd/pkg/resource"
)

// caller is a machine whose only stage calls back, before anything was sent.
func newCaller(t *testing.T, spec map[string]any, more resource.Params) (*rig, *Caller) {
	t.Helper()
	m := &api.Machine{Profiles: []string{"site"}, Params: resource.Params{}}
	for k, v := range more {
		m.Params[k] = v
	}
	r := newRig(t, m, &api.Stage{Name: "s", Tasks: []string{"callback"}, Params: resource.Params{ParamAction: "w-start"}})
	r.update(func(tx *resource.Tx) error {
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "site", Params: resource.Params{ParamCallbacks: map[string]any{"w-start": spec}}}))
		return api.ParamDefs.Create(tx, &api.Param{Name: ParamAuths, Secure: true})
	})
	return r, &Caller{DB: r.db, Vault: r.vault, Now: func() time.Time { return time.Unix(1000, 0) }, Out: loopback()}
}

// loopback is where the services of these tests listen.
func loopback() *callout.Policy {
	return &callout.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// site changes what the machine's profile says.
func (r *rig) site(params resource.Params) {
	r.Helper()
	r.update(func(tx *resource.Tx) error {
		return api.Profiles.Modify(tx, "site", func(p *api.Profile) error {
			maps.Copy(p.Params, params)
			return nil
		})
	})
}

// wanted is the callback that the machine waits for.
func (r *rig) wanted() *api.Callback {
	r.Helper()
	for cb := range api.Callbacks.All(r.db.View()) {
		return cb
	}
	r.Fatal("no callback")
	return nil
}

// send does what the engine does with a due callback, once.
func (r *rig) send(c *Caller) *api.Callback {
	r.Helper()
	cb := r.wanted()
	a := c.Action()
	due, _ := a.Due(cb, c.Now())
	require.True(r, due)
	r.update(func(tx *resource.Tx) error {
		return api.Callbacks.Modify(tx, cb.Job, func(o *api.Callback) error { a.Claim(o, c.Now()); return nil })
	})
	change := a.Do(r.Context(), r.wanted())
	r.update(func(tx *resource.Tx) error { return api.Callbacks.Modify(tx, cb.Job, change) })
	return r.wanted()
}

func TestCallbackWithoutAServicePasses(t *testing.T) {
	t.Parallel()
	for _, p := range []resource.Params{nil, {ParamCallbacks: map[string]any{"w-complete": map[string]any{"Url": "http://x"}}},
		{ParamCallbacks: map[string]any{"w-start": map[string]any{"Url": "http://x"}}, ParamNoCall: true}} {
		r := newRig(t, &api.Machine{Params: p}, &api.Stage{Name: "s", Tasks: []string{"callback"}, Params: resource.Params{ParamAction: "w-start"}})
		assert.Empty(t, r.drive())
		assert.True(t, r.machine().WorkflowComplete)
		assert.Equal(t, 0, api.Callbacks.Len(r.db.View()))
	}
}

func TestCallbackIsSentAndAwaited(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body map[string]any
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got = req.Clone(t.Context())
		text, _ := io.ReadAll(req.Body)
		assert.NoError(t, json.Unmarshal(text, &body))
		_, _ = io.WriteString(w, `{"ticket": 7}`)
	}))
	defer srv.Close()
	r, c := newCaller(t, map[string]any{"Url": srv.URL + "/{{ .Machine.Name }}", "Method": "PUT", "Headers": map[string]any{"X-Site": "lab"}, "Auth": "svc",
		"Aggregate": true, "ExcludeParams": list("hidden"), "JsonResponse": true}, resource.Params{"hidden": "x", "shown": "y"})
	r.site(resource.Params{ParamAuths: map[string]any{"svc": map[string]any{"AuthType": "bearer", "BearerToken": "hunter2"}}})
	assert.Contains(t, r.drive(), "callback: callback w-start is about to be sent")
	cb := r.send(c)
	require.Equal(t, api.CallbackDone, cb.State, cb.Error)
	assert.Equal(t, "PUT /n1 lab Bearer hunter2", strings.Join([]string{got.Method, got.URL.Path, got.Header.Get("X-Site"), got.Header.Get("Authorization")}, " "))
	params := body["Params"].(map[string]any)
	assert.Equal(t, "y", params["shown"])
	assert.NotContains(t, params, "hidden")
	assert.Equal(t, "w-start", params[ParamAction], "a param of the stage, by Aggregate")
	assert.NotContains(t, body["Params"].(map[string]any)[ParamAuths], "svc", "sealed without Decode")
	assert.Empty(t, body["Secret"])

	job := r.machine().CurrentJob
	assert.Empty(t, r.drive())
	assert.True(t, r.machine().WorkflowComplete)
	j, err := api.Jobs.Get(r.db.View(), job)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"ticket": 7.0}, j.Note["response"])
	assert.Equal(t, "callback w-start answered with HTTP status 200 at try 1\n", j.Note["log"])
	assert.Equal(t, 0, api.Callbacks.Len(r.db.View()), "gone with the job's end")
}

func TestCallbackFaults(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/away":
			http.Redirect(w, req, "http://example.org/", http.StatusFound)
		case "/text":
			_, _ = io.WriteString(w, "hello")
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", maxKept+1))
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	for name, tc := range map[string]struct {
		spec map[string]any
		want string
	}{
		"scheme":      {map[string]any{"Url": "file:///etc/passwd"}, "Url must be an http or https URL with a host"},
		"status":      {map[string]any{"Url": srv.URL + "/?key=hunter2"}, "answers with HTTP status 418"},
		"redirect":    {map[string]any{"Url": srv.URL + "/away"}, "it redirects to elsewhere"},
		"not JSON":    {map[string]any{"Url": srv.URL + "/text", "JsonResponse": true}, "the reply is not JSON"},
		"too long":    {map[string]any{"Url": srv.URL + "/long", "StringResponse": true}, "the reply is larger than 65536 bytes"},
		"no auth":     {map[string]any{"Url": srv.URL, "Auth": "svc"}, "its Auth is not in param callback/auths"},
		"no template": {map[string]any{"Url": srv.URL + "/{{ .Nothing }}?key=hunter2"}, "a template in Url or Headers does not render"},
		"nobody":      {map[string]any{"Url": "http://127.0.0.1:1/?key=hunter2"}, "127.0.0.1:1 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			r, c := newCaller(t, tc.spec, nil)
			r.drive()
			cb := r.send(c)
			assert.Equal(t, api.CallbackFailed, cb.State)
			assert.Contains(t, cb.Error, tc.want)
			assert.Contains(t, r.drive(), tc.want, "the machine says why it stops")
			assert.NotContains(t, cb.Error, "hunter2")
			assert.False(t, r.machine().Runnable)
		})
	}
}

func TestCallbackIsTriedAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	bad := errors.New("no answer")
	for name, tc := range map[string]struct {
		tries int
		req   request
		again bool
		state string
		next  time.Duration
	}{
		"no retry":      {1, request{Timeout: 60}, true, api.CallbackFailed, 0},
		"first retry":   {1, request{Timeout: 60, Retry: 2, Delay: 5}, true, api.CallbackWanted, 5 * time.Second},
		"without delay": {1, request{Timeout: 60, Retry: 2}, true, api.CallbackWanted, time.Second},
		"used up":       {3, request{Timeout: 60, Retry: 2, Delay: 5}, true, api.CallbackFailed, 0},
		"out of time":   {1, request{Timeout: 60, Retry: 2, Delay: 61}, true, api.CallbackFailed, 0},
		"no use":        {1, request{Timeout: 60, Retry: 2}, false, api.CallbackFailed, 0},
	} {
		o := &api.Callback{Created: now, Tries: tc.tries}
		outcome{err: bad, again: tc.again, req: &tc.req}.settle(o, now)
		assert.Equal(t, tc.state, o.State, name)
		if tc.next > 0 {
			assert.Equal(t, now.Add(tc.next), o.NextTry, name)
		}
	}
}
