package cli

import (
	"archive/zip"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAwaitConditions(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "machines", "create", "m1", `Meta={"rack":"r7"}`)
	for _, words := range []string{"Locked=false", "Locked=true or Meta.rack=r7", "Locked=false Meta.rack=r7", "And(Locked=false,Not(Meta.rack=r8))",
		"Or(Locked=true,Name=In(m1,m2))", "Name=m1"} {
		assert.Contains(t, r.ok(t, append([]string{"machines", "await", "m1"}, strings.Fields(words)...)...), `"m1"`, words)
		r.ok(t, append([]string{"machines", "wait", "m1"}, strings.Fields(words)...)...)
	}
	for _, words := range []string{"Locked=false Meta.rack=r8", "Not(Locked=false)", "Locked=true or Meta.rack=r8", "Name=m2"} {
		r.fails(t, exitTimeout, "timed out", append([]string{"machines", "await", "m1", "--timeout", "20ms"}, strings.Fields(words)...)...)
	}
	assert.Equal(t, "timeout\n", r.run(t, "machines", "wait", "m1", "Locked", "true", "1", "-q").out)
	r.fails(t, exitUsage, "say what to wait for", "machines", "await", "m1")
}

func TestEtagAndWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "profiles", "create", "p1")
	tag := strings.TrimSpace(r.ok(t, "profiles", "etag", "p1"))
	require.NotEmpty(t, tag)
	r.fails(t, exitTimeout, "did not change", "profiles", "show", "p1", "--wait", "30ms", "--etag", tag)
	r.ok(t, "profiles", "update", "p1", "Description=new")
	assert.NotEqual(t, tag, strings.TrimSpace(r.ok(t, "profiles", "etag", "p1")))
	assert.Contains(t, r.ok(t, "profiles", "show", "p1", "--wait", "5s", "--etag", tag), "new")
	r.ok(t, "profiles", "exists", "p1", "--wait", "5", "--etag", tag)
	r.fails(t, exitUsage, "is neither a number of seconds", "profiles", "show", "p1", "--wait", "soon")
}

// TestListWatch: the rows as they are, then each change that passes.
func TestListWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "profiles", "create", "seen")
	for _, format := range []string{"json", "table"} {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		done := make(chan ran)
		go func() {
			done <- r.runCtx(t, ctx, strings.NewReader(""), "profiles", "list", "Name=Re(^seen)", "--watch", "-o", format)
		}()
		for i := 0; ctx.Err() == nil; i++ { // until the watcher is connected it hears nothing
			r.ok(t, "profiles", "update", "seen", "Description="+format+strings.Repeat("x", i%7+1))
			r.ok(t, "profiles", "update", "global", "Description="+strings.Repeat("y", i%7+1))
		}
		got := <-done
		cancel()
		assert.Equal(t, exitTimeout, got.code)
		assert.NotContains(t, got.out, "global")
		assert.Contains(t, got.out, format+"x", "a change after the first list")
		if format == "table" {
			assert.Contains(t, got.out, "Name")
			assert.Regexp(t, `(?m)^\d\d:\d\d:\d\d  (update|save)  +seen `, got.out)
		} else {
			assert.Contains(t, got.out, `"Name":"seen"`)
		}
	}
}

