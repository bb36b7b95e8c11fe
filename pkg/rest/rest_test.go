package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/auth/password"
	"drpd/pkg/blob"
	"drpd/pkg/engine"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
)

// rig is a whole server in this process.
type rig struct {
	db   *resource.DB
	auth *auth.Auth
	srv  *httptest.Server
	root string // token of a superuser
}

func newRig(t testing.TB, tune func(*rest.Config), ring ...int) *rig {
	t.Helper()
	size := append(ring, 1024)[0]
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), api.ExtendedObjects, engine.Waits, rest.KeptReplies, proof.Claims), Hooks: auth.Hooks(api.Kinds()), Ring: size})
	require.NoError(t, err)
	a, err := auth.New(auth.Config{DB: db, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}, Scrypt: password.Params{LogN: 4, R: 8, P: 1}})
	require.NoError(t, err)
	r := &rig{db: db, auth: a}
	r.put(t, func(tx *resource.Tx) error {
		return api.Users.Create(tx, &api.User{Name: "root", Roles: []string{auth.Superuser}})
	})
	r.root, err = a.UserToken(auth.Identity{}, "root", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	cfg := rest.Config{DB: db, Auth: a, Blobs: blobs, FollowFor: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	if tune != nil {
		tune(&cfg)
	}
	h, err := rest.New(cfg)
	require.NoError(t, err)
	r.srv = httptest.NewServer(h)
	t.Cleanup(func() { r.srv.CloseClientConnections(); r.srv.Close(); blobs.Close() })
	return r
}

func (r *rig) put(t testing.TB, fn func(tx *resource.Tx) error) {
	t.Helper()
	require.NoError(t, r.db.Update(context.Background(), fn))
}

func (r *rig) machine(t *testing.T, m *api.Machine) string {
	t.Helper()
	if m.Uuid == "" {
		m.Uuid = uuid.NewString()
	}
	r.put(t, func(tx *resource.Tx) error { return api.Machines.Create(tx, m) })
	return m.Uuid
}

type reply struct {
	status int
	head   http.Header
	body   string
}

func (p reply) json(t testing.TB, out any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(p.body), out), p.body)
}

// as makes a call with a token; header comes in pairs.
func (r *rig) as(t testing.TB, token, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.srv.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header, string(data)}
}

func (r *rig) do(t testing.TB, method, path, body string, header ...string) reply {
	t.Helper()
	return r.as(t, r.root, method, "/api/v3"+path, body, header...)
}

const id1 = "11111111-1111-4111-8111-111111111111"

// samples are one valid object of each kind that users create.
var samples = map[string][2]string{ // kind: key, body
	"pools":        {"lab", `{"Id":"lab"}`},
	"workflows":    {"w", `{"Name":"w","Stages":["s"]}`},
	"stages":       {"s", `{"Name":"s"}`},
	"tasks":        {"t", `{"Name":"t","Templates":[{"Name":"a","Contents":"echo"}]}`},
	"templates":    {"a.tmpl", `{"ID":"a.tmpl","Contents":"x"}`},
	"bootenvs":     {"b", `{"Name":"b"}`},
	"profiles":     {"p", `{"Name":"p","Params":{"x":1}}`},
	"params":       {"x/y", `{"Name":"x/y"}`},
	"blueprints":   {"bp", `{"Name":"bp"}`},
	"subnets":      {"n", `{"Name":"n","Subnet":"10.0.0.1/24","ActiveStart":"10.0.0.10","ActiveEnd":"10.0.0.20"}`},
	"reservations": {"10.0.0.5", `{"Addr":"10.0.0.5","Token":"52:54:00:00:00:01"}`},
	"users":        {"u", `{"Name":"u"}`},
	"roles":        {"r", `{"Name":"r","Claims":[{"scope":"*","action":"list","specific":"*"}]}`},
	"contents":     {"pack", `{"meta":{"Name":"pack"},"sections":{"tasks":{"a":{},"b":{}}}}`},
}

