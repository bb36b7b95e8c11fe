package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// update rewrites the golden files: go test ./pkg/cli -args update.
func update() bool { return flag.Arg(0) == "update" }

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if update() {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, path)
}

// alone runs drpcli with no server.
func alone(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	var out, errw bytes.Buffer
	code := Main(t.Context(), args, append(env, "HOME="+t.TempDir()), strings.NewReader(""), &out, &errw)
	assertNoControl(t, args, out.String()+errw.String())
	return ran{code, out.String(), errw.String()}
}

func TestHelpGolden(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"help": "--help", "help-machines": "machines --help", "help-clusters": "clusters", "help-destroy": "clusters destroy --help",
		"help-set": "profiles set --help", "help-run": "work_orders run --help", "help-login": "help login", "exit-codes": "exit-codes",
	} {
		got := alone(t, nil, strings.Fields(line)...)
		assert.Equal(t, 0, got.code, line)
		golden(t, name, got.out)
	}
}

func TestEveryHelpIsShort(t *testing.T) {
	t.Parallel()
	s := newSession(Config{}, nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	var walk func(c *cobra.Command)
	n := 0
	walk = func(c *cobra.Command) {
		var out bytes.Buffer
		s.out = &out
		s.help(c)
		n++
		assert.LessOrEqual(t, strings.Count(out.String(), "\n"), 40, "help of %s", c.CommandPath())
		assert.NotEmpty(t, c.Short, c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(s.root(nil))
	assert.Greater(t, n, 400)
}

func TestErrorsGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		line string
	}{
		"error-typo":     {exitUsage, "machines lst"},
		"error-kind":     {exitUsage, "machins list"},
		"error-flag":     {exitUsage, "machines list --bogus"},
		"error-args":     {exitUsage, "machines show"},
		"error-login":    {exitDenied, "machines list"},
		"error-format":   {exitUsage, "machines list -o xml"},
		"error-json":     {exitDenied, "machines list -o json"},
		"error-down":     {exitUnreachable, "machines list -T x -E http://127.0.0.1:1"},
		"error-no-site":  {exitUsage, "machines list --site moon"},
		"error-no-value": {exitUsage, "prefs set a b c"},
	} {
		got := alone(t, nil, strings.Fields(c.line)...)
		assert.Equal(t, c.code, got.code, c.line)
		assert.Empty(t, got.out, c.line)
		golden(t, name, got.err)
	}
}

func TestTablesGolden(t *testing.T) {
	t.Parallel()
	rows := []any{
		object{"Name": "n1", "Uuid": "11111111-1111-4111-8111-111111111111", "Pool": "default", "PoolStatus": "Free", "Workflow": "universal-discover", "Stage": "complete", "BootEnv": "local", "Runnable": true, "WorkflowComplete": true, "Address": "10.0.0.1", "HardwareAddrs": []any{"52:54:00:00:00:01"}},
		object{"Name": "n2\x1b[2J", "Pool": "default", "PoolStatus": "HoldBuild", "Workflow": "universal-linux-install", "Stage": "image-deploy", "BootEnv": "discovery", "Boot": object{"Error": "the machine did not boot"}},
	}
	for name, c := range map[string]struct {
		format, fields string
		tty            bool
		width          int
	}{
		"table": {format: "table"}, "table-wide": {format: "wide"}, "table-narrow": {tty: true, width: 60}, "table-fields": {fields: "Name,Boot.Error"},
		"names": {format: "name"}, "yaml": {format: "yaml"}, "json": {}, "jsonl": {format: "jsonl"},
	} {
		var out bytes.Buffer
		s := newSession(Config{}, nil, strings.NewReader(""), &out, &out)
		s.flags.format, s.flags.fields, s.outTTY, s.width = c.format, c.fields, c.tty, max(c.width, 80)
		if c.width > 0 {
			s.width = c.width
		}
		require.NoError(t, s.print("machines", rows))
		if c.tty {
			for l := range strings.SplitSeq(out.String(), "\n") {
				assert.LessOrEqual(t, len(l), c.width)
			}
		}
		golden(t, name, out.String())
	}
}

// TestRunsGolden are whole command lines against a server; what differs from
// run to run is masked.
func TestRunsGolden(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "profiles", "create", "p1", "rack/unit=21", "Description=one", `Meta={"color":"red"}`)
	r.ok(t, "machines", "create", "m1", "HardwareAddrs=52:54:00:00:00:77", `Profiles=["p1"]`)
	mask := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|20\d\d-\d\d-\d\dT[0-9:.]+Z`)
	for name, line := range map[string]string{
		"run-show-json": "profiles show p1", "run-show-yaml": "profiles show p1 -o yaml", "run-show-table": "profiles show p1 -o table",
		"run-list-table": "machines list -o table", "run-list-fields": "machines list -J Name,Profiles,HardwareAddrs", "run-list-name": "machines list -F name",
		"run-params": "profiles params p1", "run-meta": "profiles meta p1",
		"run-slim": "profiles list Name=p1 --slim Params,Meta", "run-destroy": "profiles destroy nope", "run-dry": "machines destroy m1 --dry-run",
	} {
		got := r.run(t, strings.Fields(line)...)
		golden(t, name, mask.ReplaceAllString(got.out+got.err, "..."))
	}
}
