package guard_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// elsewhere are functions that begin an effect and need not ask themselves, and
// why. A row that is of no use any more fails.
var elsewhere = map[string]string{
	"broker.release: Owner":   "it asks for each machine first, and Hooks for the save",
	"broker.destroy: Owner":   "it asks first",
	"pool.rest: Owner":        "the release has been done, and Hooks asks for the save",
	"pool.rest: deletes":      "only what has no hardware, and Hooks asks for the save",
	"bmc.isOff: intent":       "the machine was switched off and boots nothing",
	"workflow.intend: intent": "Hooks asks for the save that it is part of, and pxe before an installer is served",
}

// destructive are the operations that let members go or plan for disks.
var destructive = []string{"cluster/leave", "cluster/release", "cluster/trim", "broker/release", "disk/plan-install", "disk/plan-wipe"}

// begun is what a function does that may end data, by what it is found by.
func begun(fn *ast.FuncDecl) []string {
	found := map[string]bool{}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			assigned(n, found)
		case *ast.CallExpr:
			called(n, found)
		case *ast.CompositeLit:
			if text(n.Type) == "api.BootState" && slices.ContainsFunc(n.Elts, func(e ast.Expr) bool {
				kv, ok := e.(*ast.KeyValueExpr)
				return ok && text(kv.Key) == "Intent"
			}) {
				found["intent"] = true
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}

func assigned(n *ast.AssignStmt, found map[string]bool) {
	for i, l := range n.Lhs {
		field := text(l)
		field = field[strings.LastIndex(field, ".")+1:]
		if len(n.Rhs) != len(n.Lhs) {
			continue
		}
		switch {
		case field == "Owner" && text(n.Rhs[i]) == `""`:
			found["Owner"] = true
		case field == "PoolStatus" && text(n.Rhs[i]) == "api.Destroying":
			found["destroys"] = true
		case field == "Served" && text(n.Rhs[i]) == "true":
			found["serves"] = true
		case strings.HasSuffix(text(l), "Boot.Intent"):
			found["intent"] = true
		}
	}
}

func called(n *ast.CallExpr, found map[string]bool) {
	switch text(n.Fun) {
	case "api.Machines.Delete", "api.Clusters.Delete":
		found["deletes"] = true
	case "render.Actions":
		found["hands out"] = true
	case "begin":
		for _, a := range n.Args {
			if text(a) == "api.Destroying" {
				found["destroys"] = true
			}
		}
	}
}

// text is a chain of names or a literal as it is written, "" for anything else.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.BasicLit:
		return e.Value
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return ""
}

func asks(fn *ast.FuncDecl) bool {
	yes := false
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			yes = yes || slices.Contains([]string{"guard.Destroy", "guard.Cluster", "guard.Actions", "guard.Entry"}, text(c.Fun))
		}
		return !yes
	})
	return yes
}

// functions are all of the server's, by package and name.
func functions(t *testing.T) map[string]*ast.FuncDecl {
	out := map[string]*ast.FuncDecl{}
	fset := token.NewFileSet()
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains([]string{"sim", "guard", "agent", "cli"}, d.Name()) {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				name := f.Name.Name + "." + fn.Name.Name
				for out[name] != nil { // methods of several types
					name += "'"
				}
				out[name] = fn
			}
		}
		return nil
	}))
	return out
}

// TestWhoeverEndsDataAsks looks in the code for every place that begins a
// release, a deletion, an installer's boot, or hands out what an agent shall do.
func TestWhoeverEndsDataAsks(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, fn := range functions(t) {
		for _, what := range begun(fn) {
			row := strings.TrimRight(name, "'") + ": " + what
			if _, ok := elsewhere[row]; ok {
				used[row] = true
			} else if !asks(fn) {
				t.Errorf("%s: ask package guard first, or say in this test who does", row)
			}
		}
	}
	for row := range elsewhere {
		assert.True(t, used[row], "%s: no such place any more", row)
	}
}

// TestOperationsThatEndDataAsk finds the functions behind the operations.
func TestOperationsThatEndDataAsk(t *testing.T) {
	t.Parallel()
	all, seen := functions(t), map[string]bool{}
	for name, fn := range all {
		if fn.Name.Name != "Natives" {
			continue
		}
		pkg, _, _ := strings.Cut(name, ".")
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			kv, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			op, _ := strconv.Unquote(text(kv.Key))
			if !slices.Contains(destructive, op) {
				return true
			}
			v := kv.Value
			if c, ok := v.(*ast.CallExpr); ok {
				v = c.Args[0]
			}
			does := text(v)
			does = does[strings.LastIndex(does, ".")+1:]
			seen[op] = slices.ContainsFunc([]string{does, does + "'", does + "''"}, func(fn string) bool {
				return all[pkg+"."+fn] != nil && asks(all[pkg+"."+fn])
			})
			return true
		})
	}
	for _, op := range destructive {
		assert.True(t, seen[op], "operation %s asks package guard", op)
	}
}