// absent is what DRP says of an object that is not there.
func absent(kind string) string {
	if kind == "contents" {
		return "No such content store"
	}
	return "Not Found"
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for kind, s := range samples {
		at := "/" + kind + "/" + strings.ReplaceAll(s[0], "/", "%2F")
		made := r.do(t, "POST", "/"+kind, s[1])
		require.Equal(t, 201, made.status, kind+made.body)
		assert.Equal(t, 409, r.do(t, "POST", "/"+kind, s[1]).status, kind)
		got := r.do(t, "GET", at, "")
		require.Equal(t, 200, got.status, kind+got.body)
		assert.Equal(t, 304, r.do(t, "GET", at, "", "If-None-Match", got.head.Get("ETag")).status, kind)
		put := r.do(t, "PUT", at, got.body, "If-Match", got.head.Get("ETag"))
		assert.Equal(t, 200, put.status, kind+put.body)
		assert.Equal(t, 412, r.do(t, "PUT", at, got.body, "If-Match", `"77"`).status, kind)
		head := r.do(t, "HEAD", "/"+kind, "")
		assert.NotEqual(t, "0", head.head.Get("X-DRP-LIST-TOTAL-COUNT"), kind)
		assert.Equal(t, 200, r.do(t, "DELETE", at, "").status, kind)
		gone := r.do(t, "GET", at, "")
		var e rest.ErrorReply
		gone.json(t, &e)
		assert.Equal(t, rest.ErrorReply{Model: kind, Key: s[0], Type: "GET", Messages: []string{absent(kind)}, Code: 404}, e)
	}
	for _, kind := range []string{"machines", "clusters", "resource_brokers"} {
		made := r.do(t, "POST", "/"+kind, `{"Name":"web1","Params":{"a":1}}`)
		require.Equal(t, 201, made.status, made.body)
		assert.NotContains(t, made.body, "Secret")
		assert.Equal(t, 200, r.do(t, "GET", "/"+kind+"/Name:web1", "").status)
		got := r.do(t, "PUT", "/"+kind+"/Name:web1", made.body)
		require.Equal(t, 200, got.status, got.body)
		assert.JSONEq(t, made.body, got.body)
		assert.Equal(t, 200, r.do(t, "DELETE", "/"+kind+"/Name:web1", "").status)
	}
}

func TestPutKeepsHiddenFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.machine(t, &api.Machine{Name: "m", Secret: "hush"})
	require.Equal(t, 200, r.do(t, "PATCH", "/machines/"+id, `[{"op":"add","path":"/Params/x~1y","value":3}]`).status)
	m, err := api.Machines.Get(r.db.View(), id)
	require.NoError(t, err)
	assert.Equal(t, "hush", m.Secret)
	assert.Equal(t, resource.Params{"x/y": 3.0}, m.Params)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.BodyLimit = 64 << 10 })
	id := r.machine(t, &api.Machine{Name: "m"})
	locked := r.machine(t, &api.Machine{Name: "l", Locked: true})
	at := "/machines/" + id
	many := strings.Repeat(`{"op":"add","path":"/OS","value":""},`, 1001)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"patch test fails":     {"PATCH", at, `[{"op":"test","path":"/Name","value":"x"},{"op":"replace","path":"/Name","value":"y"}]`, 409, `"Type":"PATCH","Messages":["Patch error at line 0: Test op failed."`},
		"patch engine field":   {"PATCH", at, `[{"op":"replace","path":"/Pool","value":"x"}]`, 422, "field Pool cannot be set here: the pool operations addMachines"},
		"patch moves from one": {"PATCH", at, `[{"op":"move","from":"/Owner","path":"/OS"}]`, 422, "field Owner"},
		"patch the whole":      {"PATCH", at, `[{"op":"replace","path":"","value":{"Name":"m","Uuid":"` + id + `","PoolStatus":"InUse"}}]`, 422, "cannot be set here"},
		"patch secret":         {"PATCH", at, `[{"op":"add","path":"/Secret","value":"x"}]`, 422, "field Secret"},
		"patch key":            {"PATCH", at, `[{"op":"replace","path":"/Uuid","value":"` + id1 + `"}]`, 422, "field Uuid"},
		"patch no list":        {"PATCH", at, `{"Name":"x"}`, 400, "not a JSON patch"},
		"patch unknown field":  {"PATCH", at, `[{"op":"add","path":"/Nmae","value":"x"}]`, 406, "Nmae"},
		"patch type":           {"PATCH", at, `[{"op":"add","path":"/Name","value":3}]`, 406, "field Name: cannot hold a number"},
		"patch too long":       {"PATCH", at, "[" + strings.TrimSuffix(many, ",") + "]", 413, "1001 operations, 1000 at most"},
		"create engine field":  {"POST", "/machines", `{"Name":"n","PoolAllocated":true}`, 422, "field PoolAllocated"},
		"create in other case": {"POST", "/machines", `{"Name":"n","owner":"x"}`, 422, "field Owner"},
		"create invalid":       {"POST", "/machines", `{"Name":"-"}`, 422, "must start with"},
		"locked":               {"PATCH", "/machines/" + locked, `[{"op":"add","path":"/OS","value":"x"}]`, 403, "Locked"},
		"locked delete":        {"DELETE", "/machines/" + locked, ``, 403, "Locked"},
		"too big":              {"POST", "/machines", `"` + strings.Repeat("x", 70<<10) + `"`, 413, "more than 65536 bytes"},
		"too deep":             {"POST", "/machines", strings.Repeat("[", 65), 400, "deeper than 64"},
		"two values":           {"POST", "/roles", `{"Name":"a"} {}`, 400, "more than one"},
		"no such kind":         {"GET", "/nothing", ``, 404, "there is no GET /api/v3/nothing"},
		"no such verb":         {"POST", at + "/fly", ``, 404, "there is no POST"},
		"filter op":            {"GET", "/machines?Name=Between(a)", ``, 406, "Between takes two values"},
		"filter re":            {"GET", "/machines?Name=Re([)", ``, 406, "error parsing regexp"},
		"filter key":           {"GET", "/machines?Nonsense=1", ``, 406, `["Filter not found: Nonsense"]`},
		"filters":              {"GET", "/machines?" + strings.Repeat("Name=a&", 33), ``, 406, "more than 32 filters"},
		"limit":                {"GET", "/machines?limit=-1", ``, 406, `"Model":"machines","Key":"","Type":"GET","Messages":["Limit cannot be negative"]`},
		"unknown pref":         {"POST", "/prefs", `{"nope":"1"}`, 400, "unknown preference"},
		"not wired":            {"POST", "/jobs", `{"Machine":"` + id + `"}`, 501, "does not offer jobs"},
	} {
		got := r.do(t, c.method, c.path, c.body)
		assert.Equal(t, c.status, got.status, name+": "+got.body)
		assert.Contains(t, got.body, c.says, name)
	}
	assert.Equal(t, 415, r.do(t, "POST", "/machines", `{}`, "Content-Type", "text/plain").status)
	assert.Equal(t, 200, r.do(t, "PATCH", "/machines/"+locked, `[{"op":"replace","path":"/Locked","value":false}]`).status)
}

