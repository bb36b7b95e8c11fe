package rest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

func form(t testing.TB, name, text string) (kind, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.WriteField("comment", "x"))
	if name != "" {
		f, err := w.CreateFormFile("file", name)
		require.NoError(t, err)
		_, _ = io.WriteString(f, text)
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.String()
}

func TestFormUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.UploadLimit = 1000 })
	kind, body := form(t, "x.bin", "hello")
	got := r.do(t, "POST", "/files/a/x", body, "Content-Type", kind)
	assert.Equal(t, 201, got.status, got.body)
	assert.JSONEq(t, `{"Path":"/a/x","Size":5}`, got.body)
	assert.Equal(t, "hello", r.do(t, "GET", "/files/a/x", "").body)
	cut := r.do(t, "POST", "/files/a/y", body[:strings.Index(body, "hello")+3], "Content-Type", kind)
	assert.Equal(t, 400, cut.status, cut.body)
	assert.Equal(t, 404, r.do(t, "GET", "/files/a/y", "").status)
	kind, body = form(t, "", "")
	assert.Equal(t, 400, r.do(t, "POST", "/files/a/y", body, "Content-Type", kind).status)
	assert.Equal(t, 415, r.do(t, "POST", "/files/a/y", body, "Content-Type", "multipart/form-data").status)
	kind, body = form(t, "f", strings.Repeat("x", 1001))
	assert.Equal(t, 413, r.do(t, "POST", "/files/a/y", body, "Content-Type", kind).status)
	sum := r.do(t, "HEAD", "/files/a/x", "").head.Get("X-DRP-SHA256SUM")
	assert.Equal(t, 304, r.do(t, "GET", "/files/a/x", "", "If-None-Match", `"SHA256:`+sum+`"`).status)
	assert.Equal(t, 416, r.do(t, "GET", "/files/a/x", "", "Range", "bytes=9-").status)
}

func archive(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i+1 < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}
		if to, ok := strings.CutPrefix(files[i+1], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		require.NoError(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := io.WriteString(w, files[i+1])
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.String()
}

func TestExplode(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.UploadLimit = 2000 })
	up := func(path, text string) reply {
		return r.do(t, "POST", path+"?explode=true", text, "Content-Type", "application/octet-stream")
	}
	got := up("/files/net/boot.tgz", archive(t, "one", "1", "d/two", "22", "d/link", "->../one", "out", "->../../x", "dir", "->d"))
	require.Equal(t, 201, got.status, got.body)
	assert.JSONEq(t, `["net/boot.tgz","net/d/link","net/d/two","net/one"]`, r.do(t, "GET", "/files?path=&all=true", "").body)
	assert.Equal(t, "22", r.do(t, "GET", "/files/net/d/two", "").body)
	assert.Equal(t, "1", r.do(t, "GET", "/files/net/d/link", "").body, "a link is a copy")
	assert.Len(t, r.do(t, "HEAD", "/files/net/one", "").head.Get("X-DRP-SHA256SUM"), 64)
	before := r.do(t, "GET", "/files?path=&all=true", "").body
	for name, c := range map[string]struct {
		at, body string
		status   int
		says     string
	}{
		"late clash":    {"/files/net/e.tgz", archive(t, "new", "x", "deep/er/new", "x", "d", "y"), 409, "same name"},
		"own clash":     {"/files/net/e.tgz", archive(t, "new", "x", "one", "2", "new/er", "y"), 409, "same name"},
		"leads out":     {"/files/net/e.tgz", archive(t, "new", "x", "../../etc", "x"), 422, `segment \"..\"`},
		"no archive":    {"/files/net/e.tgz", "hello", 422, "neither tar"},
		"of itself":     {"/files/net/e.tgz", archive(t, "e.tgz", "x"), 422, "its own name"},
		"twice":         {"/files/net/e.tgz", archive(t, "new", "x", "new", "y"), 409, "twice"},
		"a folder":      {"/files/net/e.tgz", archive(t, "d", "x"), 409, "same name"},
		"too large":     {"/files/net/e.tgz", archive(t, "new", strings.Repeat("x", 2001)), 413, "more than 2000 bytes"},
		"not for isos":  {"/isos/e.tgz", archive(t, "new", "x"), 400, "only what is uploaded under files"},
		"sum too large": {"/files/net/e.tgz", archive(t, "new", strings.Repeat("x", 1500), "l1", "->new"), 413, "more than"},
	} {
		got := up(c.at, c.body)
		assert.Equal(t, c.status, got.status, name+got.body)
		assert.Contains(t, got.body, c.says, name)
		assert.Equal(t, 404, r.do(t, "GET", "/files/net/new", "").status, name+": nothing of it is left")
		assert.JSONEq(t, before, strings.Replace(r.do(t, "GET", "/files?path=&all=true", "").body, `"net/e.tgz",`, "", 1), name)
	}
}

