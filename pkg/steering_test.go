package pkg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/daemon"
)

// readByServer finds the params that code of the server reads: those that a
// built-in pack defines and a text of the code names, and every constant that is
// called Param-something.
func readByServer(t *testing.T) map[string]string {
	t.Helper()
	defined := map[string]bool{}
	packs, err := daemon.BuiltIn()
	require.NoError(t, err)
	for _, p := range packs {
		for name := range p.Sections["params"] {
			defined[name] = true
		}
	}
	require.Greater(t, len(defined), 100)
	out := map[string]string{}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		top, _, _ := strings.Cut(path, "/")
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			top == "sim" || top == "cli" || top == "agent" || path == filepath.Join("api", "steering.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && (strings.HasPrefix(name.Name, "Param") || strings.HasPrefix(name.Name, "param")) {
						if text, ok := literal(n.Values[i]); ok {
							out[text] = path
						}
					}
				}
			case *ast.BasicLit:
				if text, ok := literal(n); ok && defined[text] {
					out[text] = path
				}
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return out
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// What the server reads a machine may not write of itself, but for facts about
// its hardware.
func TestParamsThatTheServerReadsAreClosed(t *testing.T) {
	t.Parallel()
	read := readByServer(t)
	require.Greater(t, len(read), 60)
	open := map[string]bool{"inventory/data": true, "detected-bios-mode": true, "last-boot-macaddr": true}
	for name, path := range read {
		assert.Equal(t, !open[name], api.Steers(name), "param %s, read in %s: close it in api/steering.go, or open it with a reason", name, path)
	}
	for name := range open {
		assert.False(t, api.Steers(name))
	}
	assert.False(t, api.Steers("my/own"))
	for _, name := range api.SecretRoutes() {
		assert.True(t, api.Steers(name), name)
	}
}
