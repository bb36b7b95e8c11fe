package openapi

import (
	"cmp"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/trigger"
)

var update = flag.Bool("update", false, "rewrite comments.json and docs/openapi.json")

// kinds are those that a server shows: a test of package daemon compares what
// is made of them with what it serves.
func kinds() []resource.Any { return append(api.Kinds(), engine.Waits, trigger.Firings) }

// build makes the document with these comments, and tells the types in it.
func build(t *testing.T) (*Document, map[string]reflect.Type) {
	t.Helper()
	d, b, err := newDocument(kinds())
	require.NoError(t, err)
	return d, b.schemas.types
}

func TestComments(t *testing.T) {
	_, types := build(t)
	want := comments{}
	embedded := map[reflect.Type]bool{}
	for _, typ := range types {
		read(t, want, typ, embedded)
	}
	data, err := json.MarshalIndent(want, "", " ")
	require.NoError(t, err)
	data = append(data, '\n')
	if *update {
		require.NoError(t, os.WriteFile("comments.json", data, 0o644))
		commentsJSON = data // for the golden document
		return
	}
	assert.Equal(t, string(data), string(commentsJSON), "run: go generate ./pkg/openapi")
}

// read adds what the source says of a type and of what is embedded in it.
func read(t *testing.T, out comments, typ reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	if seen[typ] {
		return
	}
	seen[typ] = true
	if typ.Kind() == reflect.Struct {
		for i := range typ.NumField() {
			if typ.Field(i).Anonymous {
				read(t, out, typ.Field(i).Type, seen)
			}
		}
	}
	dir := filepath.Join("..", strings.TrimPrefix(typ.PkgPath(), "drpd/pkg/"))
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var c comment
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			c.add(parsed(t, name), typ.Name())
		}
	}
	if !reflect.DeepEqual(c, comment{}) {
		out[typeName(typ)] = c
	}
}

func parsed(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return f
}

// add takes what one file says of a type.
func (c *comment) add(f *ast.File, name string) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.Name == name {
					c.Doc = cmp.Or(words(spec.Doc), words(g.Doc))
					c.members(spec.Type)
				}
			case *ast.ValueSpec:
				if id, ok := spec.Type.(*ast.Ident); ok && g.Tok == token.CONST && id.Name == name {
					c.constants(spec)
				}
			}
		}
	}
}

func (c *comment) members(x ast.Expr) {
	st, ok := x.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		if text := cmp.Or(words(f.Doc), words(f.Comment)); text != "" {
			for _, n := range f.Names {
				if c.Fields == nil {
					c.Fields = map[string]string{}
				}
				c.Fields[n.Name] = text
			}
		}
	}
}

func (c *comment) constants(spec *ast.ValueSpec) {
	for _, v := range spec.Values {
		if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err == nil {
				c.Values = append(c.Values, value{s, words(spec.Comment)})
			}
		}
	}
}

// words is a comment as one line.
func words(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }
