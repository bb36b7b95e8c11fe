package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wire is a server that answers what it is told to and remembers what it was
// asked: for verbs whose route is only a shape here.
type wire struct {
	mu     sync.Mutex // guards asked
	asked  []string
	answer map[string]string // by "METHOD /path", without a query
}

const wireMachine = `{"Name":"n1","Uuid":"11111111-1111-4111-8111-111111111111","CurrentTask":1,"CurrentJob":"22222222-2222-4222-8222-222222222222",` +
	`"Tasks":["stage:a","t1","t2","stage:b","t3"],"Workflow":"w1","Meta":{"rack":"r7"}}`

func newWire(t *testing.T, answer map[string]string) (*wire, *rig) {
	t.Helper()
	w := &wire{answer: map[string]string{
		"GET /machines/Name:n1": wireMachine, "GET /machines/11111111-1111-4111-8111-111111111111": wireMachine,
		"GET /jobs/22222222-2222-4222-8222-222222222222": `{"Uuid":"22222222-2222-4222-8222-222222222222","State":"running"}`,
		"GET /subnets/lab": `{"Name":"lab","Options":[{"Code":3,"Value":"10.0.0.1"},{"Code":6,"Value":"10.0.0.2"}]}`,
		"GET /stages/s1":   `{"Name":"s1","Tasks":["t1","t2"]}`,
	}}
	for k, v := range answer {
		w.answer[k] = v
	}
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	return w, &rig{env: []string{"RS_ENDPOINT=" + srv.URL, "RS_TOKEN=x", "HOME=" + t.TempDir()}}
}

func (w *wire) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	q, _ := url.QueryUnescape(r.URL.RawQuery)
	w.mu.Lock()
	w.asked = append(w.asked, strings.TrimSpace(r.Method+" "+strings.TrimSuffix(path+"?"+q, "?")+" "+string(body)))
	answer, known := w.answer[r.Method+" "+path]
	w.mu.Unlock()
	switch {
	case known && strings.HasPrefix(answer, "!"):
		out.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(out, answer[1:])
	case known:
		_, _ = io.WriteString(out, answer)
	case r.Method == http.MethodGet:
		out.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(out, `{"Model":"x","Key":"y","Type":"GET","Messages":["Not Found"],"Code":404}`)
	default:
		_, _ = io.WriteString(out, `{}`)
	}
}

// changes are the requests that change something.
func (w *wire) changes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(append([]string{}, w.asked...), func(s string) bool { return strings.HasPrefix(s, "GET ") })
}

const m1 = "/machines/11111111-1111-4111-8111-111111111111"

