package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/resource"
)

// leafOf is the fingerprint of the rig's own certificate.
func leafOf(r *rig) string {
	sum := sha256.Sum256(r.srv.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

func TestPinnedToTheVeryCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	leaf := leafOf(r)
	print, trusted, err := client.Peer(t.Context(), r.srv.URL)
	require.NoError(t, err)
	assert.Equal(t, leaf, print)
	assert.False(t, trusted)
	c, err := client.New(client.Config{Endpoint: r.srv.URL, Token: r.token, CertFingerprint: strings.ToUpper(leaf)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = client.List(t.Context(), c, api.Machines)
	require.NoError(t, err)
	before := r.calls.Load()
	zeros := strings.Repeat("0", 64)
	c, err = client.New(client.Config{Endpoint: r.srv.URL, Token: r.token, CertFingerprint: zeros})
	require.NoError(t, err)
	_, err = client.List(t.Context(), c, api.Machines)
	var pin *client.PinError
	require.ErrorAs(t, err, &pin)
	assert.Equal(t, client.PinError{Got: leaf, Want: zeros}, *pin)
	assert.Equal(t, before, r.calls.Load(), "no request, and so no token, leaves for another server")
	_, err = client.New(client.Config{Endpoint: r.srv.URL, CertFingerprint: "12"})
	require.ErrorContains(t, err, "not a SHA-256")
}

func TestPinnedCAComparesNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// The certificate of httptest names example.com and 127.0.0.1.
	at := strings.Replace(r.srv.URL, "127.0.0.1", "localhost", 1)
	for _, tc := range []struct {
		anyName bool
		says    string
	}{{false, "localhost"}, {true, ""}} {
		c, err := client.New(client.Config{Endpoint: at, Token: r.token, CAFingerprint: leafOf(r), AnyName: tc.anyName, Direct: true})
		require.NoError(t, err)
		t.Cleanup(c.Close)
		if _, err = client.List(t.Context(), c, api.Machines); tc.says == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, tc.says)
		}
	}
}

func TestServerTime(t *testing.T) {
	t.Parallel()
	then := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		assert.Empty(t, q.Header.Get("Authorization"))
		w.Header().Set("Date", then.Format(http.TimeFormat))
	}))
	t.Cleanup(srv.Close)
	now, err := client.ServerTime(t.Context(), srv.URL)
	require.NoError(t, err)
	assert.Equal(t, then, now)
}

func TestRaw(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	reply, err := c.Raw(ctx, client.Request{Method: "POST", Path: client.Path("machines"), In: []byte(`{"Name":"web1"}`), Header: http.Header{"Content-Type": {"application/json"}}})
	require.NoError(t, err)
	assert.Equal(t, 201, reply.Status)
	assert.NotEmpty(t, reply.Header.Get("X-Request-Id"))
	m := &api.Machine{}
	require.NoError(t, reply.Decode(m))
	assert.Equal(t, "web1", m.Name)
	assert.ErrorContains(t, reply.Decode(new(int)), "POST /api/v3/machines: the reply is not the JSON wanted")
	_, err = c.Raw(ctx, client.Request{Method: "HEAD", Path: client.Path("machines", "Name:none")})
	require.EqualError(t, err, "HEAD /api/v3/machines/Name:none: Not Found")
	assert.Equal(t, "/files/a%2Fb/c%20d", client.Path("files", "a/b", "c d"))
	assert.Equal(t, "/a/b%20c", client.Slashed("a/b c"))

	small, err := client.New(client.Config{Endpoint: r.srv.URL, Token: r.token, CertFingerprint: leafOf(r), MaxReply: 16})
	require.NoError(t, err)
	t.Cleanup(small.Close)
	_, err = small.Raw(ctx, client.Request{Path: "/machines"})
	require.ErrorContains(t, err, "exceeds 16 bytes")
}

