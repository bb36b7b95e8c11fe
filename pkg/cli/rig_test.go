package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/auth/password"
	"drpd/pkg/blob"
	"drpd/pkg/cluster"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/sim/inproc"
	"drpd/pkg/store/mem"
)

// rig is a server with a simulated rack, and drpcli in front of it.
type rig struct {
	*inproc.Site
	env  []string
	home string
	srv  *httptest.Server
}

const testPassword = "right horse"

func newRig(t *testing.T, machines int) *rig {
	t.Helper()
	site, err := inproc.Start(t.Context(), inproc.New(machines), mem.New(mem.Config{}))
	require.NoError(t, err)
	t.Cleanup(site.Stop)
	a, err := auth.New(auth.Config{DB: site.Core.DB, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}, Scrypt: password.Params{LogN: 4, R: 8, P: 1}})
	require.NoError(t, err)
	require.NoError(t, site.Core.DB.Update(t.Context(), func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	}))
	require.NoError(t, a.SetPassword(t.Context(), auth.Identity{}, "root", testPassword))
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	h, err := rest.New(rest.Config{DB: site.Core.DB, Auth: a, Blobs: blobs, FollowFor: 20 * time.Millisecond,
		Info: func(context.Context, string) (rest.Info, error) { return rest.Info{Version: "test"}, nil },
		Why:  whyFor(site.Core.DB), Verbs: map[string]rest.Verb{"clusters/protect": protect(site.Core.DB, true), "clusters/unprotect": protect(site.Core.DB, false)}})
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close(); blobs.Close() })
	home := t.TempDir()
	return &rig{Site: site, srv: srv, home: home, env: []string{"HOME=" + home, "RS_ENDPOINT=" + srv.URL, "RS_KEY=root:" + testPassword}}
}

// protect is the server's verb, without its reply.
func protect(db *resource.DB, on bool) rest.Verb {
	return func(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
		return http.StatusOK, o.Val, db.Update(ctx, func(tx *resource.Tx) error { return cluster.Protect(tx, o.Key, on, resource.Actor(ctx)) })
	}
}

// whyFor answers with the facts that the object itself has.
func whyFor(db *resource.DB) func(context.Context, resource.Object) (rest.WhyReply, error) {
	return func(_ context.Context, o resource.Object) (rest.WhyReply, error) {
		r := rest.WhyReply{Object: o.Kind + "/" + o.Key}
		if m, ok := o.Val.(*api.Machine); ok {
			r.LastJob, _ = api.Jobs.Get(db.View(), m.CurrentJob)
		}
		return r, nil
	}
}

// ran is the outcome of one command line.
type ran struct {
	code     int
	out, err string
}

func (r *rig) run(t *testing.T, args ...string) ran { t.Helper(); return r.runIn(t, "", args...) }

// runIn gives standard input; it must end by itself, whatever the input.
func (r *rig) runIn(t *testing.T, in string, args ...string) ran {
	t.Helper()
	return r.runCtx(t, t.Context(), strings.NewReader(in), args...)
}

func (r *rig) runCtx(t *testing.T, ctx context.Context, in io.Reader, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var out, errw bytes.Buffer
	code := Config{Poll: 5 * time.Millisecond}.Main(ctx, args, r.env, in, &out, &errw)
	assertNoControl(t, args, out.String())
	assertNoControl(t, args, errw.String())
	return ran{code, out.String(), errw.String()}
}

// assertNoControl holds for every command that any test runs: none of them has
// a terminal.
func assertNoControl(t *testing.T, args []string, text string) {
	t.Helper()
	for i, b := range []byte(text) {
		if b < 0x20 && b != '\n' && b != '\t' || b == 0x7f {
			t.Errorf("drpcli %s: control byte %#x at %d", strings.Join(args, " "), b, i)
			return
		}
	}
}

// ok runs a command that must succeed and returns its standard output.
func (r *rig) ok(t *testing.T, args ...string) string {
	t.Helper()
	got := r.run(t, args...)
	require.Equal(t, 0, got.code, "drpcli %s\n%s%s", strings.Join(args, " "), got.out, got.err)
	return got.out
}

// object runs a command that must succeed and decodes what it prints.
func (r *rig) object(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out := map[string]any{}
	text := r.ok(t, args...)
	require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	return out
}

// fails runs a command that must fail with a code, and say some things.
func (r *rig) fails(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	got := r.run(t, args...)
	assert.Equal(t, code, got.code, "drpcli %s\n%s%s", strings.Join(args, " "), got.out, got.err)
	assert.Contains(t, got.err, says, "drpcli %s", strings.Join(args, " "))
}

// stock enrolls the rack and waits until its machines can be taken.
func (r *rig) stock(t *testing.T) {
	t.Helper()
	require.NoError(t, r.Enroll(t.Context()))
	require.NoError(t, r.Await(t.Context(), "all machines free", inproc.AllFree(len(r.Machines))))
}
