package flexi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// service is a real server that notes what it is sent and answers in turn.
type service struct {
	*httptest.Server
	mu    sync.Mutex // guards below
	seen  []seen
	plays []http.HandlerFunc // one for each request; the last one for all others
}

type seen struct{ path, auth, kind, body string }

func newService(t *testing.T, plays ...http.HandlerFunc) *service {
	t.Helper()
	s := &service{plays: plays}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		s.mu.Lock()
		play := s.plays[min(len(s.seen), len(s.plays)-1)]
		s.seen = append(s.seen, seen{req.URL.RequestURI(), req.Header.Get("Authorization"), req.Header.Get("Content-Type"), string(body)})
		s.mu.Unlock()
		play(w, req)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) all() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestCallbackBodies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec       map[string]any
		params     resource.Params
		kind, body string
	}{
		"a text":        {nil, resource.Params{ParamBody: "m={{ .Machine.Name }}"}, "application/json", `"m=n1"`},
		"a raw text":    {map[string]any{"RawBody": true}, resource.Params{ParamBody: "m={{ .Machine.Name }}"}, "text/plain; charset=utf-8", "m=n1"},
		"raw as XML":    {map[string]any{"RawBody": true, "Headers": map[string]any{"Content-Type": "text/xml"}}, resource.Params{ParamBody: "<m/>"}, "text/xml", "<m/>"},
		"raw, no text":  {map[string]any{"RawBody": true}, resource.Params{ParamBody: map[string]any{"a": 1}}, "application/json", `{"a":1}`},
		"empty":         {nil, resource.Params{ParamBody: map[string]any{}}, "application/json", "{}"},
		"a list":        {nil, resource.Params{ParamBody: list("x")}, "application/json", `["x"]`},
		"null":          {nil, resource.Params{ParamBody: nil}, "application/json", "null"},
		"nothing wins":  {map[string]any{"NoBody": true}, resource.Params{ParamBody: "x"}, "", ""},
		"secrets in it": {map[string]any{"RawBody": true}, resource.Params{ParamBody: `{{ (.Param "callback/auths") }}`, ParamAuths: map[string]any{"k": map[string]any{"AuthType": "basic"}}}, "text/plain; charset=utf-8", "map[k:map[AuthType:basic]]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, says(200, ""))
			spec := map[string]any{"Url": s.URL + "/hook"}
			for k, v := range tc.spec {
				spec[k] = v
			}
			r, c := newCaller(t, spec, nil)
			r.site(tc.params)
			r.drive()
			cb := r.send(c)
			require.Equal(t, api.CallbackDone, cb.State, cb.Error)
			assert.Equal(t, []seen{{"/hook", "", tc.kind, tc.body}}, s.all())
		})
	}
}

// auths makes one entry of callback/auths and drives the machine to its call.
func (r *rig) auths(entry map[string]any) {
	r.Helper()
	r.site(resource.Params{ParamAuths: map[string]any{"svc": entry}})
	r.drive()
}

func TestCallbackAsksForAToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		entry map[string]any
		reply string
		want  seen
		err   string
	}{
		"JSON":       {map[string]any{"Data": map[string]any{"user": "u"}}, `{"token":"t1"}`, seen{"/token", "", "application/json", `{"user":"u"}`}, ""},
		"text":       {map[string]any{"Data": `{"user":"{{ .Machine.Name }}"}`}, `{"token":"t1"}`, seen{"/token", "", "application/json", `{"user":"n1"}`}, ""},
		"form":       {map[string]any{"Data": "grant_type=x", "TokenField": "access.key", "DurationField": "expires"}, `{"access":{"key":"t1"},"expires":60}`, seen{"/token", "", "application/x-www-form-urlencoded", "grant_type=x"}, ""},
		"get":        {map[string]any{"Method": "GET"}, `{"token":"t1"}`, seen{"/token", "", "", ""}, ""},
		"no token":   {map[string]any{}, `{"key":"hunter2"}`, seen{"/token", "", "", ""}, "has no text in field token"},
		"no JSON":    {map[string]any{}, `hunter2`, seen{"/token", "", "", ""}, "is not JSON"},
		"no service": {map[string]any{"Url": "http://127.0.0.1:1/?key=hunter2"}, "", seen{}, "get a token: 127.0.0.1:1 does not answer"},
		"no address": {map[string]any{"Url": "file:///etc/passwd"}, "", seen{}, "Url must be an http or https URL with a host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, says(200, tc.reply), says(200, ""))
			r, c := newCaller(t, map[string]any{"Url": s.URL + "/hook", "Auth": "svc", "NoBody": true}, nil)
			entry := map[string]any{"AuthType": "json-token", "Url": s.URL + "/token"}
			for k, v := range tc.entry {
				entry[k] = v
			}
			r.auths(entry)
			cb := r.send(c)
			if tc.err != "" {
				assert.Equal(t, api.CallbackFailed, cb.State)
				assert.Contains(t, cb.Error, tc.err)
				assert.NotContains(t, cb.Error, "hunter2")
				return
			}
			require.Equal(t, api.CallbackDone, cb.State, cb.Error)
			assert.Equal(t, []seen{tc.want, {"/hook", "Bearer t1", "", ""}}, s.all())
		})
	}
}