func TestWhatVerbsSend(t *testing.T) {
	t.Parallel()
	test := `[{"op":"test","path":"/CurrentTask","value":1},{"op":"test","path":"/Tasks","value":["stage:a","t1","t2","stage:b","t3"]},{"op":"add","path":"/Tasks","value":`
	for line, want := range map[string][]string{
		"machines workflow n1 w2":                                                  {`PATCH ` + m1 + ` [{"op":"add","path":"/Workflow","value":"w2"}]`},
		"machines stage n1 none":                                                   {`PATCH ` + m1 + ` [{"op":"add","path":"/Stage","value":""}]`},
		"machines start n1":                                                        {`PATCH ` + m1 + ` [{"op":"add","path":"/Workflow","value":""}]`, `PATCH ` + m1 + ` [{"op":"add","path":"/Workflow","value":"w1"},{"op":"add","path":"/Runnable","value":true}]`},
		"machines tasks add n1 x y":                                                {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","t2","x","y","stage:b","t3"]}]`},
		"machines tasks add n1 at 0 x":                                             {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","x","t2","stage:b","t3"]}]`},
		"machines addtask n1 x":                                                    {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","t2","x","stage:b","t3"]}]`},
		"machines inserttask n1 x":                                                 {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","x","t2","stage:b","t3"]}]`},
		"machines inserttask n1 x 1":                                               {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","t2","x","stage:b","t3"]}]`},
		"machines removetask n1 t2":                                                {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","stage:b","t3"]}]`},
		"machines tasks del n1 t2":                                                 {`PATCH ` + m1 + ` ` + test + `["stage:a","t1","stage:b","t3"]}]`},
		"machines jobs state n1 to failed":                                         {`PATCH /jobs/22222222-2222-4222-8222-222222222222 [{"op":"test","path":"/State","value":"running"},{"op":"add","path":"/State","value":"failed"}]`},
		"machines jobs create n1":                                                  {`POST /jobs {"Machine":"11111111-1111-4111-8111-111111111111"}`},
		"jobs create n1":                                                           {`POST /jobs {"Machine":"11111111-1111-4111-8111-111111111111"}`},
		"machines releaseToPool n1":                                                {`POST ` + m1 + `/releaseToPool {}`},
		"machines work_order on n1":                                                {`PATCH ` + m1 + ` [{"op":"add","path":"/WorkOrderMode","value":true}]`},
		"machines work_order add n1 b1 a/b=3":                                      {`POST /work_orders {"Blueprint":"b1","Machine":"11111111-1111-4111-8111-111111111111","Params":{"a/b":3}}`},
		"machines runaction n1 poweron delay 3":                                    {`POST ` + m1 + `/actions/poweron {"delay":3}`},
		"machines runaction n1 poweron delay=3 -f":                                 {`POST ` + m1 + `/actions/poweron?force=true {"delay":3}`},
		"machines runaction n1 poweron --plugin ipmi":                              {`POST ` + m1 + `/actions/poweron?plugin=ipmi {}`},
		"jobs runplugin_action 22222222-2222-4222-8222-222222222222 x":             {`POST /jobs/22222222-2222-4222-8222-222222222222/plugin_actions/x {}`},
		"machines render n1 hello":                                                 {`POST ` + m1 + `/render {"Template":"hello"}`},
		"machines meta set n1 key rack to r8":                                      {`PATCH ` + m1 + ` [{"op":"add","path":"/Meta/rack","value":"r8"}]`},
		"machines meta add n1 key door val blue":                                   {`PATCH ` + m1 + ` [{"op":"add","path":"/Meta/door","value":"blue"}]`},
		"machines set n1 param a/b to 4 --ref 3":                                   {`PATCH ` + m1 + `/params [{"op":"test","path":"/a~1b","value":3},{"op":"replace","path":"/a~1b","value":4}]`},
		`machines update n1 Address=10.0.0.1 --ref {"Name":"n1","Available":true}`: {`PATCH ` + m1 + ` [{"op":"test","path":"/Name","value":"n1"},{"op":"add","path":"/Address","value":"10.0.0.1"}]`},
		"stages addtask s1 t3 t4":                                                  {`PATCH /stages/s1 [{"op":"test","path":"/Tasks","value":["t1","t2"]},{"op":"add","path":"/Tasks","value":["t1","t2","t3","t4"]}]`},
		"stages removetask s1 t1":                                                  {`PATCH /stages/s1 [{"op":"test","path":"/Tasks","value":["t1","t2"]},{"op":"add","path":"/Tasks","value":["t2"]}]`},
		"subnets range lab 10.0.0.10 10.0.0.20":                                    {`PATCH /subnets/lab [{"op":"add","path":"/ActiveStart","value":"10.0.0.10"},{"op":"add","path":"/ActiveEnd","value":"10.0.0.20"}]`},
		"subnets leasetimes lab 60 7200":                                           {`PATCH /subnets/lab [{"op":"add","path":"/ActiveLeaseTime","value":60},{"op":"add","path":"/ReservedLeaseTime","value":7200}]`},
		"subnets pickers lab hint,nextFree":                                        {`PATCH /subnets/lab [{"op":"add","path":"/Pickers","value":["hint","nextFree"]}]`},
		"subnets set lab option 6 to 10.0.0.9":                                     {`PATCH /subnets/lab [{"op":"add","path":"/Options","value":[{"Code":3,"Value":"10.0.0.1"},{"Code":6,"Value":"10.0.0.9"}]}]`},
		"subnets set lab option 3 to null":                                         {`PATCH /subnets/lab [{"op":"add","path":"/Options","value":[{"Code":6,"Value":"10.0.0.2"}]}]`},
		"pools manage allocate p1 --count 2 --wait-timeout 30m Meta.rack=r7":       {`POST /pools/p1/allocateMachines {"pool/all-machines":false,"pool/count":2,"pool/filter":["Meta.rack=r7"],"pool/minimum":2,"pool/wait-timeout":"30m","pool/workflow":""}`},
		"pools manage add p1 --source-pool p0 --machine-list Name:n1":              {`POST /pools/p1/addMachines?source-pool=p0 {"pool/all-machines":false,"pool/count":0,"pool/machine-list":["Name:n1"],"pool/minimum":0,"pool/wait-timeout":"","pool/workflow":""}`},
		`pools manage release p1 -f --all-machines --add-parameters {"a":1} --remove-profiles x,y`: {`POST /pools/p1/releaseMachines?force=true {"pool/add-parameters":{"a":1},"pool/all-machines":true,"pool/count":0,"pool/minimum":0,"pool/remove-profiles":["x","y"],"pool/wait-timeout":"","pool/workflow":""}`},
		"jobs purge --machine missing --dry-run":                                                   {`DELETE /jobs?dryrun=true&machine=missing`},
		"jobs log 22222222-2222-4222-8222-222222222222 hello":                                      {`PUT /jobs/22222222-2222-4222-8222-222222222222/log hello`},
		`events post {"Type":"rack","Action":"open"}`:                                              {`POST /events {"Action":"open","Type":"rack"}`},
		`prefs set {"defaultStage":"none"}`:                                                        {`POST /prefs {"defaultStage":"none"}`},
		"prefs set a b":                                                                            {`POST /prefs {"a":"b"}`},
		"system active":                                                                            {`POST /system/active`},
		"system runaction rotate keep=3":                                                           {`POST /system/actions/rotate {"keep":3}`},
		"batches rerun 3b7e8a12-1111-4111-8111-111111111111":                                       {`POST /batches/3b7e8a12-1111-4111-8111-111111111111/rerun {}`},
		"bootenvs purgeLocalInstall b1 amd64 --reexplodeIsos":                                      {`DELETE /bootenvs/b1/purgeLocal?reexplodeIsos=true ["amd64"]`},
		"extended -l racks create r7":                                                              {`POST /racks {"Name":"r7"}`},
		"extended -l racks destroy r7":                                                             {`DELETE /racks/r7`},
		"machines destroy n1 --dry-run":                                                            {},
		"machines workflow n1 w2 --dry-run":                                                        {},
		"pools manage release p1 --dry-run":                                                        {},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			w, r := newWire(t, map[string]string{"POST /pools/p1/allocateMachines": "[]", "POST /pools/p1/addMachines": "[]",
				"POST /pools/p1/releaseMachines": "[]", "POST " + m1 + "/releaseToPool": "[]"})
			got := r.run(t, strings.Fields(line)...)
			assert.Equal(t, 0, got.code, got.err)
			assert.Equal(t, want, w.changes())
		})
	}
}

func TestWhatVerbsAsk(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"machines list Name Eq n1 sort Name limit 3 reverse":               "GET /machines?Name=Eq(n1)&limit=3&reverse=true&sort=Name",
		"machines list Name=n1 --slim Params --limit 0":                    "GET /machines?Name=n1&limit=0&slim=Params",
		"machines list a/b Between 1 3 --params a/b --decode":              "GET /machines?a/b=Between(1,3)&decode=true&params=a/b",
		"machines show n1 --aggregate":                                     "GET /machines/Name:n1?aggregate=true",
		"machines get n1 param a/b --compose --aggregate":                  "GET " + m1 + "/params/a/b?aggregate=true&compose=true",
		"machines params n1 --decode --params x,y":                         "GET " + m1 + "/params?decode=true&params=x,y",
		"machines actions n1 --plugin ipmi":                                "GET " + m1 + "/actions?plugin=ipmi",
		"machines action n1 poweron":                                       "GET " + m1 + "/actions/poweron",
		"machines token n1 --ttl 2h":                                       "GET " + m1 + "/token?ttl=2h",
		"machines inspect jobs n1 1":                                       "GET /jobs?Machine=11111111-1111-4111-8111-111111111111&limit=1&offset=1&sort=StartTime",
		"pools active":                                                     "GET /pools-active",
		"pools status p1":                                                  "GET /pools/p1/status",
		"logs get":                                                         "GET /logs",
		"system ha state":                                                  "GET /system/consensus/state",
		"files list boot --recurse":                                        "GET /files?all=true&path=boot",
		"users token ann ttl 2h scope machines":                            "GET /users/ann/token?scope=machines&ttl=7200",
		"jobs actions 22222222-2222-4222-8222-222222222222 --for-os linux": "GET /jobs/22222222-2222-4222-8222-222222222222/actions?os=linux",
		"extended -l racks list":                                           "GET /racks",
		"machines list -u edge1":                                           "GET /edge1/api/v3/machines",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			w, r := newWire(t, nil)
			r.run(t, strings.Fields(line)...)
			assert.Equal(t, want, w.asked[len(w.asked)-1])
		})
	}
}

func TestUsageOfVerbs(t *testing.T) {
	t.Parallel()
	_, r := newWire(t, nil)
	for line, says := range map[string]string{
		"pools manage add p1 --count 2 --all-machines":   "not both",
		"pools manage add p1 --machine-list x --count 1": "do not go with it",
		"pools manage add p1 --count 1 --minimum 2":      "--minimum 2 is more than --count 1",
		"pools manage add p1 r7":                         `"r7" is not Field=value`,
		"subnets range lab 10.0.0.300 10.0.0.2":          `"10.0.0.300" is not an IPv4 address`,
		"subnets set lab option 999 to x":                "is not the code of a DHCP option",
		"subnets set lab option 6 is x":                  `"is" stands where the word "to" belongs`,
		"machines tasks add n1 at 9 x":                   "the offset is 0 to 1",
		"machines work_order n1 maybe":                   "is on or off",
		"extended list":                                  "say which kind of objects: -l <kind>",
		"machines list Name Is n1":                       `"Name" is not Field=value`,
		"machines await n1 --for ever":                   "--for knows only deleted",
		"machines await n1 Or(x":                         `"Or(x" is not Field=value`,
		"users token ann ttl":                            "is none of ttl, roles",
		"machines set n1":                                "missing: <param>, <value>",
		"machines show n1 -o go-template={{":             "the template:",
		"machines show n1 -o jsonpath=Name":              "does not go on with",
		"files upload x y":                               "name the upload",
		"prefs set a b c":                                "c has no value",
	} {
		r.fails(t, exitUsage, says, strings.Fields(line)...)
	}
	r.fails(t, exitNotFound, "is not among those that may be removed: t2", "machines", "removetask", "n1", "t3")
	r.fails(t, exitNotFound, "has no option 42", "subnets", "get", "lab", "option", "42")
	assert.Equal(t, "Option 6: 10.0.0.2\n", r.ok(t, "subnets", "get", "lab", "option", "6"))
}

// TestOrderOfTheServer: what the server sends is printed in its order.
func TestOrderOfTheServer(t *testing.T) {
	t.Parallel()
	_, r := newWire(t, map[string]string{"GET /machines": `[` + wireMachine + `]`, "GET /info": `{"z":1,"a":"<&>","n":12345678901234567890}`})
	got := r.ok(t, "machines", "show", "n1")
	assert.True(t, strings.HasPrefix(got, "{\n  \"Name\": \"n1\",\n  \"Uuid\""), got)
	assert.True(t, strings.HasPrefix(r.ok(t, "machines", "list"), "[\n  {\n    \"Name\": \"n1\",\n    \"Uuid\""))
	assert.Equal(t, "{\n  \"z\": 1,\n  \"a\": \"<&>\",\n  \"n\": 12345678901234567890\n}\n", r.ok(t, "info", "get"))
	assert.Equal(t, "n1 w1", r.ok(t, "machines", "list", "-o", "go-template={{range .}}{{.Name}} {{.Workflow}}{{end}}"))
	assert.Equal(t, "n1\n", r.ok(t, "machines", "list", "-o", "jsonpath={[*].Name}"))
	assert.Equal(t, "r7\n", r.ok(t, "machines", "show", "n1", "-o", "jsonpath={.Meta['rack']}"))
	assert.Equal(t, "t1\n", r.ok(t, "machines", "show", "n1", "-F", "jsonpath=$.Tasks[1]"))
	assert.Equal(t, "Name  Workflow\nn1    w1\n", r.ok(t, "machines", "list", "-F", "text", "-J", "Name,Workflow"))
	assert.Equal(t, "Name  Tasks\nn1    stage~\n", r.ok(t, "machines", "list", "--print-fields", "Name,Tasks", "-j", "6"))
	assert.Contains(t, r.ok(t, "machines", "tasks", "n1", "-o", "table"), "1      current  t1")
}

func TestPoolStatus(t *testing.T) {
	t.Parallel()
	_, r := newWire(t, map[string]string{"GET /pools/p1/status": `{"InUse":[{"Name":"n2","Uuid":"u2","Allocated":true,"Status":"InUse"}],"Free":[{"Name":"n1","Uuid":"u1","Allocated":false,"Status":"Free"}]}`})
	assert.Equal(t, "Name  Status  Allocated  Uuid\nn1    Free    false      u1\nn2    InUse   true       u2\n", r.ok(t, "pools", "status", "p1", "-o", "table"))
	assert.True(t, strings.HasPrefix(r.ok(t, "pools", "status", "p1"), "{\n  \"InUse\""))
}

func TestErrorsAsDRPSaysThem(t *testing.T) {
	t.Parallel()
	_, r := newWire(t, map[string]string{
		"POST /stages":   `!{"Model":"stages","Key":"s1","Type":"CREATE","Messages":["already exists"],"Code":409}`,
		"POST /profiles": `!{"Model":"profiles","Key":"p1","Type":"ValidationError","Messages":["one","two"],"Code":422}`,
		"GET /machines":  `[{"Name":"n1","Errors":["no disk"]}]`,
	})
	got := r.run(t, "stages", "create", "s1")
	assert.Equal(t, exitRefused, got.code)
	assert.Equal(t, "Error: CREATE: stages/s1: already exists\ndoing: create stage s1\n", got.err)
	got = r.run(t, "profiles", "create", "p1")
	assert.Equal(t, "Error: ValidationError: profiles/p1\n  one\n  two\ndoing: create profile p1\n", got.err)
	r.fails(t, exitOther, "Error: n1 has errors: no disk", "machines", "list", "-X")
}

func TestFirstEndpointThatAnswers(t *testing.T) {
	t.Parallel()
	_, r := newWire(t, map[string]string{"GET /info": "{}", "GET /machines": "[]"})
	live := strings.TrimPrefix(r.env[0], "RS_ENDPOINT=")
	r.env[0] = "RS_ENDPOINTS=http://127.0.0.1:1 " + live
	assert.Equal(t, "[]\n", r.ok(t, "machines", "list"))
	r.env[0] = "RS_ENDPOINTS=http://127.0.0.1:1 http://127.0.0.1:2"
	r.fails(t, exitUnreachable, "no answer from http://127.0.0.1:2", "machines", "list")
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".drpclirc"), []byte("RS_ENDPOINT="+live+"\nRS_TOKEN=x\nRS_FORMAT=yaml\n"), 0o600))
	r.env = []string{"HOME=" + home}
	assert.Equal(t, "Name: n1\n", strings.SplitAfter(r.ok(t, "machines", "show", "n1", "-J", "x", "-o", "yaml"), "\n")[4])
	assert.Equal(t, "[]\n", r.ok(t, "machines", "list"))
	var v any
	assert.Error(t, json.Unmarshal([]byte(r.ok(t, "machines", "show", "n1")), &v), "RS_FORMAT=yaml of the file")
}

