package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b"} {
		r.ok(t, "profiles", "create", name, "Description=first")
	}
	for name, c := range map[string][]string{
		"set":     {"profiles", "update", "a", "Description=second"},
		"param":   {"profiles", "set", "a", "param", "x/y", "to", "1"},
		"patch":   {"profiles", "patch", "a", `[{"op":"replace","path":"/Description","value":"third"}]`},
		"create":  {"profiles", "create", "c", "Description=new"},
		"destroy": {"profiles", "destroy", "a", "b"},
	} {
		r.ok(t, append(c, "--plan-out", file(name))...)
		st, err := os.Stat(file(name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), st.Mode().Perm(), "it may hold secrets")
	}
	assert.Equal(t, "first", r.object(t, "profiles", "show", "a")["Description"], "a plan changes nothing")
	r.fails(t, exitNotFound, "", "profiles", "show", "c")
	assert.Equal(t, "destroy profile a (a)\ndestroy profile b (b)\n", r.ok(t, "plan", "show", file("destroy")))

	r.ok(t, "plan", "apply", file("set"), "--dry-run")
	assert.Equal(t, "first", r.object(t, "profiles", "show", "a")["Description"])
	r.ok(t, "plan", "apply", file("set"))
	assert.Equal(t, "second", r.object(t, "profiles", "show", "a")["Description"])
	for _, stale := range []string{"set", "param", "patch", "destroy"} {
		r.fails(t, exitRefused, "the plan is stale, nothing was done: profiles/a changed", "plan", "apply", file(stale))
	}
	r.ok(t, "profiles", "set", "a", "param", "x/y", "to", "1", "--plan-out", file("param"))
	r.ok(t, "plan", "apply", file("param"))
	assert.Equal(t, "1\n", r.ok(t, "profiles", "get", "a", "param", "x/y"))
	r.ok(t, "profiles", "remove", "a", "param", "x/y", "--plan-out", file("param"))
	assert.Equal(t, "1\n", r.ok(t, "profiles", "get", "a", "param", "x/y"), "a dry run")
	r.ok(t, "plan", "apply", file("param"))
	assert.Equal(t, "null\n", r.ok(t, "profiles", "get", "a", "param", "x/y"))
	r.ok(t, "plan", "apply", file("create"))
	assert.Equal(t, "new", r.object(t, "profiles", "show", "c")["Description"])
	r.fails(t, exitRefused, "already exists", "plan", "apply", file("create"))

	r.ok(t, "profiles", "destroy", "a", "b", "--plan-out", file("destroy"))
	r.ok(t, "plan", "apply", file("destroy"))
	r.fails(t, exitRefused, "the plan is stale", "plan", "apply", file("destroy"))
}

func TestPlansRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	p := filepath.Join(t.TempDir(), "p")
	r.ok(t, "profiles", "create", "a")
	r.ok(t, "machines", "create", "m1")
	r.fails(t, exitUsage, "there is no plan to write", "profiles", "list", "--plan-out", p)
	r.fails(t, exitUsage, "cannot be planned: it would have sent POST", "events", "post", `{"Type":"a","Action":"b","Key":"c"}`, "--plan-out", p)
	assert.NoFileExists(t, p)
	r.fails(t, exitUsage, "no such file", "plan", "apply", p)
	require.NoError(t, os.WriteFile(p, []byte(`{"Format":2}`), 0o600))
	r.fails(t, exitUsage, "is no plan of format 1", "plan", "show", p)
	r.ok(t, "profiles", "destroy", "a", "--plan-out", p)
	data, err := os.ReadFile(p)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p, []byte(strings.ReplaceAll(string(data), r.srv.URL, "https://other:8092")), 0o600))
	r.fails(t, exitRefused, "the plan is for https://other:8092", "plan", "apply", p)
	r.ok(t, "profiles", "show", "a")
}
