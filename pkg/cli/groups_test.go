package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made is one object of each kind that people create, as words.
var made = []struct{ kind, key, words string }{
	{"pools", "lab", "lab"},
	{"tasks", "tidy", "tidy"},
	{"stages", "clean", "clean Tasks=tidy"},
	{"workflows", "cleaning", "cleaning Stages=clean"},
	{"blueprints", "sweep", "sweep Tasks=tidy"},
	{"templates", "motd.tmpl", "motd.tmpl Contents=hello"},
	{"bootenvs", "rescue", "rescue"},
	{"profiles", "rack7", "rack7 color/door=blue"},
	{"params", "color/door", "color/door"},
	{"subnets", "net1", "net1 Subnet=192.168.124.1/24 ActiveStart=192.168.124.10 ActiveEnd=192.168.124.20"},
	{"reservations", "192.168.124.5", "192.168.124.5 Token=52:54:00:00:00:99"},
	{"users", "ann", "ann Roles=superuser"},
	{"roles", "viewer", "viewer"},
	{"machines", "m1", "m1 HardwareAddrs=52:54:00:00:00:77 ipmi/address=10.0.0.9"},
	{"resource_brokers", "b1", "b1"},
}

func TestEveryGroupHasTheCommonVerbs(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	for _, m := range made {
		o := r.object(t, append([]string{m.kind, "create"}, strings.Fields(m.words)...)...)
		assert.NotEmpty(t, o, m.kind)
		assert.Contains(t, r.ok(t, m.kind, "list"), m.key)
		assert.Contains(t, r.ok(t, m.kind, "list", "-o", "name"), m.key)
		assert.Contains(t, r.ok(t, m.kind, "list", "-o", "table"), m.key)
		assert.Contains(t, r.ok(t, m.kind, "show", m.key, "-o", "yaml"), m.key)
		assert.NotEqual(t, "0\n", r.ok(t, m.kind, "count"), m.kind)
		assert.Contains(t, r.ok(t, m.kind, "indexes"), "Unique")
		assert.Empty(t, r.ok(t, m.kind, "exists", m.key))
		r.fails(t, exitNotFound, "", m.kind, "exists", "nonesuch")
		r.fails(t, exitNotFound, "Not Found", m.kind, "show", "nonesuch")
		r.fails(t, exitRefused, "already", append([]string{m.kind, "create"}, strings.Fields(m.words)...)...)
		o = r.object(t, m.kind, "update", m.key, `{"Description":"changed"}`)
		assert.Equal(t, "changed", o["Description"], m.kind)
		o = r.object(t, m.kind, "update", m.key, "Description=again")
		assert.Equal(t, "again", o["Description"], m.kind)
		r.fails(t, exitUnchanged, "is as wanted", m.kind, "update", m.key, "Description=again", "--fail-if-unchanged")
		o = r.object(t, m.kind, "patch", m.key, `[{"op":"replace","path":"/Description","value":"third"}]`)
		assert.Equal(t, "third", o["Description"], m.kind)
		r.fails(t, exitRefused, "Test op failed", m.kind, "patch", m.key, `[{"op":"test","path":"/Description","value":"else"}]`)
		assert.Contains(t, r.ok(t, m.kind, "await", m.key, "Description=third"), m.key)
		assert.Equal(t, "complete\n", r.ok(t, m.kind, "wait", m.key, "Description", "third", "5"))
		r.fails(t, exitTimeout, "", m.kind, "await", m.key, "Description=never", "--timeout", "20ms")
		assert.Equal(t, "\"r7\"\n", r.ok(t, m.kind, "meta", "set", m.key, "key", "rack", "to", "r7"))
		assert.Equal(t, "\"r7\"\n", r.ok(t, m.kind, "meta", "get", m.key, "key", "rack"))
		assert.Empty(t, r.ok(t, m.kind, "meta", "remove", m.key, "key", "rack"))
		assert.NotContains(t, r.ok(t, m.kind, "meta", m.key), "rack")
	}
	for i := len(made) - 1; i >= 0; i-- {
		m := made[i]
		r.ok(t, m.kind, "destroy", m.key)
		r.ok(t, m.kind, "await", m.key, "--for", "deleted")
		r.fails(t, exitNotFound, "", m.kind, "exists", m.key)
	}
}

