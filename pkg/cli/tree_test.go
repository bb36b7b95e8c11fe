package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree is every command there is, by its path without "drpcli".
func tree(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	s := newSession(Config{}, nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	out := map[string]*cobra.Command{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			path := strings.TrimPrefix(sub.CommandPath(), "drpcli ")
			assert.NotContains(t, out, path, "two commands have this name")
			out[path] = sub
			walk(sub)
		}
	}
	walk(s.root(nil))
	return out
}

func TestEveryCommandIsDescribed(t *testing.T) {
	t.Parallel()
	all := tree(t)
	assert.Greater(t, len(all), 1000)
	for path, c := range all {
		assert.NotEmpty(t, c.Short, path)
		assert.True(t, strings.HasSuffix(c.Short, "."), "%s: %q is no sentence", path, c.Short)
		assert.LessOrEqual(t, len(c.Short), 120, path)
		if strings.Contains(path, " ") && !strings.HasPrefix(path, "completion ") {
			assert.Contains(t, c.Example, "drpcli "+strings.Fields(path)[0], path)
		}
		assert.NotContains(t, c.Short, "  ", path)
		seen := map[string]bool{}
		for _, a := range c.Aliases {
			assert.False(t, seen[a] || a == c.Name(), "%s: alias %s twice", path, a)
			seen[a] = true
			if p := c.Parent(); p != nil {
				for _, sister := range p.Commands() {
					assert.False(t, sister != c && (sister.Name() == a || sister.HasAlias(a)), "%s: alias %s is taken by %s", path, a, sister.Name())
				}
			}
		}
	}
}

// TestEveryCommandChecksItsArguments before it speaks to anybody.
func TestEveryCommandChecksItsArguments(t *testing.T) {
	t.Parallel()
	many := strings.Fields(strings.Repeat("x ", 20))
	for path, c := range tree(t) {
		g := parseUse(c.Use)
		if !c.Runnable() || c.HasSubCommands() || strings.HasPrefix(path, "completion") || path == "help" || path == "autocomplete" {
			continue
		}
		if strings.HasPrefix(path, "extended") {
			path = strings.Replace(path, "extended", "extended -l x", 1)
		}
		if g.most() >= 0 {
			got := alone(t, nil, append(strings.Fields(path), many...)...)
			assert.Equal(t, exitUsage, got.code, "%s with too many arguments: %s", path, got.err)
		}
		if len(g.must) > 0 {
			got := alone(t, nil, strings.Fields(path)...)
			assert.Equal(t, exitUsage, got.code, "%s without arguments: %s", path, got.err)
			assert.Contains(t, got.err, "missing: <", path)
		}
	}
}

// lacking are the commands of DRP's client 4.7 that this one does not have,
// and why.
var lacking = map[string]string{
	"bootenvs fromAppleNBI": "NetBoot of Apple's older machines is not served",
	"catalog create":        "makes a part of the vendor's catalog",
	"catalog updateLocal":   "copies what the vendor's catalog has to the server; packs are installed from any catalog",
	"net":                   "writes network configurations of the machine it runs on, which is the matter of tasks",
	"system signurl":        "signs downloads from the vendor",
	"agent":                 "is brought by cmd/drpcli; its verbs are run and whoami",
	"plugin_providers meta": "what a program says of itself is not changed from outside",
}

func TestCommandsOfDRP(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/drp47.txt")
	require.NoError(t, err)
	all := tree(t)
	for l := range strings.Lines(string(data)) {
		path, flags := "", []string{}
		for _, w := range strings.Fields(l) {
			if strings.HasPrefix(w, "--") {
				flags = append(flags, w[2:])
				continue
			}
			path = strings.TrimSpace(path + " " + w)
		}
		if lacks(path) {
			continue
		}
		c := all[path]
		if !assert.NotNil(t, c, "DRP has %q", path) {
			continue
		}
		for _, f := range flags {
			assert.NotNil(t, c.Flag(f), "%s --%s", path, f)
		}
	}
}

func lacks(path string) bool {
	for p := range lacking {
		if path == p || strings.HasPrefix(path, p+" ") {
			return true
		}
	}
	return map[string]bool{"gohai": true, "fingerprint": true, "machines processjobs": true, "machines whoami": true}[path] // of cmd/drpcli
}
