package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/auth/password"
	"drpd/pkg/engine"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/store/mem"
)

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	var asked string
	r := newRig(t, func(c *rest.Config) {
		c.NextJob = func(_ context.Context, _ auth.Identity, machine, _ string) (*api.Job, int, string, error) {
			asked = machine
			return nil, 204, "all tasks done", nil
		}
		c.WhoAmI = func(context.Context, auth.Identity, rest.WhoAmIRequest) (rest.WhoAmIReply, error) {
			return rest.WhoAmIReply{}, nil
		}
	})
	mine, other := r.machine(t, &api.Machine{Name: "mine", Profiles: []string{"outer"}}), r.machine(t, &api.Machine{Name: "other"})
	myJob, otherJob := uuid.NewString(), uuid.NewString()
	r.put(t, func(tx *resource.Tx) error {
		for _, err := range []error{
			api.Jobs.Create(tx, &api.Job{Uuid: myJob, Machine: mine, State: api.JobCreated}),
			api.Jobs.Create(tx, &api.Job{Uuid: otherJob, Machine: other, State: api.JobCreated}),
			api.Profiles.Create(tx, &api.Profile{Name: "outer", Profiles: []string{"inner"}}),
			api.Profiles.Create(tx, &api.Profile{Name: "inner"}),
			api.Profiles.Create(tx, &api.Profile{Name: "secret"}),
			api.Roles.Create(tx, &api.Role{Name: "helper", Claims: []api.Claim{{Scope: "machines", Action: "get,list,update:/Params", Specific: "*"}}}),
			api.Users.Create(tx, &api.User{Name: "ann", Roles: []string{"helper"}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	tok := map[string]string{}
	var err error
	tok["machine"], err = r.auth.MachineToken(auth.Identity{}, mine, time.Hour)
	require.NoError(t, err)
	tok["boot"], err = r.auth.BootToken(time.Hour)
	require.NoError(t, err)
	tok["ann"], err = r.auth.UserToken(auth.Identity{}, "ann", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	set := func(field string) string { return `[{"op":"add","path":"` + field + `","value":true}]` }
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"machine", "GET", "/machines/" + mine, "", 200},
		{"machine", "GET", "/machines/" + other, "", 404},
		{"machine", "PATCH", "/machines/" + mine, set("/Runnable"), 200},
		{"machine", "PATCH", "/machines/" + other, set("/Runnable"), 404},
		{"machine", "PATCH", "/machines/" + mine, set("/Locked"), 403},
		{"machine", "PATCH", "/machines/" + mine, set("/WorkOrderMode"), 403},
		{"machine", "PATCH", "/machines/" + mine, set("/PoolAllocated"), 422},
		{"machine", "DELETE", "/machines/" + mine, "", 403},
		{"machine", "POST", "/machines", `{"Name":"new"}`, 403},
		{"machine", "GET", "/machines/" + mine + "/params", "", 200},
		{"machine", "GET", "/machines/" + mine + "/params?decode=true", "", 403},
		{"machine", "GET", "/machines/" + mine + "/token", "", 200},
		{"machine", "POST", "/machines/" + mine + "/actions/poweroff", "{}", 403},
		{"machine", "POST", "/jobs", `{"Machine":"` + mine + `"}`, 204},
		{"machine", "POST", "/jobs", `{"Machine":"` + other + `"}`, 403},
		{"machine", "GET", "/jobs/" + myJob, "", 200},
		{"machine", "GET", "/jobs/" + otherJob, "", 404},
		{"machine", "PATCH", "/jobs/" + myJob, `[{"op":"replace","path":"/State","value":"running"}]`, 200},
		{"machine", "PATCH", "/jobs/" + otherJob, `[{"op":"replace","path":"/State","value":"running"}]`, 404},
		{"machine", "GET", "/profiles/inner", "", 200},
		{"machine", "GET", "/profiles/secret", "", 404},
		{"machine", "GET", "/users/root", "", 404},
		{"machine", "PUT", "/users/root/password", `{"Password":"x"}`, 404},
		{"machine", "POST", "/prefs", `{"defaultStage":"x"}`, 403},
		{"boot", "POST", "/whoami", `{}`, 200},
		{"boot", "POST", "/machines", `{"Name":"born"}`, 201},
		{"boot", "GET", "/machines/" + mine, "", 404},
		{"boot", "POST", "/jobs", `{"Machine":"` + mine + `"}`, 403},
		{"boot", "POST", "/clusters", `{"Name":"c"}`, 403},
		{"ann", "PATCH", "/machines/" + other, set("/Params/x"), 200},
		{"ann", "PATCH", "/machines/" + other, set("/Runnable"), 403},
		{"ann", "DELETE", "/machines/" + other, "", 403},
		{"ann", "GET", "/users/ann", "", 200},
		{"ann", "GET", "/users/ann/token", "", 200},
		{"ann", "GET", "/users/root/token", "", 404},
		{"ann", "GET", "/roles/helper", "", 404},
		{"ann", "GET", "/machines/" + mine + "/token", "", 403},
		{"ann", "POST", "/files/x", "data", 415},
		{"none", "GET", "/machines", "", 401},
		{"wrong", "GET", "/machines", "", 403},
	} {
		tok["wrong"] = tok["ann"] + "x"
		got := r.as(t, tok[c.who], c.method, "/api/v3"+c.path, c.body)
		assert.Equal(t, c.status, got.status, "%s %s %s: %s", c.who, c.method, c.path, got.body)
	}
	assert.Equal(t, mine, asked)
	assert.Equal(t, "dr-provision", r.as(t, "", "GET", "/api/v3/machines", "").head.Get("WWW-Authenticate"))
	var seen []api.Machine
	r.as(t, tok["machine"], "GET", "/api/v3/machines", "").json(t, &seen)
	require.Len(t, seen, 1, "a list shows what may be seen")
	assert.Equal(t, "mine", seen[0].Name)
}

func TestPasswordsAndRevocation(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	get := func(user, pass string) int {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.srv.URL+"/api/v3/users/root", nil)
		require.NoError(t, err)
		req.SetBasicAuth(user, pass)
		resp, err := r.srv.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	old := r.root
	require.Equal(t, 200, r.do(t, "PUT", "/users/root/password", `{"Password":"one"}`).status)
	assert.Equal(t, 403, r.as(t, old, "GET", "/api/v3/users/root", "").status, "the new secret revokes")
	assert.Equal(t, []int{200, 200, 403}, []int{get("root", "one"), get("root", "one"), get("root", "two")})
	assert.Equal(t, 200, r.as(t, "", "GET", "/api/v3/users/root?token=root:one", "").status)
	codes := map[int]int{}
	for range 12 {
		codes[get("nobody", "x")]++
	}
	assert.Equal(t, map[int]int{403: 8, 429: 4}, codes, "ten failures a minute, two came before")
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims), Ring: 64})
	require.NoError(t, err)
	secret, created, err := auth.Bootstrap(t.Context(), db, auth.Defaults{})
	require.NoError(t, err)
	require.True(t, created)
	u, err := api.Users.Get(db.View(), auth.FirstUser)
	require.NoError(t, err)
	assert.True(t, u.Available)
	require.NoError(t, password.Verify(u.PasswordHash, secret))
	again, created, err := auth.Bootstrap(t.Context(), db, auth.Defaults{})
	require.NoError(t, err)
	assert.False(t, created)
	assert.Empty(t, again)
}

func TestUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.UploadLimit = 1000 })
	sum := sha256.Sum256([]byte("hello"))
	good, bad := hex.EncodeToString(sum[:]), strings.Repeat("0", 64)
	up := func(path, text, want string) reply {
		return r.do(t, "POST", path, text, "Content-Type", "application/octet-stream", "X-DRP-SHA256SUM", want)
	}
	assert.Equal(t, 422, up("/files/a/b.txt", "hello", bad).status)
	assert.Equal(t, 404, r.do(t, "GET", "/files/a/b.txt", "").status, "nothing left of it")
	assert.Equal(t, "0", r.do(t, "HEAD", "/files", "").head.Get("X-DRP-LIST-COUNT"))
	assert.Equal(t, 400, up("/files/a/b.txt", "hello", "xyz").status)
	assert.Equal(t, 400, up("/files/a/..%2F..%2Fb", "hello", "").status)
	assert.Equal(t, 413, up("/files/big", strings.Repeat("x", 1001), "").status)
	made := up("/files/a/b.txt", "hello", good)
	require.Equal(t, 201, made.status, made.body)
	assert.JSONEq(t, `{"Path":"/a/b.txt","Size":5}`, made.body)
	require.Equal(t, 201, up("/isos/x.iso", "iso", "").status)
	assert.Equal(t, "hello", r.do(t, "GET", "/files/a/b.txt", "").body)
	assert.Equal(t, "ell", r.do(t, "GET", "/files/a/b.txt", "", "Range", "bytes=1-3").body)
	assert.Equal(t, good, r.do(t, "HEAD", "/files/a/b.txt", "").head.Get("X-DRP-SHA256SUM"))
	assert.JSONEq(t, `["a/"]`, r.do(t, "GET", "/files?path=", "").body)
	assert.JSONEq(t, `["b.txt"]`, r.do(t, "GET", "/files?path=a", "").body)
	assert.JSONEq(t, `["x.iso"]`, r.do(t, "GET", "/isos?path=/", "").body)
	assert.JSONEq(t, `["x.iso"]`, r.do(t, "GET", "/isos", "").body)
	assert.JSONEq(t, `["a/"]`, r.do(t, "GET", "/files", "").body)
	assert.JSONEq(t, `["a/b.txt"]`, r.do(t, "GET", "/files?all=true", "").body)
	missing := `"Messages":["Unable to delete"],"Code":404`
	assert.JSONEq(t, `{"Model":"files","Key":"/a","Type":"DELETE",`+missing+`}`, r.do(t, "DELETE", "/files/a", "").body)
	assert.Contains(t, r.do(t, "GET", "/isos/y.iso", "").body, `"Key":"/y.iso","Type":"GET","Messages":["Not a regular file"]`)
	var isos []api.File
	r.do(t, "GET", "/isos?sort=Path", "").json(t, &isos)
	require.Len(t, isos, 1)
	assert.Equal(t, "isos/x.iso", isos[0].Path)
	assert.Equal(t, 409, up("/files/a", "x", "").status, "a folder has that name")
	assert.Equal(t, 200, r.do(t, "DELETE", "/files/a/b.txt", "").status)
	assert.Equal(t, 404, r.do(t, "GET", "/files/a/b.txt", "").status)
}

func TestJobLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(t, func(tx *resource.Tx) error { return api.Jobs.Create(tx, &api.Job{Uuid: id1, State: api.JobRunning}) })
	at := "/jobs/" + id1 + "/log"
	add := func(text string) int {
		return r.do(t, "PUT", at, text, "Content-Type", "application/octet-stream").status
	}
	assert.Equal(t, 415, r.do(t, "PUT", at, "x").status)
	assert.Equal(t, []int{204, 204}, []int{add("one "), add("two")})
	assert.Equal(t, "one two", r.do(t, "GET", at, "").body)
	assert.Equal(t, "two", r.do(t, "GET", at+"?from=4", "").body)
	assert.Equal(t, "7", r.do(t, "HEAD", at, "").head.Get("X-DRP-LOG-SIZE"))
	got := make(chan reply)
	go func() { got <- r.do(t, "GET", at+"?from=7&follow=1", "") }()
	assert.Equal(t, 204, add("!"))
	p := <-got
	assert.Equal(t, []string{"!", "false"}, []string{p.body, p.head.Get("X-DRP-LOG-END")})
	go func() { got <- r.do(t, "GET", at+"?from=8&follow=1", "") }()
	assert.Equal(t, 200, r.do(t, "PATCH", "/jobs/"+id1, `[{"op":"replace","path":"/State","value":"finished"}]`).status)
	p = <-got
	assert.Equal(t, []string{"", "true"}, []string{p.body, p.head.Get("X-DRP-LOG-END")})
}

// panicky is what a broken plugin would be.
type panicky struct{}

func (panicky) Available(_ context.Context, _ *resource.Object, plugin string) ([]api.AvailableAction, error) {
	all := []api.AvailableAction{{Provider: "p", Model: "clusters", Command: "poweron"}, {Provider: "q", Model: "clusters", Command: "status"}}
	if plugin == "p" {
		return all[:1], nil
	}
	return all, nil
}

func (panicky) Run(context.Context, rest.ActionCall) (any, error) { panic("oops") }

func TestHooksAndWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) {
		c.Verbs = map[string]rest.Verb{"clusters/provision": func(_ context.Context, o resource.Object, body []byte, q url.Values) (int, any, error) {
			return 202, map[string]string{"name": o.Val.(*api.Machine).Name, "body": string(body), "q": q.Get("q")}, nil
		}}
		c.Actions = panicky{}
		c.Static = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "static ", q.URL.Path) })
	})
	r.put(t, func(tx *resource.Tx) error {
		if err := engine.Waits.Put(tx, &engine.Wait{Id: "w", Object: "clusters/" + id1, Waiting: "for machines"}); err != nil {
			return err
		}
		return api.Clusters.Create(tx, &api.Machine{Uuid: id1, Name: "c1"})
	})
	got := r.do(t, "POST", "/clusters/Name:c1/provision?q=1", `{"a":2}`)
	assert.Equal(t, 202, got.status)
	assert.JSONEq(t, `{"name":"c1","body":"{\"a\":2}","q":"1"}`, got.body)
	assert.Contains(t, r.do(t, "GET", "/engine/waits?object=clusters/"+id1, "").body, "for machines")
	got = r.do(t, "POST", "/clusters/Name:c1/actions/poweron", "")
	assert.Equal(t, 500, got.status)
	assert.NotContains(t, got.body, "oops", "internal errors keep their details")
	assert.JSONEq(t, `[{"Provider":"p","Model":"clusters","Command":"poweron","RequiredParams":[],"OptionalParams":[]}]`,
		r.do(t, "GET", "/clusters/Name:c1/actions?plugin=p", "").body)
	assert.Contains(t, r.do(t, "GET", "/clusters/Name:c1/actions/status", "").body, `"Provider":"q"`)
	assert.Equal(t, 404, r.do(t, "GET", "/clusters/Name:c1/actions/status?plugin=p", "").status)
	assert.Equal(t, 200, r.do(t, "GET", "/system/actions", "").status)
	assert.Equal(t, "static /files/x", r.as(t, "", "GET", "/files/x", "").body)
}

func dial(t *testing.T, r *rig, token string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), r.srv.URL+"/api/v3/ws?token="+token, nil)
	require.NoError(t, err)
	c.SetReadLimit(8 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func say(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func hear(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	_, data, err := c.Read(t.Context())
	require.NoError(t, err)
	var e resource.Event
	require.NoError(t, json.Unmarshal(data, &e))
	return e.Type + "." + e.Action + "." + e.Key
}

func TestWebsocket(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	mine := r.machine(t, &api.Machine{Name: "mine"})
	tok, err := r.auth.MachineToken(auth.Identity{}, mine, time.Hour)
	require.NoError(t, err)
	all, own := dial(t, r, r.root), dial(t, r, tok)
	for _, c := range []*websocket.Conn{all, own} {
		say(t, c, "register machines.*.*")
		assert.Equal(t, "websocket.register.machines.*.*", hear(t, c))
	}
	say(t, all, "register nonsense")
	assert.Equal(t, "websocket.error.nonsense", hear(t, all))
	other := r.machine(t, &api.Machine{Name: "other"})
	require.Equal(t, 200, r.do(t, "PATCH", "/machines/"+mine, `[{"op":"add","path":"/OS","value":"x"}]`).status)
	assert.Equal(t, "machines.create."+other, hear(t, all))
	assert.Equal(t, "machines.update."+mine, hear(t, all))
	assert.Equal(t, "machines.update."+mine, hear(t, own), "claims filter events")
	say(t, all, "deregister machines.*.*")
	assert.Equal(t, "websocket.deregister.machines.*.*", hear(t, all))
	for i := range 64 {
		say(t, all, fmt.Sprintf("register x.y.%d", i))
		hear(t, all)
	}
	say(t, all, "register x.y.z")
	assert.Equal(t, "websocket.error.x.y.z", hear(t, all))
	r.put(t, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, mine, func(m *api.Machine) error { m.Secret = "new"; return nil })
	})
	_, _, err = own.Read(t.Context())
	assert.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err), "a revoked token ends its stream")
}

func TestSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) { c.Stall = time.Minute }, 8) // it lags before it counts as stuck
	c := dial(t, r, r.root)
	say(t, c, "register big.*.*")
	hear(t, c)
	blob, err := json.Marshal(strings.Repeat("x", 1<<20))
	require.NoError(t, err)
	for range 40 { // far more than socket buffers and ring hold
		r.db.Publish(resource.Event{Type: "big", Action: "a", Key: "k", Object: blob})
	}
	for {
		if _, _, err = c.Read(t.Context()); err != nil {
			break
		}
	}
	assert.Equal(t, websocket.StatusTryAgainLater, websocket.CloseStatus(err))
	assert.ErrorContains(t, err, resource.ErrLagged.Error())
}
