package rest_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

// people makes users with one role each, named as the user, and returns a
// token for each.
func people(t *testing.T, r *rig, claims map[string][]api.Claim) map[string]string {
	t.Helper()
	tok := map[string]string{}
	for name, list := range claims {
		r.put(t, func(tx *resource.Tx) error {
			if err := api.Roles.Create(tx, &api.Role{Name: name, Claims: list}); err != nil {
				return err
			}
			return api.Users.Create(tx, &api.User{Name: name, Roles: []string{name}})
		})
		var err error
		tok[name], err = r.auth.UserToken(auth.Identity{}, name, time.Hour, auth.Narrow{})
		require.NoError(t, err)
	}
	return tok
}

func one(scope, action, specific string) []api.Claim {
	return []api.Claim{{Scope: scope, Action: action, Specific: specific}}
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"chief": append(one("users,roles,tasks,contents,tenants", "*", "*"), one("machines", "get,list,update:/Params", "*")...),
		"small": one("machines", "get", "*"),
		"big":   one("machines", "*", "*"),
	})
	r.put(t, func(tx *resource.Tx) error {
		return api.Tasks.Create(tx, &api.Task{Name: "t", ExtraRoles: []string{auth.Superuser}})
	})
	role := func(claims string) string { return `{"Name":"new","Claims":[` + claims + `]}` }
	claim := func(s, a, o string) string {
		return `{"scope":"` + s + `","action":"` + a + `","specific":"` + o + `"}`
	}
	const shown = `{"Validated":true,"Available":true,`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"role of everything", "POST", "/roles", role(claim("*", "*", "*")), 403},
		{"role of another scope", "POST", "/roles", role(claim("bootenvs", "get", "*")), 403},
		{"role of another action", "POST", "/roles", role(claim("machines", "delete", "*")), 403},
		{"role of a wider action", "POST", "/roles", role(claim("machines", "update", "*")), 403},
		{"role hidden in a list", "POST", "/roles", role(claim("machines,stages", "get", "*")), 403},
		{"role hidden behind a good claim", "POST", "/roles", role(claim("machines", "get", "*") + "," + claim("*", "get", "*")), 403},
		{"role with the superuser's name", "PUT", "/roles/superuser", `{"Name":"superuser","Claims":[]}`, 404},
		{"role within", "POST", "/roles", role(claim("machines", "get,update:/Params/x", "a,b")), 201},
		{"role made wider", "PATCH", "/roles/new", set("/Claims", "["+claim("*", "*", "*")+"]"), 403},
		{"role put wider", "PUT", "/roles/new", shown + role(claim("machines", "*", "*"))[1:], 403},
		{"role made narrower", "PATCH", "/roles/new", set("/Claims", "["+claim("machines", "get", "a")+"]"), 200},
		{"foreign role kept, its description changed", "PATCH", "/roles/big", set("/Description", `"x"`), 200},
		{"role without a meaning", "POST", "/roles", `{"Name":"odd","Claims":[` + claim("machnies", "get", "*") + `]}`, 422},
		{"superuser", "POST", "/users", `{"Name":"eve","Roles":["superuser"]}`, 403},
		{"a bigger role", "POST", "/users", `{"Name":"eve","Roles":["big"]}`, 403},
		{"a role that may come to be", "POST", "/users", `{"Name":"eve","Roles":["later"]}`, 403},
		{"a smaller role", "POST", "/users", `{"Name":"eve","Roles":["small"]}`, 201},
		{"own role made superuser", "PATCH", "/users/chief", set("/Roles/-", `"superuser"`), 403},
		{"own role put", "PUT", "/users/chief", shown + `"Name":"chief","Roles":["chief","big"]}`, 403},
		{"role taken away", "PATCH", "/users/big", set("/Roles", `[]`), 200},
		{"password of one who may less", "PUT", "/users/small/password", `{"Password":"x"}`, 200},
		{"password of root", "PUT", "/users/root/password", `{"Password":"x"}`, 403},
		{"own password", "PUT", "/users/chief/password", `{"Password":"x"}`, 200},
		{"task with extra claims", "POST", "/tasks", `{"Name":"u","ExtraClaims":[` + claim("*", "*", "*") + `]}`, 403},
		{"task with extra roles", "POST", "/tasks", `{"Name":"u","ExtraRoles":["superuser"]}`, 403},
		{"task with claims within", "POST", "/tasks", `{"Name":"u","ExtraClaims":[` + claim("machines", "get", "*") + `]}`, 201},
		{"task made wider", "PATCH", "/tasks/u", set("/ExtraClaims", "["+claim("machines", "delete", "*")+"]"), 403},
		{"task of others, otherwise changed", "PATCH", "/tasks/t", set("/Documentation", `"x"`), 200},
	} {
		if c.name == "own password" { // it revokes the token: the last thing as before
			defer func() {
				assert.Equal(t, c.status, r.as(t, tok["chief"], c.method, "/api/v3"+c.path, c.body).status, c.name)
			}()
			continue
		}
		got := r.as(t, tok["chief"], c.method, "/api/v3"+c.path, c.body)
		assert.Equal(t, c.status, got.status, "%s: %s", c.name, got.body)
		if c.status == 403 {
			assert.Contains(t, got.body, `"Type":"AUTH"`, c.name)
		}
	}
	assert.Equal(t, 404, r.as(t, tok["big"], "GET", "/api/v3/users/root/token", "").status, "unseen")
	assert.Equal(t, 403, r.as(t, tok["chief"], "GET", "/api/v3/users/root/token", "").status, "a token of root")
	narrow := r.as(t, tok["chief"], "GET", "/api/v3/users/chief/token?scope=machines&action=get&ttl=8h", "")
	require.Equal(t, 200, narrow.status, narrow.body)
	var out struct{ Token string }
	narrow.json(t, &out)
	assert.Equal(t, 403, r.as(t, out.Token, "POST", "/api/v3/roles", role(claim("machines", "list", "*"))).status)
	assert.Equal(t, 403, r.as(t, out.Token, "PUT", "/api/v3/users/chief/password", `{"Password":"y"}`).status)
	assert.Equal(t, 400, r.as(t, tok["chief"], "GET", "/api/v3/users/chief/token?ttl=soon", "").status)
	assert.Equal(t, 422, r.as(t, tok["chief"], "GET", "/api/v3/users/chief/token?roles=superuser", "").status)
}

func TestTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{"ann": one("*", "*", "*"), "bob": one("*", "*", "*"), "far": one("*", "*", "*")})
	mine, other := r.machine(t, &api.Machine{Name: "mine"}), r.machine(t, &api.Machine{Name: "other"})
	r.put(t, func(tx *resource.Tx) error {
		if err := api.Tenants.Create(tx, &api.Tenant{Name: "theirs", Users: []string{"bob"}, Members: map[string][]string{"profiles": {"stale"}}}); err != nil {
			return err
		}
		return api.Tenants.Create(tx, &api.Tenant{Name: "ours", Users: []string{"ann"},
			Members: map[string][]string{"machines": {mine}, "profiles": {}, "users": {"far"}}})
	})
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"ann", "GET", "/machines/" + mine, "", 200},
		{"ann", "GET", "/machines/" + other, "", 404},
		{"ann", "GET", "/machines/Name:other", "", 404},
		{"ann", "PATCH", "/machines/" + other, `[{"op":"add","path":"/Description","value":"x"}]`, 404},
		{"ann", "DELETE", "/machines/" + other, "", 404},
		{"ann", "GET", "/machines/" + other + "/token", "", 404},
		{"ann", "GET", "/why/machines/" + other, "", 404},
		{"ann", "POST", "/jobs", `{"Machine":"` + other + `"}`, 403},
		{"ann", "GET", "/users/ann", "", 200},
		{"ann", "GET", "/users/ann/token", "", 200},
		{"ann", "GET", "/users/bob", "", 404},
		{"ann", "GET", "/users/far", "", 200},
		{"ann", "GET", "/users/far/token", "", 403}, // of no tenant
		{"ann", "PUT", "/users/far/password", `{"Password":"x"}`, 403},
		{"ann", "GET", "/roles/superuser", "", 404}, // there is none here
		{"ann", "GET", "/roles/bob", "", 200},       // roles are not limited
		{"ann", "PATCH", "/tenants/ours", `[{"op":"replace","path":"/Members","value":{}}]`, 403},
		{"ann", "PATCH", "/tenants/ours", `[{"op":"replace","path":"/Users","value":[]}]`, 403},
		{"ann", "DELETE", "/tenants/ours", "", 403},
		{"ann", "POST", "/tenants", `{"Name":"more"}`, 403},
		{"ann", "POST", "/tasks", `{"Name":"t","ExtraClaims":[{"scope":"machines","action":"get","specific":"*"}]}`, 403},
		{"ann", "POST", "/tasks", `{"Name":"t","ExtraClaims":[{"scope":"machines","action":"get","specific":"` + mine + `"}]}`, 201},
		{"ann", "POST", "/profiles", `{"Name":"stale"}`, 201},
		{"ann", "GET", "/profiles/stale", "", 200},
		{"bob", "GET", "/profiles/stale", "", 404}, // theirs named it, but it is ann's
		{"ann", "POST", "/users", `{"Name":"new","Roles":["ann"]}`, 201},
		{"bob", "GET", "/machines/" + other, "", 200},
		{"far", "GET", "/machines/" + other, "", 200},
		{"far", "POST", "/tenants", `{"Name":"third","Users":["ann"]}`, 409},
		{"far", "POST", "/tenants", `{"Name":"third","Members":{"nothing":[]}}`, 422},
	} {
		got := r.as(t, tok[c.who], c.method, "/api/v3"+c.path, c.body)
		assert.Equal(t, c.status, got.status, "%s %s %s: %s", c.who, c.method, c.path, got.body)
	}
	var seen []api.Machine
	r.as(t, tok["ann"], "GET", "/api/v3/machines", "").json(t, &seen)
	require.Len(t, seen, 1)
	assert.Equal(t, "mine", seen[0].Name)
	fresh, err := r.auth.UserToken(auth.Identity{}, "new", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	assert.Equal(t, 404, r.as(t, fresh, "GET", "/api/v3/machines/"+other, "").status, "who is made within a tenant is in it")
	r.as(t, tok["far"], "PATCH", "/api/v3/tenants/ours", `[{"op":"add","path":"/Members/machines/-","value":"`+other+`"}]`)
	assert.Equal(t, 200, r.as(t, tok["ann"], "GET", "/api/v3/machines/"+other, "").status, "at once")
}