func TestPacks(t *testing.T) {
	r := newRig(t, 0) // not parallel: bundle works on the current folder
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("meta.yaml", []byte("Name: mine\nVersion: v1.0.0\nDescription: My things.\n"), 0o600))
	require.NoError(t, os.MkdirAll("tasks", 0o700))
	require.NoError(t, os.MkdirAll("templates", 0o700))
	require.NoError(t, os.WriteFile("tasks/tidy.yaml", []byte("Description: Tidies up.\n"), 0o600))
	require.NoError(t, os.WriteFile("templates/hello.tmpl", []byte("hello"), 0o600))
	r.ok(t, "contents", "bundle", "../pack.json", "Version=v2.0.0")
	r.ok(t, "contents", "bundle", "pack.yaml")
	assert.Contains(t, r.ok(t, "contents", "upload", "../pack.json"), "v2.0.0")
	assert.Equal(t, "mine", r.object(t, "tasks", "show", "tidy")["Bundle"])
	r.fails(t, exitRefused, "already", "contents", "create", "pack.yaml")
	r.fails(t, exitUsage, "the pack in pack.yaml is mine, not other", "contents", "update", "other", "pack.yaml")
	r.ok(t, "contents", "update", "mine", "pack.yaml")
	assert.Equal(t, "mine\n====\n\nMy things.\n\ntasks\n-----\n\ntidy\n~~~~\n\nTidies up.\n\ntemplates\n---------\n\nhello.tmpl\n~~~~~~~~~~\n", r.ok(t, "contents", "document", "pack.yaml"))
	r.ok(t, "contents", "destroy", "mine")
	r.ok(t, "contents", "convert", "pack.yaml")
	assert.Empty(t, r.object(t, "tasks", "show", "tidy")["Bundle"])

	out := t.TempDir()
	t.Chdir(out)
	r.ok(t, "contents", "unbundle", filepath.Join(dir, "pack.yaml"))
	data, err := os.ReadFile("templates/hello.tmpl")
	require.NoError(t, err)
	assert.Equal(t, "hello", string(data))
	r.ok(t, "contents", "bundle", "again.yaml")
	one, err := os.ReadFile(filepath.Join(dir, "pack.yaml"))
	require.NoError(t, err)
	two, err := os.ReadFile("again.yaml")
	require.NoError(t, err)
	assert.YAMLEq(t, string(one), string(two))

	r.ok(t, "contents", "bundlize", "own.yaml", "Name=own", "Version=v1.0.0", "tasks:tidy", "templates:ID=hello.tmpl", "--delete", "--reload")
	assert.Equal(t, "own", r.object(t, "tasks", "show", "tidy")["Bundle"])
	r.fails(t, exitUsage, "name the objects", "contents", "bundlize", "x.yaml", "Name=x")
	r.fails(t, exitUsage, "must end in .yaml", "contents", "bundle", "x.txt")
}