func TestParamsAndProfiles(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "profiles", "create", "p1")
	r.ok(t, "params", "create", `{"Name":"access/key","Secure":true}`)
	r.ok(t, "machines", "create", "m1", "size/big=3", "text/word=hello", `Profiles=["p1"]`)
	assert.Equal(t, "3\n", r.ok(t, "machines", "get", "m1", "param", "size/big"))
	assert.Equal(t, "{\n  \"a\": [\n    1\n  ]\n}\n", r.ok(t, "machines", "set", "m1", "param", "x/y/z", "to", `{"a":[1]}`))
	r.fails(t, exitRefused, "is set already", "machines", "add", "m1", "param", "x/y/z", "to", "1")
	r.ok(t, "machines", "add", "m1", "param", "x/new", "to", "1")
	r.ok(t, "machines", "remove", "m1", "param", "x/new")
	r.fails(t, exitNotFound, "not set", "machines", "remove", "m1", "param", "x/new")
	assert.Contains(t, r.ok(t, "machines", "params", "m1"), "text/word")
	r.fails(t, exitUsage, `"x" stands where the word "param" belongs`, "machines", "get", "m1", "x", "y")

	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("hush\n"), 0o600))
	r.ok(t, "machines", "set", "m1", "param", "access/key", "to", "@"+file, "-q")
	assert.NotContains(t, r.ok(t, "machines", "show", "m1"), "hush")
	got := r.runIn(t, "hush2\n", "machines", "update", "m1", "access/key=-")
	require.Equal(t, 0, got.code, got.err)
	assert.NotContains(t, got.out, "hush2")

	r.ok(t, "profiles", "create", "p2")
	assert.Contains(t, r.ok(t, "machines", "addprofile", "m1", "p2", "-J", "Profiles"), "p1,p2")
	assert.NotContains(t, r.ok(t, "machines", "removeprofile", "m1", "p1", "-J", "Profiles"), "p1")
}

func TestMachineVerbs(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	o := r.object(t, "machines", "create", "m1", "HardwareAddrs=52:54:00:00:00:77")
	id := o["Uuid"].(string)
	assert.Equal(t, "m1", r.object(t, "machines", "show", id[:8])["Name"])
	assert.Equal(t, "m1", r.object(t, "machine", "show", "HardwareAddr:52:54:00:00:00:77")["Name"])
	assert.Equal(t, false, r.object(t, "machines", "pause", "m1")["Runnable"])
	assert.Equal(t, true, r.object(t, "machines", "run", "m1")["Runnable"])
	assert.Equal(t, "", r.object(t, "machines", "workflow", "m1", "none")["Workflow"])
	assert.Equal(t, true, r.object(t, "machines", "work_order", "m1", "on")["WorkOrderMode"])
	assert.Equal(t, false, r.object(t, "machines", "work_order", "m1", "off")["WorkOrderMode"])
	r.ok(t, "machines", "lock", "m1")
	r.fails(t, exitDenied, "ocked", "machines", "pause", "m1")
	r.ok(t, "machines", "unlock", "m1")
	assert.Equal(t, "[]\n", r.ok(t, "machines", "jobs", "m1", "State=failed"))
	r.fails(t, exitNotFound, "has no job yet", "machines", "currentlog", "m1")
	r.fails(t, exitUsage, `field PoolStatus cannot be set here`, "machines", "update", "m1", "PoolStatus=InUse")
	r.fails(t, exitUsage, "Address \"x\" is not an IPv4 address", "machines", "update", "m1", "Address=x")
}

func TestBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	file := filepath.Join(t.TempDir(), "m.yaml")
	require.NoError(t, os.WriteFile(file, []byte("Name: m1\nParams:\n  a/b: 1\n"), 0o600))
	assert.Equal(t, "m1", r.object(t, "machines", "create", file)["Name"])
	got := r.runIn(t, `{"Name":"m2"}`, "machines", "create", "-", "a/b=2")
	require.Equal(t, 0, got.code, got.err)
	assert.Equal(t, "2\n", r.ok(t, "machines", "get", "m2", "param", "a/b"))
	assert.Contains(t, r.ok(t, "machines", "list", "a/b=2", "-o", "name"), "m2")
	assert.Equal(t, "m1\nm2\n", r.ok(t, "machines", "list", "sort=Name", "-o", "name"))
	assert.Equal(t, "Name  Params.a/b\nm2    2\n", r.ok(t, "machines", "list", "Name=m2", "-J", "Name,Params.a/b"))
	r.fails(t, exitUsage, "neither JSON, YAML nor a file", "machines", "update", "m1", "nonesuch.yaml")
	r.fails(t, exitUsage, `unknown field "Nmae"`, "machines", "create", `{"Nmae":"x"}`)
}

// Nothing may wait for input that never comes.
func TestClosedStandardInputNeverBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "clusters", "define", "c1")
	for _, line := range []string{"machines create -", "clusters destroy c1", "clusters forget c1", "users password root", "files upload - as x",
		"profiles set global param a/b to -", "contents upload -"} {
		assert.NotEqual(t, 130, r.run(t, strings.Fields(line)...).code, line)
	}
	r.env = r.env[:2] // no RS_KEY
	r.fails(t, exitUsage, "fix: drpcli login -U <name>", "login")
	r.fails(t, exitUsage, "a password is needed", "login", "-U", "root")
	r.fails(t, exitDenied, "fix: drpcli login", "machines", "list")
}