// TestFlagsOfDRP: every global flag of DRP's client is taken, in its words.
func TestFlagsOfDRP(t *testing.T) {
	t.Parallel()
	w, r := newWire(t, map[string]string{"GET /machines": "[" + wireMachine + "]"})
	got := r.ok(t, "machines", "list", "-c", "x", "-C", "0=32", "-d", "-D", "http://p:1", "-X", "-f", "-F", "json", "-N", "-H", "-x", "-j", "9", "-r", "{}",
		"-t", "debug", "-Z", "mark")
	assert.Contains(t, got, `"n1"`)
	got = r.ok(t, "machines", "list", "--catalog", "x", "--colors", "x", "--debug", "--download-proxy", "x", "--exit-early", "--force", "--format", "text",
		"--no-color", "--no-header", "--no-token", "--print-fields", "Name", "--ref", "{}", "--trace", "x", "--trace-token", "x", "--truncate-length", "9", "--noToken", "--exitEarly")
	assert.Equal(t, "n1\n", got)
	assert.Len(t, w.changes(), 0)
}

func TestUploadFromElsewhere(t *testing.T) {
	t.Parallel()
	src := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		assert.Empty(t, q.Header.Get("Authorization"), "credentials are for the server only")
		_, _ = io.WriteString(out, "bytes")
	}))
	t.Cleanup(src.Close)
	w, r := newWire(t, nil)
	r.ok(t, "isos", "upload", src.URL+"/deb/x.iso")
	r.ok(t, "files", "upload", src.URL+"/x.tgz", "as", "a/x.tgz", "--explode")
	r.ok(t, "plugin_providers", "upload", "ipmi", "from", src.URL+"/ipmi")
	assert.Equal(t, []string{"POST /isos/x.iso bytes", "POST /files/a/x.tgz?explode=true bytes", "POST /plugin_providers/ipmi bytes"}, w.changes())
	src.Close()
	assert.NotEqual(t, 0, r.run(t, "isos", "upload", src.URL+"/deb/x.iso").code)
}

func TestCleanupRunsTheWorkflowFirst(t *testing.T) {
	t.Parallel()
	w, r := newWire(t, map[string]string{"GET " + m1 + "/params/on-delete-workflow": `"bye"`, "GET /machines": "[" + wireMachine + "]"})
	r.ok(t, "machines", "cleanup", "n1")
	assert.Equal(t, []string{`PATCH ` + m1 + ` [{"op":"add","path":"/Workflow","value":"bye"}]`, "DELETE " + m1}, w.changes())
}