func TestTemplatesAndBootEnvs(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir := t.TempDir()
	for name, text := range map[string]string{"bootenvs/b1.yaml": "Name: b1\nOS: {Name: b1, IsoFile: b1.iso}\nTemplates:\n- {Name: boot, Path: b1.cfg, ID: b1.tmpl}\n",
		"templates/b1.tmpl": "one", "isos/b1.iso": "an image"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	r.ok(t, "bootenvs", "install", filepath.Join(dir, "bootenvs/b1.yaml"), filepath.Join(dir, "isos"))
	assert.Contains(t, r.ok(t, "isos", "exists", "b1.iso"), "b1.iso: ")
	assert.Equal(t, "one", r.object(t, "templates", "show", "b1.tmpl")["Contents"])
	got := r.runIn(t, "two", "templates", "upload", "-", "as", "b1.tmpl")
	require.Equal(t, 0, got.code, got.err)
	assert.Equal(t, "two", r.object(t, "templates", "show", "b1.tmpl")["Contents"])
	got = r.run(t, "bootenvs", "uploadiso", "b1")
	assert.Contains(t, got.err, "b1.iso is on the server")
	r.ok(t, "isos", "destroy", "b1.iso")
	r.fails(t, exitSomeFailed, "nothing says where it comes from", "bootenvs", "uploadiso", "b1")
}

func TestSupportAndCerts(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir := t.TempDir()
	r.ok(t, "machines", "create", "m1")
	for file, args := range map[string][]string{"a.zip": {"support", "bundle"}, "b.zip": {"support", "machine-bundle", "m1"}} {
		r.ok(t, append(args, filepath.Join(dir, file))...)
		z, err := zip.OpenReader(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.Greater(t, len(z.File), 2)
		z.Close()
		got := r.run(t, append(args, filepath.Join(dir, file))...)
		assert.NotEqual(t, 0, got.code, "an older file is not written over")
	}
	o := r.object(t, "certs", "csr", "site", "drpd.example", "10.0.0.1", "other.example")
	b, _ := pem.Decode([]byte(o["CSR"].(string)))
	require.NotNil(t, b)
	csr, err := x509.ParseCertificateRequest(b.Bytes)
	require.NoError(t, err)
	require.NoError(t, csr.CheckSignature())
	assert.Equal(t, []string{"drpd.example", "other.example"}, csr.DNSNames)
	assert.Equal(t, "10.0.0.1", csr.IPAddresses[0].String())
	r.fails(t, exitUsage, "read the certificate", "system", "certs", "set", filepath.Join(dir, "no"), filepath.Join(dir, "no"))

	hash := r.runIn(t, "right horse\n", "users", "passwordhash")
	require.Equal(t, 0, hash.code, hash.err)
	assert.Contains(t, hash.out, "$")
	bash := filepath.Join(dir, "drpcli.bash")
	r.ok(t, "autocomplete", bash)
	data, err := os.ReadFile(bash)
	require.NoError(t, err)
	assert.Contains(t, string(data), "complete")
}

// TestLocalProxy: calls go through the socket with the proxy's credentials.
func TestLocalProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir, err := os.MkdirTemp("", "p") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan ran)
	go func() { done <- r.runCtx(t, ctx, strings.NewReader(""), "proxy", socket) }()
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, 10*time.Second, time.Millisecond)
	other := &rig{env: []string{"HOME=" + t.TempDir(), "RS_LOCAL_PROXY=" + socket}}
	assert.Contains(t, other.ok(t, "profiles", "list"), "global")
	other.ok(t, "profiles", "create", "by-proxy")
	other.fails(t, exitUsage, "unset RS_LOCAL_PROXY", "proxy", "x")
	cancel()
	assert.Equal(t, 0, (<-done).code)
	other.fails(t, exitUnreachable, "no answer", "profiles", "list")
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "machines", "create", "m1", "HardwareAddrs=52:54:00:00:00:77")
	for line, want := range map[string]string{
		"machines show ":             "m1\n:4",
		"machines set m1 ":           "param\n:4",
		"machines set m1 param ":     "",
		"machines workflow m1 ":      "universal-discover\n",
		"machines addprofile m1 ":    "global\n",
		"machines list ":             "PoolStatus=\n",
		"machines list Workflow=":    "Workflow=universal-discover\n",
		"machines list Runnable=":    "Runnable=true\n",
		"machines work_order m1 ":    "on\noff\n",
		"work_orders run ":           "",
		"why machines ":              "m1\n",
		"stages ":                    "addtask\tAdd tasks at the end.",
		"subnets set lab option 3 t": "to\n",
	} {
		words := strings.Split(line, " ")
		assert.Contains(t, r.ok(t, append([]string{"__complete"}, words...)...), want, line)
	}
	r.ok(t, "machines", "create", "m2")
	assert.NotContains(t, r.ok(t, "__complete", "machines", "show", ""), "m2", "names are kept for 5 s")
	r.env[1] = "RS_ENDPOINT=http://127.0.0.1:1"
	got := r.run(t, "__complete", "machines", "show", "")
	assert.Equal(t, ":4\n", got.out, "silent without a server")
}

// TestEnvironmentIsListed holds every variable that the sources read.
func TestEnvironmentIsListed(t *testing.T) {
	t.Parallel()
	listed := alone(t, nil, "environment").out
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	names := regexp.MustCompile(`env\["((?:RS|XDG)_\w+)"\]`)
	n := 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range names.FindAllStringSubmatch(string(data), -1) {
			if m[1] == "RS_USERNAME" || m[1] == "RS_PASSWORD" { // of ~/.drpclirc only
				continue
			}
			assert.Contains(t, listed, m[1], f)
			n++
		}
	}
	assert.Greater(t, n, 10)
}