func TestCompressedReplies(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.machine(t, &api.Machine{Name: "m"})
	get := func(path string) reply { return r.do(t, "GET", path, "", "Accept-Encoding", "gzip") }
	assert.Empty(t, get("/info").head.Get("Content-Encoding"), "small")
	for range 3 {
		r.machine(t, &api.Machine{Name: fmt.Sprint("m", len(r.do(t, "GET", "/machines", "").body))})
	}
	packed := get("/machines")
	require.Equal(t, "gzip", packed.head.Get("Content-Encoding"))
	assert.Equal(t, "4", packed.head.Get("X-DRP-LIST-COUNT"))
	z, err := gzip.NewReader(strings.NewReader(packed.body))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.Equal(t, r.do(t, "GET", "/machines", "", "Accept-Encoding", "gzip;q=0").body, string(plain))
	assert.Equal(t, 404, get("/machines/none").status)
	assert.Equal(t, 304, r.do(t, "GET", "/machines/"+id, "", "Accept-Encoding", "gzip", "If-None-Match", r.do(t, "GET", "/machines/"+id, "").head.Get("ETag")).status)
	big := strings.Repeat("x", 5000)
	require.Equal(t, 201, r.do(t, "POST", "/files/x", big, "Content-Type", "application/octet-stream").status)
	got := get("/files/x")
	assert.Equal(t, []string{"", big}, []string{got.head.Get("Content-Encoding"), got.body})
}

func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	pre := r.as(t, "", "OPTIONS", "/api/v3/machines", "", "Origin", "https://ux.example", "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization")
	assert.Equal(t, 204, pre.status)
	assert.Equal(t, []string{"*", "authorization", ""}, []string{pre.head.Get("Access-Control-Allow-Origin"), pre.head.Get("Access-Control-Allow-Headers"), pre.head.Get("Access-Control-Allow-Credentials")})
	got := r.do(t, "GET", "/machines", "", "Origin", "https://ux.example")
	assert.Equal(t, "*", got.head.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, got.head.Get("Access-Control-Expose-Headers"), "X-DRP-LIST-COUNT")
	assert.Equal(t, "*", r.as(t, "", "GET", "/api/v3/machines", "", "Origin", "https://ux.example").head.Get("Access-Control-Allow-Origin"), "a refusal can be read too")
}

// kept is a log that keeps what traced requests log.
type kept struct {
	slog.Handler
	mu    *sync.Mutex
	lines *bytes.Buffer
}

func (k kept) Enabled(ctx context.Context, l slog.Level) bool {
	t, ok := rest.TraceOf(ctx)
	return ok && l >= t.Level
}

func (k kept) WithAttrs(a []slog.Attr) slog.Handler {
	return kept{k.Handler.WithAttrs(a), k.mu, k.lines}
}

func TestTracedRequests(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	var mu sync.Mutex
	h := kept{slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}), &mu, &lines}
	r := newRig(t, func(c *rest.Config) { c.Log = slog.New(h) })
	r.do(t, "GET", "/machines", "")
	assert.Empty(t, lines.String())
	r.do(t, "GET", "/machines/none", "", "X-Log-Request", "debug", "X-Log-Token", "find me")
	assert.Contains(t, lines.String(), "msg=request actor=root token=\"find me\"")
	assert.Contains(t, lines.String(), "status=404")
}

func TestActionsAndOwnEventsAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.Actions = fine{} })
	r.put(t, func(tx *resource.Tx) error { return api.Clusters.Create(tx, &api.Machine{Uuid: id1, Name: "c1"}) })
	c := dial(t, r, r.root)
	for _, p := range []string{"clusters.*.*", `own.a\1b,other.*`} {
		say(t, c, "register "+p)
		hear(t, c)
	}
	require.Equal(t, 200, r.do(t, "POST", "/clusters/"+id1+"/actions/poweron", "").status)
	assert.Equal(t, "clusters.poweron."+id1, hear(t, c))
	for _, action := range []string{"nobody", "a.b", "other"} {
		require.Equal(t, 204, r.do(t, "POST", "/events", `{"Type":"own","Action":"`+action+`","Key":"k"}`).status)
	}
	assert.Equal(t, "own.a.b.k", hear(t, c))
	assert.Equal(t, "own.other.k", hear(t, c))
}

type fine struct{ panicky }

func (fine) Run(context.Context, rest.ActionCall) (any, error) { return "ok", nil }

func FuzzUploads(f *testing.F) {
	kind, body := form(f, "x", "hello")
	f.Add(kind, body, "bytes=0-")
	f.Add("application/octet-stream", archive(f, "a", "b"), "bytes=1-2,5-,-3")
	r := newRig(f, func(c *rest.Config) { c.UploadLimit = 1 << 20 }) // one for all: it takes far longer than an upload
	f.Fuzz(func(t *testing.T, kind, body, ranges string) {
		if !plainHeader(kind) || !plainHeader(ranges) {
			return
		}
		up := r.do(t, "POST", "/files/d/x?explode=true", body, "Content-Type", kind)
		got := r.do(t, "GET", "/files/d/x", "", "Range", ranges)
		if up.status >= 500 || got.status >= 500 {
			t.Errorf("%d %s, %d %s", up.status, up.body, got.status, got.body)
		}
		var left []string
		r.do(t, "GET", "/files?all=true", "").json(t, &left)
		for _, name := range left { // the next upload finds nothing
			r.do(t, "DELETE", "/files/"+url.PathEscape(name), "")
		}
	})
}

func plainHeader(s string) bool {
	return http.CanonicalHeaderKey(s) != "" && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
