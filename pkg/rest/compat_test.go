package rest_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// TestErrorsAsDRP holds what drpcli prints and its users match on.
func TestErrorsAsDRP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	require.Equal(t, 201, r.do(t, "POST", "/bootenvs", `{"Name":"fred","OS":{"Name":"x"}}`).status)
	patch := `[{"op":"test","path":"/OS/Name","value":"ffred"},{"op":"replace","path":"/OS/Name","value":"qfred"}]`
	for _, c := range []struct {
		method, path, body string
		want               rest.ErrorReply
	}{
		{"GET", "/bootenvs/none", "", rest.ErrorReply{Model: "bootenvs", Key: "none", Type: "GET", Messages: []string{"Not Found"}, Code: 404}},
		{"GET", "/bootenvs/OnlyUnknown:true", "", rest.ErrorReply{Model: "bootenvs", Key: "OnlyUnknown:true", Type: "GET", Messages: []string{"Not Found"}, Code: 404}},
		{"DELETE", "/bootenvs/none", "", rest.ErrorReply{Model: "bootenvs", Key: "none", Type: "DELETE", Messages: []string{"Not Found"}, Code: 404}},
		{"GET", "/contents/none", "", rest.ErrorReply{Model: "contents", Key: "none", Type: "GET", Messages: []string{"No such content store"}, Code: 404}},
		{"GET", "/interfaces/none", "", rest.ErrorReply{Model: "interfaces", Key: "none", Type: "GET", Messages: []string{"No interface"}, Code: 404}},
		{"POST", "/bootenvs", `{"Name":"fred"}`, rest.ErrorReply{Model: "bootenvs", Key: "fred", Type: "CREATE", Messages: []string{"already exists"}, Code: 409}},
		{"GET", "/bootenvs?limit=-1", "", rest.ErrorReply{Model: "bootenvs", Type: "GET", Messages: []string{"Limit cannot be negative"}, Code: 406}},
		{"GET", "/bootenvs?offset=-1", "", rest.ErrorReply{Model: "bootenvs", Type: "GET", Messages: []string{"Offset cannot be negative"}, Code: 406}},
		{"GET", "/bootenvs?fred=1", "", rest.ErrorReply{Model: "bootenvs", Type: "GET", Messages: []string{"Filter not found: fred"}, Code: 406}},
		{"PATCH", "/bootenvs/fred", patch, rest.ErrorReply{Model: "bootenvs", Key: "fred", Type: "PATCH", Code: 409, Messages: []string{
			"Patch error at line 0: Test op failed.",
			"Patch: [\n  {\n    \"op\": \"test\",\n    \"path\": \"/OS/Name\",\n    \"from\": \"\",\n    \"value\": \"ffred\"\n  },\n  {\n    \"op\": \"replace\",\n    \"path\": \"/OS/Name\",\n    \"from\": \"\",\n    \"value\": \"qfred\"\n  }\n]",
		}}},
	} {
		var got rest.ErrorReply
		r.do(t, c.method, c.path, c.body).json(t, &got)
		assert.Equal(t, c.want, got, c.path)
	}
	var key rest.ErrorReply
	r.do(t, "POST", "/profiles", `{"Name":""}`).json(t, &key)
	assert.Equal(t, rest.ErrorReply{Model: "profiles", Type: "CREATE", Messages: []string{"Empty key not allowed"}, Code: 400}, key)
	r.do(t, "PUT", "/bootenvs/fred", `{"Name":"other"}`).json(t, &key)
	assert.Equal(t, []any{400, "PUT"}, []any{key.Code, key.Type})
}