// TestEventsAndAudit: each sees events of what they may see; who did what is
// for administrators.
func TestEventsAndAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{"ann": one("machines", "get", "*"), "all": one("*", "get,list", "*")})
	mine, other := r.machine(t, &api.Machine{Name: "mine"}), r.machine(t, &api.Machine{Name: "other"})
	r.put(t, func(tx *resource.Tx) error {
		return api.Tenants.Create(tx, &api.Tenant{Name: "ours", Users: []string{"ann"}, Members: map[string][]string{"machines": {mine}}})
	})
	follow := func(token string) *bufio.Scanner {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.srv.URL+"/api/v3/events/stream?register=*.*.*", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := r.srv.Client().Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		s := bufio.NewScanner(resp.Body)
		require.True(t, s.Scan()) // it follows now
		return s
	}
	next := func(s *bufio.Scanner, until string) (out string) {
		for s.Scan() {
			out += s.Text() + "\n"
			if strings.Contains(s.Text(), until) {
				return out
			}
		}
		t.Fatalf("ended after %s", out)
		return ""
	}
	ann, all, root := follow(tok["ann"]), follow(tok["all"]), follow(r.root)
	desc := func(id, text string) {
		body := `[{"op":"add","path":"/Description","value":"` + text + `"}]`
		require.Equal(t, 200, r.do(t, "PATCH", "/machines/"+id, body, "X-Request-Id", "r-"+text).status)
	}
	desc(other, "hidden")
	desc(mine, "shown")
	desc(mine, "end")
	got := next(ann, `"Description":"end"`)
	assert.NotContains(t, got, other)
	assert.NotContains(t, got, "audit")
	got = next(all, `"Description":"end"`)
	assert.Contains(t, got, other)
	assert.NotContains(t, got, `"Type":"audit"`)
	assert.Contains(t, next(root, `"Type":"audit"`), `"Principal":"root"`)

	assert.Equal(t, 403, r.as(t, tok["all"], "GET", "/api/v3/audit", "").status)
	assert.Equal(t, 403, r.as(t, tok["ann"], "DELETE", "/api/v3/machines/"+mine, "").status)
	var records []auth.Record
	r.do(t, "GET", "/audit?path=/api/v3/machines/"+mine, "").json(t, &records)
	require.Len(t, records, 3)
	assert.Equal(t, []any{"DELETE", "ann", 403}, []any{records[0].Action, records[0].Actor, records[0].Status})
	assert.Equal(t, auth.Record{Time: records[1].Time, Action: "PATCH", Actor: "root", Origin: "127.0.0.1", Request: "r-end",
		Path: "/api/v3/machines/" + mine, Status: 200}, records[1])
	r.do(t, "GET", "/audit?limit=1&actor=root", "").json(t, &records)
	assert.Len(t, records, 1)
	assert.Equal(t, 400, r.do(t, "GET", "/audit?limit=0", "").status)
	assert.Equal(t, 422, r.do(t, "POST", "/events", `{"Type":"audit","Action":"PATCH","Key":"x"}`).status, "nobody forges records")
}

func TestSecureParamsNeedTheirClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"plain":  one("machines,profiles", "get,create,update", "*"),
		"secure": one("machines,profiles", "get,create,update,updateSecure", "*"),
	})
	r.put(t, func(tx *resource.Tx) error {
		return api.ParamDefs.Create(tx, &api.Param{Name: "a/secret", Secure: true})
	})
	id := r.machine(t, &api.Machine{Name: "m"})
	for _, c := range []struct {
		method, path, body string
		plain, secure      int
	}{
		{"POST", "/machines/" + id + "/params/a/secret", `"x"`, 403, 200},
		{"POST", "/machines/" + id + "/params/a/open", `"x"`, 200, 200},
		{"POST", "/machines/" + id + "/params", `{"a/secret":"y","a/open":"x"}`, 403, 200},
		{"PATCH", "/machines/" + id, `[{"op":"add","path":"/Params/a~1secret","value":"z"}]`, 403, 200},
		{"PATCH", "/machines/" + id + "/params", `[{"op":"replace","path":"/a~1secret","value":"w"}]`, 403, 200},
		{"DELETE", "/machines/" + id + "/params/a/secret", "", 403, 200},
		{"POST", "/profiles", `{"Name":"p","Params":{"a/secret":"x"}}`, 403, 201},
		{"GET", "/machines/" + id + "/params?decode=true", "", 403, 403},
	} {
		if c.method == "DELETE" || c.method == "PATCH" && strings.HasSuffix(c.path, "params") {
			r.do(t, "POST", "/machines/"+id+"/params/a/secret", `"there"`)
		}
		assert.Equal(t, c.plain, r.as(t, tok["plain"], c.method, "/api/v3"+c.path, c.body).status, "plain %s %s", c.method, c.path)
		got := r.as(t, tok["secure"], c.method, "/api/v3"+c.path, c.body)
		assert.Equal(t, c.secure, got.status, "secure %s %s: %s", c.method, c.path, got.body)
	}
}

// TestSteppingBackNeedsItsClaim: repeating some tasks is more than beginning
// anew. Package workflow says how far.
func TestSteppingBackNeedsItsClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"plain": one("machines", "get,update", "*"),
		"list":  one("machines", "get,updateTaskList", "*"),
		"both":  one("machines", "get,update:/CurrentTask,updateTaskList", "*"),
	})
	id := r.machine(t, &api.Machine{Name: "m", Tasks: []string{"action:a", "action:b", "action:c"}, CurrentTask: 3})
	at := "/machines/" + id
	var err error
	tok["agent"], err = r.auth.MachineToken(auth.Identity{}, id, time.Hour)
	require.NoError(t, err)
	for _, c := range []struct {
		who, value string
		status     int
	}{
		{"agent", "2", 200}, {"plain", "1", 403}, {"list", "1", 403}, {"both", "1", 200}, {"plain", "0", 403}, {"plain", "-1", 200},
	} {
		got := r.as(t, tok[c.who], "PATCH", "/api/v3"+at, `[{"op":"replace","path":"/CurrentTask","value":`+c.value+`}]`)
		assert.Equal(t, c.status, got.status, "%s to %s: %s", c.who, c.value, got.body)
		if c.who == "plain" && c.status == 403 {
			assert.Contains(t, got.body, "updateTaskList")
		}
	}
}

func TestTokensOfTheAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.machine(t, &api.Machine{Name: "m"})
	var out struct{ Token string }
	for _, q := range []string{"", "?ttl=600", "?ttl=8h", "?ttl=3y", "?ttl=2w"} {
		got := r.do(t, "GET", "/machines/"+id+"/token"+q, "")
		require.Equal(t, 200, got.status, q)
		got.json(t, &out)
		assert.Equal(t, 200, r.as(t, out.Token, "GET", "/api/v3/machines/"+id, "").status, q)
		assert.Equal(t, 200, r.as(t, "", "GET", "/api/v3/machines/"+id+"?token="+out.Token, "").status, q)
	}
	assert.Equal(t, 403, r.as(t, out.Token, "POST", "/api/v3/machines/"+id+"/revoke", "").status)
	assert.Equal(t, 204, r.do(t, "POST", "/machines/"+id+"/revoke", "").status)
	assert.Equal(t, 403, r.as(t, out.Token, "GET", "/api/v3/machines/"+id, "").status)
	assert.Equal(t, 400, r.do(t, "GET", "/users/root/token?ttl=4y", "").status)
	job := &api.Job{Machine: id, State: api.JobRunning, Current: true}
	r.put(t, func(tx *resource.Tx) error { return api.Jobs.Create(tx, job) })
	mine, err := r.auth.MachineToken(auth.Identity{}, id, time.Hour)
	require.NoError(t, err)
	body := `[{"op":"add","path":"/ExtraClaims","value":[{"scope":"*","action":"*","specific":"*"}]}]`
	assert.Equal(t, 422, r.as(t, mine, "PATCH", "/api/v3/jobs/"+job.Uuid, body).status, "agents do not elevate their jobs")
}

func TestClaimsOnPartsOfFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"os":   one("bootenvs", "get,update:/OS/Name,update:/OnlyUnknown", "b"),
		"meta": one("bootenvs", "get,update:/Meta/color", "*"),
	})["os"]
	r.put(t, func(tx *resource.Tx) error {
		for _, name := range []string{"b", "c"} {
			if err := api.BootEnvs.Create(tx, &api.BootEnv{Name: name, BootParams: "x"}); err != nil {
				return err
			}
		}
		return nil
	})
	shown := func() map[string]any {
		var m map[string]any
		r.do(t, "GET", "/bootenvs/b", "").json(t, &m)
		return m
	}
	put := func(edit func(m map[string]any)) int {
		m := shown()
		edit(m)
		data, err := json.Marshal(m)
		require.NoError(t, err)
		return r.as(t, tok, "PUT", "/api/v3/bootenvs/b", string(data)).status
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"the part":           {"b", `[{"op":"add","path":"/OS/Name","value":"debian"}]`, 200},
		"another part":       {"b", `[{"op":"add","path":"/OS/IsoFile","value":"x"}]`, 403},
		"both":               {"b", `[{"op":"add","path":"/OS/Name","value":"y"},{"op":"add","path":"/OS/IsoFile","value":"x"}]`, 403},
		"the whole":          {"b", `[{"op":"add","path":"/OS","value":{"Name":"z","IsoFile":"x"}}]`, 403},
		"a test and another": {"b", `[{"op":"test","path":"/BootParams","value":"x"},{"op":"add","path":"/OnlyUnknown","value":true}]`, 200},
		"a field":            {"b", `[{"op":"add","path":"/BootParams","value":"y"}]`, 403},
		"by copying":         {"b", `[{"op":"copy","from":"/Name","path":"/BootParams"}]`, 403},
		"another object":     {"c", `[{"op":"add","path":"/OS/Name","value":"debian"}]`, 404},
	} {
		got := r.as(t, tok, "PATCH", "/api/v3/bootenvs/"+c.path, c.body)
		assert.Equal(t, c.status, got.status, "%s: %s", name, got.body)
	}
	assert.Equal(t, 200, put(func(m map[string]any) { m["OS"].(map[string]any)["Name"] = "put" }), "a PUT is what it changes")
	assert.Equal(t, 200, put(func(map[string]any) {}), "nothing")
	assert.Equal(t, 403, put(func(m map[string]any) { m["BootParams"] = "put" }))
	assert.Equal(t, 403, put(func(m map[string]any) { m["OS"].(map[string]any)["Name"], m["BootParams"] = "put2", "put" }))
	assert.Equal(t, "put", shown()["OS"].(map[string]any)["Name"])
}