func TestCallbackAuthBasic(t *testing.T) {
	t.Parallel()
	s := newService(t, says(200, ""))
	r, c := newCaller(t, map[string]any{"Url": s.URL, "Auths": list("svc"), "NoBody": true}, nil)
	r.auths(map[string]any{"AuthType": "basic", "Username": "u", "Password": "p"})
	require.Equal(t, api.CallbackDone, r.send(c).State)
	assert.Equal(t, "Basic dTpw", s.all()[0].auth)
}

// TestCallbackRetriesAService that is down for two tries, and its token service
// for one more.
func TestCallbackRetriesAService(t *testing.T) {
	t.Parallel()
	s := newService(t, says(500, ""), says(200, `{"token":"t1"}`), says(503, ""), says(200, `{"token":"t2"}`), says(200, "fine"))
	r, c := newCaller(t, map[string]any{"Url": s.URL, "Auth": "svc", "NoBody": true, "Retry": 2, "Delay": 30, "StringResponse": true}, nil)
	now := time.Unix(1000, 0)
	c.Now = func() time.Time { return now }
	r.auths(map[string]any{"AuthType": "json-token", "Url": s.URL + "/token"})
	cb := r.send(c)
	assert.Equal(t, api.CallbackWanted, cb.State)
	assert.Contains(t, cb.Error, "answers with HTTP status 500")
	due, at := c.Action().Due(cb, now)
	assert.False(t, due)
	assert.Equal(t, now.Add(30*time.Second), at)
	assert.Contains(t, r.drive(), "callback w-start is tried again after try 1: get a token: ")
	now = now.Add(30 * time.Second)
	assert.Equal(t, api.CallbackWanted, r.send(c).State)
	now = now.Add(30 * time.Second)
	cb = r.send(c)
	require.Equal(t, api.CallbackDone, cb.State, cb.Error)
	assert.Equal(t, "fine", cb.Response)
	assert.Equal(t, 3, cb.Tries)
}

func TestCallbackTimesOut(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := newService(t, func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-req.Context().Done():
		case <-gone:
		}
	})
	t.Cleanup(func() { close(gone) })
	r, c := newCaller(t, map[string]any{"Url": s.URL, "Timeout": 1, "Retry": 5, "NoBody": true}, nil)
	r.drive()
	cb := r.send(c)
	assert.Equal(t, api.CallbackFailed, cb.State, "a second later its time is over")
	assert.Contains(t, cb.Error, "does not answer")
}

func TestCallbackIsAnnounced(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stage resource.Params
		want  []string
	}{
		"asked for": {resource.Params{ParamAction: "w-start", ParamEvent: true}, []string{"callback w-start"}},
		"not asked": {resource.Params{ParamAction: "w-start"}, nil},
		"skipped":   {resource.Params{ParamAction: "w-start", ParamEvent: true, ParamNoCall: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, says(200, ""))
			m := &api.Machine{Params: resource.Params{ParamCallbacks: map[string]any{"w-start": map[string]any{"Url": s.URL}}}}
			r := newRig(t, m, &api.Stage{Name: "s", Tasks: []string{"callback"}, Params: tc.stage})
			from := r.db.Seq()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); _ = Announce(ctx, r.db, from, slog.New(slog.DiscardHandler)) }()
			t.Cleanup(func() { cancel(); <-ended })
			c := &Caller{DB: r.db, Vault: r.vault, Now: func() time.Time { return time.Unix(1000, 0) }, Out: loopback()}
			if r.drive(); api.Callbacks.Len(r.db.View()) > 0 {
				require.Equal(t, api.CallbackDone, r.send(c).State)
				r.drive()
			}
			require.True(t, r.machine().WorkflowComplete)
			r.db.Publish(resource.Event{Type: "test", Action: "end"})
			assert.Equal(t, tc.want, r.told(from, len(tc.want)))
		})
	}
}

// told lists the published events up to that of the test and n of ours.
func (r *rig) told(from uint64, n int) (out []string) {
	r.Helper()
	end := false
	for evs, err := range r.db.Watch(r.Context(), from, nil) {
		require.NoError(r, err)
		for _, e := range evs {
			if end = end || e.Type == "test"; e.Type != EventType {
				continue
			}
			var a Announced
			require.NoError(r, json.Unmarshal(e.Object, &a))
			assert.Equal(r, Announced{Action: e.Action, Kind: "machines", Machine: r.id, Name: "n1", Job: a.Job, Workflow: "w", Stage: "s"}, a)
			out = append(out, e.Type+" "+e.Action)
		}
		if end && len(out) >= n {
			return out
		}
	}
	return out
}

func TestCallbackOpensSecrets(t *testing.T) {
	t.Parallel()
	for _, decode := range []bool{true, false} {
		s := newService(t, says(200, ""))
		r, c := newCaller(t, map[string]any{"Url": s.URL, "Decode": decode, "ExcludeParams": list(ParamAuths, ParamCallbacks)}, nil)
		r.update(func(tx *resource.Tx) error {
			require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "site/key", Secure: true}))
			return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Params["site/key"] = "hunter2"; return nil })
		})
		r.drive()
		require.Equal(t, api.CallbackDone, r.send(c).State)
		var m api.Machine
		require.NoError(t, json.Unmarshal([]byte(s.all()[0].body), &m))
		assert.Len(t, m.Params, 1)
		if decode {
			assert.Equal(t, "hunter2", m.Params["site/key"])
			continue
		}
		assert.NotContains(t, s.all()[0].body, "hunter2")
	}
}