func TestOnlyRepeatableBodiesAreRetried(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	for _, tc := range []struct {
		name  string
		q     client.Request
		calls int32
	}{
		{"put", client.Request{Method: "PUT", Path: "/pools/x", In: api.Pool{}}, 2},
		{"put of a revision", client.Request{Method: "PUT", Path: "/pools/x", Header: http.Header{"If-Match": {"1"}}}, 1},
		{"append", client.Request{Method: "PUT", Path: "/jobs/x/log", In: []byte("x"), Once: true}, 1},
		{"reader", client.Request{Method: "PUT", Path: "/pools/x", In: strings.NewReader("{}"), Size: 2}, 1},
	} {
		r.away.Store(1)
		before := r.calls.Load()
		_, err := c.Raw(ctx, tc.q)
		require.Error(t, err, tc.name)
		assert.Equal(t, tc.calls, r.calls.Load()-before, tc.name)
	}
}

// TestCredentialsStayAtHome: a download from elsewhere is told no token.
func TestCredentialsStayAtHome(t *testing.T) {
	t.Parallel()
	var told []string
	h := http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { told = append(told, q.Header.Get("Authorization")) })
	home, away := httptest.NewServer(h), httptest.NewServer(h)
	t.Cleanup(func() { home.Close(); away.Close() })
	var traced []string
	c, err := client.New(client.Config{Endpoint: home.URL, Token: "secret", Trace: func(method, path string, _ int) { traced = append(traced, method+" "+path) }})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for _, from := range []string{home.URL + "/files/a", away.URL + "/b", home.URL + "0/c"} {
		if resp, err := c.Fetch(t.Context(), from, 0); err == nil {
			resp.Body.Close()
		}
	}
	assert.Equal(t, []string{"Bearer secret", ""}, told)
	assert.Equal(t, []string{"GET /files/a", "GET /b"}, traced)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	create := func(name string) {
		require.NoError(t, r.db.Update(ctx, func(tx *resource.Tx) error { return api.Pools.Create(tx, &api.Pool{Id: name}) }))
	}
	var first, last client.Message
	for m, err := range c.Events(ctx, "", "pools.create.*") {
		require.NoError(t, err)
		if m.Kind == client.Connected {
			first = m
			create("a")
			continue
		}
		last = m
		break
	}
	assert.Equal(t, client.Happened, last.Kind)
	assert.Contains(t, string(last.Data), `"Key":"a"`)
	assert.NotEqual(t, first.ID, last.ID)
	var again []string
	for m, err := range c.Events(ctx, first.ID, "pools.create.*") { // the same event once more
		if again = append(again, m.Kind+m.ID); len(again) == 2 {
			r.srv.CloseClientConnections()
		}
		if err != nil {
			var gone *client.ConnError
			require.ErrorAs(t, err, &gone)
		}
	}
	assert.Equal(t, []string{client.Connected + first.ID, client.Happened + last.ID, ""}, again)
	var kinds []string
	for m := range c.Events(ctx, "another-epoch.1", "pools.create.*") {
		kinds = append(kinds, m.Kind)
	}
	assert.Equal(t, []string{client.Lagged, ""}, kinds)
}

func TestCopyLogFollows(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-DRP-LOG-SIZE", "7")
		w.Header().Set("X-DRP-LOG-END", "true")
		if q.Method == http.MethodGet {
			_, _ = io.WriteString(w, "0123456"[len(q.URL.Query().Get("from"))+1:][:3]) // bytes 2 to 5
		}
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(client.Config{Endpoint: srv.URL})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	size, err := c.LogSize(t.Context(), "j")
	require.NoError(t, err)
	assert.EqualValues(t, 7, size)
	var b bytes.Buffer
	n, ended, err := c.CopyLog(t.Context(), &b, "j", 2, true)
	require.NoError(t, err)
	assert.EqualValues(t, 3, n)
	assert.Equal(t, "234", b.String())
	assert.False(t, ended, "the job is over, but its log goes on")
	_, ended, err = c.CopyLog(t.Context(), &b, "j", 4, true)
	require.NoError(t, err)
	assert.True(t, ended)
}

func TestBackoffEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := client.Backoff{First: time.Nanosecond, Last: time.Hour}
	assert.True(t, b.Sleep(ctx))
	cancel()
	long := client.Backoff{First: time.Hour, Last: time.Hour}
	assert.False(t, long.Sleep(ctx))
}