// TestAListIsNoWayRound: who may change a task list, as the jobs of some packs
// may, puts nothing in it that takes another right.
func TestAListIsNoWayRound(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"list": one("machines", "get,update:/Tasks", "*"),
		"all":  one("machines", "get,update:/Tasks,update:/Context,update:/BootEnv,update:/Stage,action:off", "*"),
	})
	r.put(t, func(tx *resource.Tx) error {
		for _, name := range []string{"a", "b"} {
			require.NoError(t, api.Tasks.Create(tx, &api.Task{Name: name}))
		}
		return nil
	})
	for _, c := range []struct {
		name, was, is string
		list          int
	}{
		{"a task", `["a"]`, `["a","b"]`, 200},
		{"a chroot", `["a"]`, `["a","chroot:/x","b"]`, 200},
		{"what is there, again", `["context:runner","a"]`, `["context:runner","a"]`, 200},
		{"fewer", `["context:runner","a","action:off"]`, `["context:runner","a"]`, 200},
		{"a task after the context ends", `["context:runner","a","context:"]`, `["context:runner","a","context:","b"]`, 200},
		{"a context", `["a"]`, `["a","context:runner","b"]`, 403},
		{"a second one", `["context:runner","a","context:"]`, `["context:runner","a","context:","context:runner","b"]`, 403},
		{"a task in a context", `["context:runner","a"]`, `["context:runner","a","b"]`, 403},
		{"a task before another in a context", `["context:runner","a"]`, `["context:runner","b","a"]`, 403},
		{"the end of a context taken away", `["context:runner","a","context:","b"]`, `["context:runner","a","b"]`, 403},
		{"an action", `["a"]`, `["a","action:off"]`, 403},
		{"a boot environment", `["a"]`, `["a","bootenv:x"]`, 403},
		{"a stage", `["a"]`, `["a","stage:x"]`, 403},
	} {
		for who, want := range map[string]int{"list": c.list, "all": 200} {
			var was []string
			require.NoError(t, json.Unmarshal([]byte(c.was), &was))
			id := r.machine(t, &api.Machine{Name: strings.ReplaceAll(c.name+who, ",", ""), Tasks: was, CurrentTask: -1})
			got := r.as(t, tok[who], "PATCH", "/api/v3/machines/"+id+"?force=true", `[{"op":"replace","path":"/Tasks","value":`+c.is+`}]`)
			assert.Equal(t, want, got.status, "%s by %s: %s", c.name, who, got.body)
		}
	}
}

// TestGrantedPacks: who puts tasks into a pack that has a grant writes with that
// grant, so they need what it gives; whatever came first.
func TestGrantedPacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tok := people(t, r, map[string][]api.Claim{
		"author": one("contents,tasks,profiles", "*", "*"),
		"more":   append(one("contents,tasks,profiles", "*", "*"), one("machines", "update:/Profiles,update:/Params", "*")...),
	})
	r.put(t, func(tx *resource.Tx) error {
		return api.Grants.Create(tx, &api.Grant{Name: "granted", Fields: []string{"Profiles"}, Params: []string{"*"}})
	})
	pack := func(name, text string) string {
		return `{"meta":{"Name":"` + name + `","Version":"v1.0.0"},"sections":{"tasks":{"` + name + `-t":{"Name":"` + name + `-t","Description":"` + text + `"}}}}`
	}
	do := func(who, method, path, body string) int {
		return r.as(t, tok[who], method, "/api/v3"+path, body).status
	}
	assert.Equal(t, 201, do("author", "POST", "/contents", pack("other", "1")))
	assert.Equal(t, 403, do("author", "POST", "/contents", pack("granted", "1")))
	assert.Equal(t, 201, do("more", "POST", "/contents", pack("granted", "1")))
	assert.Equal(t, 403, do("author", "PUT", "/contents/granted", pack("granted", "2")))
}