func TestParamsAndMeta(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	at := "/machines/" + r.machine(t, &api.Machine{Name: "m"})
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/params/a/b", `[1,2]`, `[1,2]`},
		{"GET", "/params/a/b", ``, `[1,2]`},
		{"GET", "/params/none", ``, `null`},
		{"PATCH", "/params", `[{"op":"add","path":"/c","value":null}]`, `{"a/b":[1,2],"c":null}`},
		{"DELETE", "/params/a/b", ``, `[1,2]`},
		{"POST", "/params", `{"z":"q"}`, `{"z":"q"}`},
		{"GET", "/params", ``, `{"z":"q"}`},
	} {
		got := r.do(t, c.method, at+c.path, c.body)
		require.Equal(t, 200, got.status, c.method+c.path+got.body)
		assert.JSONEq(t, c.want, got.body, c.method+c.path)
	}
	assert.Equal(t, 404, r.do(t, "DELETE", at+"/params/a/b", "").status)
	assert.JSONEq(t, `{"color":"red"}`, r.do(t, "PATCH", "/meta"+at, `[{"op":"add","path":"/color","value":"red"}]`).body)
	thin := r.do(t, "GET", at+"?slim=Meta&params=z", "").body
	assert.Contains(t, thin, `"Partial":true`)
	assert.NotContains(t, thin, "machine-role")
	assert.Equal(t, 400, r.do(t, "PUT", at, thin).status, "a thinned object is not stored")
}

// Secrets among preferences are read by nobody, however they are written.
func TestSecretPrefs(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	r := newRig(t, nil)
	body := `{"systemGrantorSecret":"` + secret + `"}`
	set := r.do(t, "POST", "/prefs", body).body
	assert.Regexp(t, `^{"systemGrantorSecret":"sha256:[0-9a-f]{64}"}$`, strings.TrimSpace(set))
	assert.Equal(t, set, r.do(t, "GET", "/prefs", "").body)
	assert.Equal(t, set, r.do(t, "POST", "/prefs", body).body)
	assert.Equal(t, set, r.do(t, "POST", "/prefs", set).body, "what was read is written back and changes nothing")
	put := r.do(t, "PUT", "/preferences/systemGrantorSecret", `{"Name":"systemGrantorSecret","Value":"another `+secret+`"}`)
	require.Equal(t, 200, put.status, put.body)
	patch := r.do(t, "PATCH", "/preferences/systemGrantorSecret", `[{"op":"replace","path":"/Value","value":"third `+secret+`"}]`)
	require.Equal(t, 200, patch.status, patch.body)
	base := r.do(t, "POST", "/prefs", `{"baseTokenSecret":"`+secret+`"}`)
	require.Equal(t, 201, base.status, base.body)
	for _, said := range []string{set, put.body, patch.body, base.body} {
		assert.Contains(t, said, `"sha256:`)
		assert.NotContains(t, said, secret)
	}
	assert.Equal(t, 403, r.do(t, "GET", "/prefs", "").status, "every token has ended")
}

func TestPrefsAndContents(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	assert.Equal(t, 422, r.do(t, "POST", "/prefs", `{"defaultStage":"s"}`).status, "no such stage")
	assert.Equal(t, 422, r.do(t, "POST", "/prefs", `{"knownTokenTimeout":"soon"}`).status)
	assert.JSONEq(t, `{}`, r.do(t, "GET", "/prefs", "").body)
	refused := r.do(t, "POST", "/prefs", `{"baseTokenSecret":"short-and-secret"}`)
	assert.Equal(t, 422, refused.status)
	assert.NotContains(t, refused.body, "short-and-secret")
	require.Equal(t, 201, r.do(t, "POST", "/stages", `{"Name":"s","Type":"stages"}`).status, "drpcli extended sends Type")
	set := r.do(t, "POST", "/prefs", `{"defaultStage":"s"}`)
	assert.Equal(t, 201, set.status)
	assert.JSONEq(t, `{"defaultStage":"s"}`, r.do(t, "GET", "/prefs", "").body)
	var made rest.PackSummary
	r.do(t, "POST", "/contents", samples["contents"][1]).json(t, &made)
	assert.Equal(t, rest.PackSummary{Meta: api.PackMeta{Name: "pack"}, Counts: map[string]int{"tasks": 2}, Warnings: []string{}}, made)
	var pack api.ContentPack
	r.do(t, "GET", "/contents/pack", "").json(t, &pack)
	assert.Equal(t, api.PackMeta{Name: "pack"}, pack.Meta)
	assert.Equal(t, map[string]map[string]any{"tasks": {"a": map[string]any{}, "b": map[string]any{}}}, pack.Sections)
}
