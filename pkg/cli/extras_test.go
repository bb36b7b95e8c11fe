package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesAndContents(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a.bin"), filepath.Join(dir, "b.bin")
	require.NoError(t, os.WriteFile(from, []byte("\x00bytes"), 0o600))
	assert.EqualValues(t, 6, r.object(t, "files", "upload", from, "as", "boot/a.bin")["Size"])
	assert.Contains(t, r.ok(t, "files", "list"), "files/boot/a.bin")
	assert.Contains(t, r.ok(t, "files", "list", "boot"), "a.bin")
	r.ok(t, "files", "download", "boot/a.bin", "to", to)
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	assert.Equal(t, "\x00bytes", string(data))
	r.fails(t, exitUsage, "SHA-256", "isos", "upload", from, "--sha256", strings.Repeat("0", 64))
	got := r.runIn(t, "text", "isos", "upload", "-", "as", "x.iso")
	require.Equal(t, 0, got.code, got.err)
	assert.Contains(t, r.ok(t, "isos", "list"), "isos/x.iso")
	r.ok(t, "isos", "destroy", "x.iso")
	r.fails(t, exitNotFound, "", "isos", "exists", "x.iso")

	pack := filepath.Join(dir, "pack.yaml")
	require.NoError(t, os.WriteFile(pack, []byte("meta:\n  Name: mine\n  Version: v1\nsections:\n  templates:\n    t1:\n      ID: t1\n      Contents: hi\n"), 0o600))
	r.ok(t, "contents", "upload", pack)
	r.ok(t, "contents", "upload", pack)
	assert.Regexp(t, `mine +v1 `, r.ok(t, "contents", "list", "-o", "table"))
	assert.Contains(t, r.ok(t, "contents", "show", "mine"), `"t1"`)
	assert.Equal(t, "mine", r.object(t, "templates", "show", "t1")["Bundle"])
	r.ok(t, "contents", "destroy", "mine")
}

func TestLoginPinsTheCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	secure := httptest.NewTLSServer(r.srv.Config.Handler)
	t.Cleanup(secure.Close)
	r.env = []string{"HOME=" + r.home, "RS_ENDPOINT=" + secure.URL}
	key := "RS_KEY=root:" + testPassword
	r.env = append(r.env, key)
	r.fails(t, exitUnreachable, "fix: drpcli login -E "+secure.URL, "machines", "list")
	r.fails(t, exitUnreachable, "was not accepted", "login")
	r.env = r.env[:2]
	got := r.runIn(t, "wrong\n", "login", "-U", "root", "-P", "-", "--accept")
	assert.Equal(t, exitDenied, got.code, got.err)
	got = r.runIn(t, testPassword+"\n", "login", "-U", "root", "-P", "-", "--accept")
	require.Equal(t, 0, got.code, got.err)
	assert.Contains(t, got.err, "SHA256:")
	r.ok(t, "machines", "list")

	tokens, err := filepath.Glob(filepath.Join(r.home, ".cache/drpcli/tokens/*"))
	require.NoError(t, err)
	require.Len(t, tokens, 1)
	st, err := os.Stat(tokens[0])
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), st.Mode().Perm())

	settings := filepath.Join(r.home, ".config/drpcli/config.yaml")
	data, err := os.ReadFile(settings)
	require.NoError(t, err)
	_, pin, _ := strings.Cut(string(data), "SHA256:")
	forged := strings.Replace(string(data), pin[:4], "beef", 1)
	require.NoError(t, os.WriteFile(settings, []byte(forged), 0o600))
	r.fails(t, exitUnreachable, "is not the one known from the first login", "machines", "list")

	r.ok(t, "sites", "add", "lab", "-E", r.srv.URL, "-U", "root", "--production")
	r.ok(t, "sites", "use", "lab")
	assert.Contains(t, r.ok(t, "sites", "list", "-o", "table"), "lab")
	r.env = []string{"HOME=" + r.home, key}
	r.ok(t, "machines", "list")
	r.ok(t, "clusters", "define", "c1")
	r.fails(t, exitUsage, "fix: name it on the command line: --site lab", "clusters", "forget", "c1", "--silent", "--yes", "c1")
	r.ok(t, "clusters", "forget", "c1", "--silent", "--yes", "c1", "--site", "lab")
}

func TestPasswordsComeFromStandardInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "users", "create", "ann", "Roles=superuser")
	got := r.runIn(t, "another horse\n", "users", "password", "ann")
	require.Equal(t, 0, got.code, got.err)
	r.env = r.env[:2]
	got = r.runIn(t, "another horse\n", "machines", "list", "-U", "ann", "-P", "-")
	assert.Equal(t, 0, got.code, got.err)
	got = r.runIn(t, "wrong\n", "machines", "list", "-U", "ann", "-P", "-")
	assert.Equal(t, exitDenied, got.code)
}

func TestWorkOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.stock(t)
	require.Equal(t, 0, r.run(t, web...).code)
	r.ok(t, "tasks", "create", "say")
	r.ok(t, "blueprints", "create", "talk", "Tasks=say")
	o := r.object(t, "work_orders", "run", "talk", "on", "n1", "word/said=hi")
	assert.Equal(t, "finished", o["State"])
	got := r.run(t, "work_orders", "run", "talk", "--filter", "Owner=Ne()", "--all")
	assert.Equal(t, 0, got.code, got.err)
	assert.Equal(t, 2, strings.Count(got.out, `"State": "finished"`))
	r.Machines[0].FailOnce("say", "no voice")
	got = r.run(t, "work_orders", "run", "talk", "on", "n1", "n2")
	assert.Equal(t, exitSomeFailed, got.code, got.err)
	assert.Contains(t, got.err, "Error: talk failed on 1 of 2")
	assert.Contains(t, got.err, "fix: drpcli jobs log ")
	r.Machines[0].FailOnce("say", "no voice")
	got = r.run(t, "work_orders", "run", "talk", "on", "n1")
	assert.Equal(t, exitWorkFailed, got.code, got.err)
	assert.Contains(t, r.ok(t, "stuck", "-o", "table"), "talk failed")
	r.fails(t, exitUsage, "say where to run", "work_orders", "run", "talk")
	r.fails(t, exitNotFound, `no machine, cluster or resource broker "zz"`, "work_orders", "run", "talk", "on", "zz")
	assert.Equal(t, "running", waitingOrder(t, r)["State"])
}

// waitingOrder runs an order on a machine that does not answer.
func waitingOrder(t *testing.T, r *rig) map[string]any {
	t.Helper()
	o := r.object(t, "work_orders", "run", "talk", "on", "web", "--detach")
	assert.Equal(t, "created", o["State"])
	return r.object(t, "work_orders", "await", o["Uuid"].(string), "State=running", "--timeout", "10s")
}

func TestJobLogAndWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.stock(t)
	jobs := r.ok(t, "machines", "jobs", "n1", "-o", "name")
	id := strings.Fields(jobs)[0]
	r.ok(t, "jobs", "log", id)
	got := r.run(t, "jobs", "log", id, "--follow")
	assert.Equal(t, 0, got.code, got.err)
	assert.Contains(t, r.ok(t, "why", "machine", "n1", "-o", "table"), "last job:")
	assert.Equal(t, "machines/"+r.object(t, "machines", "show", "n1")["Uuid"].(string), r.object(t, "why", "machines", "n1")["Object"])
	r.fails(t, exitUsage, `no kind of object "castles"`, "why", "castles", "x")
	assert.Equal(t, "[]\n", r.ok(t, "stuck"))
	r.Machines[0].FailOnce("image-deploy", "fan is loud")
	r.ok(t, "clusters", "create", "web", "cluster/count=1", "image-deploy/image=test-image", "--detach")
	r.ok(t, "machines", "await", "n1", "PoolStatus=HoldBuild", "--timeout", "10s")
	assert.Contains(t, r.ok(t, "stuck", "-o", "table"), "fan is loud")
	assert.Contains(t, r.ok(t, "clusters", "members", "web", "-o", "table"), "HoldBuild")
	for _, kind := range []string{"jobs", "work_orders", "bmc_actions", "leases", "boot_records", "contents", "clusters"} {
		assert.NotEmpty(t, r.ok(t, kind, "list", "-o", "table"), kind)
	}
}

func TestEventsWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	done := make(chan ran)
	go func() { done <- r.runCtx(t, ctx, strings.NewReader(""), "events", "watch", "profiles.*.*") }()
	for i := 0; ctx.Err() == nil; i++ { // until the watcher is connected it hears nothing
		r.ok(t, "profiles", "update", "global", "Description="+strings.Repeat("x", i%7+1))
	}
	got := <-done
	assert.Contains(t, got.out, `"Action":"update"`)
	assert.Contains(t, got.out, `"Key":"global"`)
}

// TestEventsGoOnFromNowAfterALoss: a server that was restarted does not know
// the number that the watcher has.
func TestEventsGoOnFromNowAfterALoss(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked []string // one request after the other
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked = append(asked, q.Header.Get("Last-Event-ID"))
		switch len(asked) {
		case 1:
			fmt.Fprint(w, ": following after old.1\n\nid: old.2\ndata: {\"Key\":\"one\"}\n\n")
		case 2:
			fmt.Fprint(w, "event: lagged\ndata: \"lost\"\n\n")
		case 3:
			fmt.Fprint(w, ": following after new.7\n\n: alive\n\n")
		default:
			cancel()
		}
	}))
	t.Cleanup(srv.Close)
	r := &rig{env: []string{"RS_ENDPOINT=" + srv.URL, "RS_TOKEN=x"}}
	got := r.runCtx(t, ctx, strings.NewReader(""), "events", "watch", "-o", "json")
	srv.Close()
	assert.Equal(t, exitInterrupted, got.code)
	assert.Equal(t, "{\"Key\":\"one\"}\n", got.out)
	assert.Contains(t, got.err, "some events were lost")
	assert.Equal(t, []string{"", "old.2", "", "new.7"}, asked)
}

// TestWrongSettings fail before anything is sent.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	r := &rig{env: []string{"RS_TOKEN=x", "RS_FINGERPRINT=SHA256:12"}}
	r.fails(t, exitUsage, "not a SHA-256", "machines", "list")
	r.env = []string{"RS_TOKEN=x"}
	r.fails(t, exitUsage, "is not a URL such as", "machines", "list", "-E", "drpd.example")
}

func TestPrefsInfoVersion(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	assert.Equal(t, "discovery", r.object(t, "prefs", "list")["unknownBootEnv"])
	assert.Equal(t, "local", r.object(t, "prefs", "set", "unknownBootEnv", "local")["unknownBootEnv"])
	assert.Equal(t, "test", r.object(t, "info")["version"])
	assert.Equal(t, "Version: devel\n", r.ok(t, "version"))
	assert.Contains(t, r.ok(t, "__complete", "profiles", "show", ""), "global\n")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		assert.Contains(t, r.ok(t, "completion", shell), "drpcli")
	}
}