// TestMachinesReferToWhatExists holds when DRP refuses a machine that other
// kinds would wait with.
func TestMachinesReferToWhatExists(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.put(t, func(tx *resource.Tx) error {
		return api.BootEnvs.Create(tx, &api.BootEnv{Name: "unknown", OnlyUnknown: true})
	})
	id := r.machine(t, &api.Machine{Name: "old", Profiles: []string{"lost"}})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/machines", `{"Name":"m","Stage":"no","Workflow":"none"}`, 422, `workflow \"none\" does not exist","stage \"no\" does not exist"`},
		{"POST", "/machines", `{"Name":"m","BootEnv":"unknown"}`, 422, "BootEnv unknown does not allow Machine assignments, it has the OnlyUnknown flag."},
		{"POST", "/machines?force=true", `{"Name":"m","Profiles":["later"]}`, 201, `profile \"later\" does not exist`},
		{"PATCH", "/machines/" + id, `[{"op":"add","path":"/Profiles/-","value":"gone"}]`, 422, `"profile \"gone\" does not exist"]`},
		{"PATCH", "/machines/" + id, `[{"op":"replace","path":"/Description","value":"x"}]`, 200, `profile \"lost\" does not exist`},
		{"POST", "/stages", `{"Name":"s","Tasks":["later"]}`, 201, `task \"later\" does not exist`},
	} {
		got := r.do(t, c.method, c.path, c.body)
		assert.Equal(t, c.status, got.status, c.body)
		assert.Contains(t, got.body, c.want, c.body)
	}
}

// TestWholeObjects are texts as DRP's clients send them.
func TestWholeObjects(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	sent := `{"Validated":false,"Available":false,"Errors":["old"],"ReadOnly":true,"Bundle":"x","Endpoint":"e","Partial":false,
		"Name":"web","Uuid":"` + id1 + `","Secret":"","CurrentJob":"","Pool":"default","PoolStatus":"Free","PoolAllocated":false,
		"NoSuchField":null,"Fingerprint":{"SSNHash":null,"NoSuchPart":""},"Params":{"NoSuchField":""}}`
	made := r.do(t, "POST", "/machines", sent)
	require.Equal(t, 201, made.status, made.body)
	var m api.Machine
	made.json(t, &m)
	assert.Equal(t, []any{id1, true, false, "", "", resource.Params{"NoSuchField": ""}}, []any{m.Uuid, m.Available, m.ReadOnly, m.Bundle, m.Endpoint, m.Params})
	for body, want := range map[string]string{
		`{"Name":"b","Pool":"lab"}`:             "field Pool cannot be set here",
		`{"Name":"b","NoSuchField":"x"}`:        `unknown field \"NoSuchField\"`,
		`{"Name":"b","Params":{},"Parms":[{}]}`: `unknown field \"Parms\"`,
	} {
		assert.Contains(t, r.do(t, "POST", "/machines", body).body, want, body)
	}
	put := r.do(t, "PUT", "/machines/"+id1, strings.Replace(sent, `"Name":"web"`, `"Name":"web2"`, 1))
	require.Equal(t, 200, put.status, put.body)
	assert.Contains(t, put.body, `"Name":"web2"`)
	assert.Equal(t, 400, r.do(t, "PUT", "/machines/"+id1, `{"Name":"b","Uuid":"22222222-1111-4111-8111-111111111111"}`).status)
	assert.Equal(t, 422, r.do(t, "PUT", "/machines/"+id1, `{"Name":"b","PoolStatus":"InUse"}`).status)
}

// TestCompareAndSwap is drpcli update --ref: it tests the whole object as the
// client knows it, without our fields and with empty ones that we leave out.
func TestCompareAndSwap(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.machine(t, &api.Machine{Name: "m", Described: api.Described{Description: "old"}})
	swap := func(known string) reply {
		return r.do(t, "PATCH", "/machines/"+id, `[{"op":"test","path":"","value":`+known+`},{"op":"replace","path":"/Description","value":"new"}]`)
	}
	assert.Equal(t, 409, swap(`{"Name":"m","Description":"other"}`).status)
	assert.Equal(t, 409, swap(`{"Name":"m","Params":{"a":1}}`).status)
	got := swap(`{"Name":"m","Description":"old","TaskErrorStacks":null,"Fingerprint":{"SSNHash":null,"MemoryIds":[]}}`)
	assert.Equal(t, 200, got.status, got.body)
	assert.Equal(t, 409, swap(`{"Name":"m","Description":"old"}`).status)
	empty := r.do(t, "PATCH", "/machines/"+id, `[{"op":"test","path":"/OS","value":""},{"op":"replace","path":"/OS","value":"x"}]`)
	assert.Equal(t, 200, empty.status, empty.body)
}

func TestReadsThatWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.machine(t, &api.Machine{Name: "m"})
	at := "/machines/" + id
	tag := r.do(t, "HEAD", at, "").head.Get("ETag")
	assert.Equal(t, 304, r.do(t, "GET", at, "", "If-None-Match", tag, "Prefer", "wait=0").status)
	got := make(chan reply)
	go func() { got <- r.do(t, "GET", at, "", "If-None-Match", tag, "Prefer", "wait=30s") }()
	require.Equal(t, 200, r.do(t, "PATCH", at, `[{"op":"add","path":"/Description","value":"x"}]`).status)
	p := <-got
	assert.Equal(t, 200, p.status)
	assert.Contains(t, p.body, `"Description":"x"`)
	assert.Equal(t, 304, r.do(t, "HEAD", at, "", "If-None-Match", p.head.Get("ETag"), "Prefer", "wait=10ms").status)
}

func TestForceReachesHooks(t *testing.T) {
	t.Parallel()
	var db *resource.DB
	r := newRig(t, func(c *rest.Config) { db = c.DB })
	var seen []resource.Options
	ctx := resource.WithOptions(context.Background(), resource.Options{Force: true})
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error { seen = append(seen, tx.Options()); return nil }))
	require.NoError(t, db.Update(context.Background(), func(tx *resource.Tx) error { seen = append(seen, tx.Options()); return nil }))
	assert.Equal(t, []resource.Options{{Force: true}, {}}, seen)
	assert.Equal(t, 201, r.do(t, "POST", "/roles?force=true", `{"Name":"x"}`).status)
}

func TestSecureParams(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rest.Config) {
		c.PublicKey = func(_ *resource.Tx, kind, key string) ([]byte, error) { return []byte(kind + key), nil }
		c.Params = func(_ resource.Reader, _ resource.Object, _, decode bool) (map[string]any, error) {
			m := map[string]any{"pw": "sealed"}
			if decode {
				m["pw"] = "open"
			}
			return m, nil
		}
	})
	id := r.machine(t, &api.Machine{Name: "m", Params: resource.Params{"pw": "sealed"}})
	r.put(t, func(tx *resource.Tx) error {
		for _, err := range []error{
			api.ParamDefs.Create(tx, &api.Param{Name: "pw", Secure: true}),
			api.Roles.Create(tx, &api.Role{Name: "plain", Claims: []api.Claim{{Scope: "machines", Action: "get,list,update", Specific: "*"}}}),
			api.Users.Create(tx, &api.User{Name: "ann", Roles: []string{"plain"}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	ann, err := r.auth.UserToken(auth.Identity{}, "ann", time.Hour, auth.Narrow{})
	require.NoError(t, err)
	at := "/machines/" + id
	assert.JSONEq(t, `"`+base64.StdEncoding.EncodeToString([]byte("machines"+id))+`"`, r.do(t, "GET", at+"/pubkey", "").body)
	assert.JSONEq(t, `"open"`, r.do(t, "GET", at+"/params/pw?decode=true", "").body)
	assert.Contains(t, r.do(t, "GET", at+"?decode=true", "").body, `"Params":{"pw":"open"}`)
	assert.Contains(t, r.do(t, "GET", "/machines?decode=true", "").body, `"Params":{"pw":"open"}`)
	for path, want := range map[string]int{at: 200, at + "?decode=true": 403, "/machines?decode=true": 403, at + "/params?decode=true": 403} {
		assert.Equal(t, want, r.as(t, ann, http.MethodGet, "/api/v3"+path, "").status, path)
	}
	assert.Equal(t, 403, r.as(t, ann, "POST", "/api/v3"+at+"/params/pw", `"x"`).status, "updateSecure is a claim of its own")
	assert.Equal(t, 200, r.as(t, ann, "POST", "/api/v3"+at+"/params/free", `"x"`).status)
}
