package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/blob"
	"drpd/pkg/client"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
)

type rig struct {
	db    *resource.DB
	srv   *httptest.Server
	token string
	away  atomic.Int32 // how many requests to answer with 503 first
	calls atomic.Int32
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds(), Ring: 64})
	require.NoError(t, err)
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}})
	require.NoError(t, err)
	r := &rig{db: db}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	}))
	r.token, err = a.UserToken(auth.Identity{}, "root", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	h, err := rest.New(rest.Config{DB: db, Auth: a, Blobs: blobs, NextJob: nextJob})
	require.NoError(t, err)
	r.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.calls.Add(1)
		if r.away.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, q)
	}))
	r.srv.EnableHTTP2 = true // as drpd does
	r.srv.StartTLS()
	t.Cleanup(func() { r.srv.CloseClientConnections(); r.srv.Close(); blobs.Close() })
	return r
}

func nextJob(_ context.Context, _ auth.Identity, machine, _ string) (*api.Job, int, string, error) {
	if machine == "idle" {
		return nil, 204, "all tasks done", nil
	}
	return &api.Job{Uuid: "j", Machine: machine}, 202, "", nil
}

func (r *rig) client(t *testing.T) *client.Client {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.srv.Certificate().Raw})
	c, err := client.New(client.Config{Endpoint: r.srv.URL, Token: r.token, CAPEM: ca})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestObjects(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), newRig(t).client(t)
	m, err := client.Create(ctx, c, api.Machines, &api.Machine{Name: "web1"})
	require.NoError(t, err)
	assert.NotEmpty(t, m.Uuid)
	_, err = client.Create(ctx, c, api.Machines, &api.Machine{Name: "web1"})
	assert.Equal(t, 409, client.Status(err))
	got, err := client.Patch(ctx, c, api.Machines, "Name:web1", client.Swap("/OS", "", "debian")...)
	require.NoError(t, err)
	assert.Equal(t, "debian", got.OS)
	_, err = client.Patch(ctx, c, api.Machines, m.Uuid, client.Swap("/OS", "", "alpine")...)
	assert.Equal(t, 409, client.Status(err))
	got.Description = "mine"
	_, err = client.Put(ctx, c, api.Machines, got)
	require.NoError(t, err)
	require.NoError(t, c.SetParam(ctx, "machines", m.Uuid, "a/b c", nil))
	require.NoError(t, c.SetParam(ctx, "machines", m.Uuid, "n", 3))
	p, err := c.Params(ctx, "machines", m.Uuid, false)
	require.NoError(t, err)
	assert.Equal(t, resource.Params{"a/b c": nil, "n": 3.0}, p)
	require.NoError(t, c.DeleteParam(ctx, "machines", m.Uuid, "a/b c"))
	var n int
	require.NoError(t, c.Param(ctx, "machines", m.Uuid, "n", false, &n))
	assert.Equal(t, 3, n)
	list, err := client.List(ctx, c, api.Machines, "Name=Re(^web)", "OS=debian")
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, "mine", list[0].Description)
	count, err := client.Count(ctx, c, api.Machines, "OS=alpine")
	require.NoError(t, err)
	assert.Zero(t, count)
	_, err = client.Delete(ctx, c, api.Machines, m.Uuid)
	require.NoError(t, err)
	_, err = client.Get(ctx, c, api.Machines, m.Uuid)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	assert.NotEmpty(t, e.RequestID)
	e.RequestID = ""
	assert.Equal(t, client.Error{Model: "machines", Key: m.Uuid, Type: "GET", Messages: []string{"Not Found"}, Code: 404}, *e)
}

