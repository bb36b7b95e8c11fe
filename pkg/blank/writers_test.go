package blank_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writers are the functions that write PoolStatus of machines, and which states
// they can write. Whoever adds one says here which. Only pool.rest writes Free,
// which asks Decide; a new machine that nobody had is Free too.
var writers = map[string]string{
	"api.fill":         "Free", // of a new machine: the save hook looks at it
	"pool.begin":       "during",
	"pool.move":        "to",
	"pool.rest":        "api.Free",
	"broker.createOne": "api.Building",
	"broker.fill":      "api.Joining",
	// A server that was restored holds what it does not know to be blank.
	"restored.HoldDestroy": "api.HoldDestroy",
}

// mayFree are the writers that can write Free.
var mayFree = []string{"api.fill", "pool.rest"}

// TestWritersOfPoolStatus finds everything in the code that writes the state of
// machines: a list that somebody must keep would not find the next one.
func TestWritersOfPoolStatus(t *testing.T) {
	t.Parallel()
	found := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "compat" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				writesOf(fn, func(value string) { found[f.Name.Name+"."+fn.Name.Name] = value })
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, writers, found)
	for name, value := range found {
		if strings.HasSuffix(value, "Free") {
			assert.Contains(t, mayFree, name)
		}
	}
	assert.Equal(t, []string{"moves"}, slices.Collect(maps.Keys(callersOf(t, "move", "Free"))), "nothing hands Free to pool.move")
}

// writesOf tells each value that a function gives a field called PoolStatus.
func writesOf(fn *ast.FuncDecl, tell func(value string)) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if s, ok := l.(*ast.SelectorExpr); ok && s.Sel.Name == "PoolStatus" {
					tell(text(n.Rhs[min(i, len(n.Rhs)-1)]))
				}
			}
		case *ast.UnaryExpr: // its address lets others write it
			if s, ok := n.X.(*ast.SelectorExpr); ok && n.Op == token.AND && s.Sel.Name == "PoolStatus" {
				tell("&")
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && k.Name == "PoolStatus" {
				tell(text(n.Value))
			}
		}
		return true
	})
}

func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return "?"
}

// callersOf finds calls of a function of package pool with an argument that
// names a state; "moves" stands for that the search works at all.
func callersOf(t *testing.T, name, state string) map[string]bool {
	t.Helper()
	out := map[string]bool{"moves": true}
	files, err := filepath.Glob("../pool/*.go")
	require.NoError(t, err)
	n := 0
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(node ast.Node) bool {
			c, ok := node.(*ast.CallExpr)
			if !ok || text(c.Fun) != name {
				return true
			}
			n++
			for _, a := range c.Args {
				if strings.HasSuffix(text(a), "."+state) {
					out[path] = true
				}
			}
			return true
		})
	}
	assert.Greater(t, n, 2)
	return out
}