func TestJobsFilesAndLogs(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	job, again, _, err := c.NextJob(ctx, "busy", "")
	require.NoError(t, err)
	assert.True(t, again)
	assert.Equal(t, "busy", job.Machine)
	job, _, reason, err := c.NextJob(ctx, "idle", "")
	require.NoError(t, err)
	assert.Nil(t, job)
	assert.Equal(t, "all tasks done", reason)
	id := uuid.NewString()
	require.NoError(t, r.db.Update(ctx, func(tx *resource.Tx) error {
		return api.Jobs.Create(tx, &api.Job{Uuid: id, State: api.JobFinished})
	}))
	require.NoError(t, c.AppendLog(ctx, id, []byte("hello")))
	text, ended, err := c.ReadLog(ctx, id, 1, true)
	require.NoError(t, err)
	assert.Equal(t, "ello", string(text))
	assert.True(t, ended)
	sum := sha256.Sum256([]byte("data"))
	var sent int64
	up := client.Upload{Area: "isos", Path: "a/b c.iso", Body: strings.NewReader("data"), Size: 4, SHA256: hex.EncodeToString(sum[:]), Progress: func(n int64) { sent = n }}
	f, err := c.UploadFile(ctx, up)
	require.NoError(t, err)
	assert.Equal(t, api.File{Path: "isos/a/b c.iso", Size: 4, SHA256: up.SHA256}, *f)
	assert.Equal(t, int64(4), sent)
	up.Body = strings.NewReader("dat2")
	_, err = c.UploadFile(ctx, up)
	assert.Equal(t, 422, client.Status(err))
}

func TestRetriesOnlyWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	r.away.Store(2)
	_, err := client.List(ctx, c, api.Machines)
	require.NoError(t, err)
	assert.Equal(t, int32(3), r.calls.Load())
	r.away.Store(1)
	_, err = client.Create(ctx, c, api.Roles, &api.Role{Name: "x"})
	assert.Equal(t, 503, client.Status(err))
	assert.Equal(t, int32(4), r.calls.Load())
}

func TestPinnedCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sum := sha256.Sum256(r.srv.Certificate().Raw)
	for pin, ok := range map[string]bool{hex.EncodeToString(sum[:]): true, strings.Repeat("0", 64): false} {
		c, err := client.New(client.Config{Endpoint: r.srv.URL, Token: r.token, CAFingerprint: pin, Retries: -1})
		require.NoError(t, err)
		_, err = client.List(t.Context(), c, api.Machines)
		assert.Equal(t, ok, err == nil, "%s: %v", pin, err)
		c.Close()
	}
	_, err := client.New(client.Config{Endpoint: r.srv.URL, CAFingerprint: "12"})
	require.ErrorContains(t, err, "not a SHA-256")
	_, err = client.New(client.Config{Endpoint: "somewhere"})
	require.ErrorContains(t, err, "not a URL")
}

func TestWatchReconnects(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRig(t)
	c := r.client(t)
	create := func(name string) {
		require.NoError(t, r.db.Update(ctx, func(tx *resource.Tx) error { return api.Pools.Create(tx, &api.Pool{Id: name}) }))
	}
	var seen []string
	for e, err := range c.Watch(ctx, "pools.create.*") {
		seen = append(seen, e.Type+"."+e.Key)
		switch len(seen) {
		case 1:
			create("a")
		case 2:
			r.srv.CloseClientConnections()
			create("b") // while nobody listens
		case 4:
			for range 100 { // more than the ring holds, in one go
				r.db.Publish(resource.Event{Type: "x", Action: "y"})
			}
			r.srv.CloseClientConnections()
			create("c")
		}
		if err != nil {
			assert.ErrorIs(t, err, client.ErrLagged)
			seen[len(seen)-1] = "lagged"
		}
		if len(seen) >= 5 && (e.Type == "pools" || err != nil) {
			break
		}
	}
	assert.Equal(t, []string{"watch.", "pools.a", "watch.", "pools.b"}, seen[:4])
	assert.GreaterOrEqual(t, len(seen), 5)
	for _, err := range c.WithToken("bad").Watch(ctx, "pools.*.*") {
		assert.Equal(t, 403, client.Status(err))
	}
}
