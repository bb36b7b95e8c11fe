// Package pkg_test guards the architecture: which package may import which,
// where the clock may be read, and that every package says what it is for.
package pkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the generated part of .golangci.yml")

// row is what one package may do. Paths of drpd are below pkg/ if they do not
// begin with a slash.
type row struct {
	may   string // packages of drpd that it may import
	libs  string // its third-party libraries; golang.org/x is free to all
	clock bool   // it may read time.Now: it stands at an edge, or starts what does
}

const (
	uuidLib = "github.com/google/uuid"
	cobra   = "github.com/spf13/cobra"
	yamlLib = "sigs.k8s.io/yaml"
	zstd    = "github.com/klauspost/compress/zstd"
	hashLib = "github.com/cespare/xxhash/v2"
	dhcpLib = "github.com/insomniacslk/dhcp"
)

// rows is the architecture's package table. Tests may import anything, and so
// may pkg/sim, which nothing else imports.
var rows = map[string]row{
	"atomicfile":      {},
	"store":           {clock: true},
	"store/mem":       {may: "store"},
	"store/sqlite":    {may: "store atomicfile", libs: "modernc.org/sqlite", clock: true},
	"store/storetest": {may: "store", libs: "github.com/stretchr/testify"},
	"resource":        {may: "store", libs: "github.com/tidwall/btree", clock: true},
	"api":             {may: "resource", libs: uuidLib + " github.com/santhosh-tekuri/jsonschema/v6"},

	"seal":            {},
	"datadir":         {may: "atomicfile resource store store/sqlite", libs: uuidLib + " filippo.io/age " + zstd},
	"pki":             {may: "atomicfile", clock: true},
	"blob":            {},
	"iso9660":         {},
	"iso9660/isotest": {},
	"udf":             {},
	"udf/udftest":     {},
	"unpack":          {may: "blob iso9660 udf", libs: "github.com/klauspost/compress"},
	"media":           {may: "api blob engine resource unpack"},
	"param":           {may: "api resource seal"},
	"render":          {may: "api param resource", libs: "github.com/Masterminds/sprig/v3 " + yamlLib},
	"bundle":          {may: "api resource", libs: yamlLib},
	"engine":          {may: "resource", clock: true},
	"guard":           {may: "api blank param resource", libs: yamlLib},
	"workflow":        {may: "api engine guard proof resource", libs: uuidLib},

	"workorder":  {may: "api engine param resource workflow"},
	"child":      {clock: true},
	"keeper":     {may: "child", clock: true},
	"plugin":     {may: "api blob bundle child engine resource workflow", clock: true},
	"runner":     {may: "api child engine resource workflow", clock: true},
	"alert":      {may: "api resource"},
	"restored":   {may: "api datadir resource trigger"},
	"trigger":    {may: "alert api engine param resource workorder"},
	"batch":      {may: "api engine resource workorder"},
	"blank":      {may: "api proof resource"},
	"pool":       {may: "alert api blank engine guard resource"},
	"broker":     {may: "api engine guard param pool resource", libs: uuidLib},
	"cluster":    {may: "api engine guard param resource"},
	"callout":    {},
	"flexi":      {may: "api callout engine param render resource workflow"},
	"diskplan":   {may: "api blank engine guard param resource"},
	"bmc":        {may: "api bmc/driver engine param resource"},
	"bmc/driver": {may: "callout", libs: "github.com/bmc-toolbox/bmclib/v2 github.com/go-logr/logr github.com/stmcginnis/gofish", clock: true},

	"proof":         {may: "alert api param resource", libs: uuidLib},
	"pxe":           {may: "api guard proof resource", libs: "github.com/pin/tftp/v3"},
	"dhcp":          {may: "api dhcp/ra pxe resource", libs: dhcpLib, clock: true},
	"dhcp/ra":       {clock: true},
	"auth":          {may: "api auth/claim auth/password auth/token param proof resource", libs: uuidLib, clock: true},
	"auth/claim":    {may: "api"},
	"auth/password": {},
	"auth/token":    {},
	"rest": {may: "api auth blob engine resource unpack", clock: true,
		libs: "github.com/labstack/echo/v4 github.com/klauspost/compress github.com/coder/websocket github.com/evanphx/json-patch/v5 " + uuidLib},

	"openapi": {may: "/web api auth engine pool resource rest restored"},

	"client":      {may: "api pki resource"},
	"cli":         {may: "api atomicfile auth/password bundle client resource seal", libs: cobra + " github.com/spf13/pflag " + uuidLib + " " + yamlLib, clock: true},
	"agent":       {may: "agent/boot agent/disk agent/facts agent/ops api client", libs: cobra, clock: true},
	"agent/boot":  {libs: dhcpLib + " " + hashLib, clock: true},
	"agent/disk":  {libs: hashLib + " " + zstd, clock: true},
	"agent/facts": {may: "agent/boot agent/disk"},
	"agent/ops":   {may: "agent/disk agent/facts", libs: yamlLib},

	"image":             {libs: zstd, clock: true},
	"image/cmd/mkimage": {may: "image"},
	"daemon": {clock: true, libs: uuidLib, may: "/content alert api atomicfile auth batch blank blob bmc bmc/driver broker bundle callout child cluster datadir dhcp diskplan " +
		"engine flexi guard media openapi param pki plugin pool proof pxe render resource rest restored runner seal store store/mem store/sqlite trigger workflow workorder"},

	"/content":     {},
	"/content/gen": {libs: yamlLib},
	"/web":         {},
	"/cmd/drpd":    {clock: true, may: "agent auth daemon datadir keeper", libs: cobra + " github.com/spf13/pflag"},
	"/cmd/drpcli":  {may: "agent agent/disk agent/facts agent/ops cli", libs: cobra + " github.com/itchyny/gojq"},
}

// full makes import paths of a row's short names.
func full(names string) []string {
	var out []string
	for _, n := range strings.Fields(names) {
		if n[0] == '/' {
			out = append(out, "drpd"+n)
			continue
		}
		out = append(out, "drpd/pkg/"+n)
	}
	return out
}

// listed is one package as go list tells it.
type listed struct {
	ImportPath, Dir, Doc string
	GoFiles, Imports     []string
}

var packages = sync.OnceValues(func() ([]listed, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var list []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		if len(p.GoFiles) > 0 { // else it has only tests
			list = append(list, p)
		}
	}
})

// rowOf finds a package's row; simulated racks are free.
func rowOf(t *testing.T, p listed) (r row, free bool) {
	t.Helper()
	if strings.HasPrefix(p.ImportPath, "drpd/pkg/sim/") {
		return row{}, true
	}
	short, below := strings.CutPrefix(p.ImportPath, "drpd/pkg/")
	if !below {
		short = strings.TrimPrefix(p.ImportPath, "drpd")
	}
	r, ok := rows[short]
	if !ok {
		t.Errorf("%s has no row: say in the table of this test, and of ARCHITECTURE.md, what it may import", p.ImportPath)
	}
	return r, !ok
}

func TestImports(t *testing.T) {
	t.Parallel()
	list, err := packages()
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, p := range list {
		seen[p.ImportPath] = true
		r, free := rowOf(t, p)
		for _, imp := range p.Imports {
			if why := refusal(r, imp); why != "" && !free {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
	}
	for name := range rows {
		assert.True(t, seen[full(name)[0]], "row %q is of no package: remove it", name)
	}
}

// refusal says why a package with row r may not import imp, "" if it may.
func refusal(r row, imp string) string {
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case first == "drpd":
		if slices.Contains(full(r.may), imp) {
			return ""
		}
		return fmt.Sprintf("of drpd its row allows only [%s]", r.may)
	case !strings.Contains(first, ".") || strings.HasPrefix(imp, "golang.org/x/"):
		return ""
	}
	for _, lib := range strings.Fields(r.libs) {
		if imp == lib || strings.HasPrefix(imp, lib+"/") {
			return ""
		}
	}
	return fmt.Sprintf("of other modules its row allows only [%s]", r.libs)
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	r := row{may: "api store", libs: "example.org/lib"}
	for imp, refused := range map[string]bool{
		"fmt": false, "net/http": false, "golang.org/x/sync/errgroup": false, "drpd/pkg/api": false, "drpd/pkg/store": false,
		"example.org/lib": false, "example.org/lib/sub": false,
		"drpd/pkg/store/mem": true, "drpd/pkg/rest": true, "drpd/content": true, "example.org/library": true, "example.org": true,
	} {
		assert.Equal(t, refused, refusal(r, imp) != "", imp)
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	list, err := packages()
	require.NoError(t, err)
	for _, p := range list {
		name := "Package " + filepath.Base(p.ImportPath)
		command := "Command " + filepath.Base(p.ImportPath)
		assert.True(t, strings.HasPrefix(p.Doc, name+" ") || strings.HasPrefix(p.Doc, command+" "),
			"%s: its comment should begin with %q or %q, and say what it is for", p.ImportPath, name, command)
	}
}

// TestClock keeps decisions a function of their arguments: now is one.
func TestClock(t *testing.T) {
	t.Parallel()
	list, err := packages()
	require.NoError(t, err)
	fset := token.NewFileSet()
	for _, p := range list {
		if r, free := rowOf(t, p); r.clock || free {
			continue
		}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && isClock(s) {
					t.Errorf("%s: time.%s in %s, which decides and so takes now as an argument", fset.Position(s.Pos()), s.Sel.Name, p.ImportPath)
				}
				return true
			})
		}
	}
}

func isClock(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, s.Sel.Name)
}

// The generated part of .golangci.yml lies between these lines.
const (
	ruleBegin = "        # generated from the table in pkg/arch_test.go: go test ./pkg -run TestLintRules -update\n"
	ruleEnd   = "        # end of the generated part\n"
)

// TestLintRules keeps the linter's import rules the same as the table.
func TestLintRules(t *testing.T) {
	t.Parallel()
	const name = "../.golangci.yml"
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(data), ruleBegin)
	require.True(t, ok, "%s has no line %q", name, ruleBegin)
	is, tail, ok := strings.Cut(rest, ruleEnd)
	require.True(t, ok, "%s has no line %q", name, ruleEnd)
	want := lintRules()
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(head+ruleBegin+want+ruleEnd+tail), 0o644))
		return
	}
	assert.Equal(t, want, is, "run: go test ./pkg -run TestLintRules -update")
}

// lintRules words the table for depguard.
func lintRules() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		dir := strings.TrimPrefix(full(name)[0], "drpd/")
		fmt.Fprintf(&b, "        %s:\n          list-mode: lax\n          files: [\"**/%s/*.go\", \"!$test\"]\n",
			strings.ReplaceAll(dir, "/", "-"), dir)
		fmt.Fprintf(&b, "          deny: [{pkg: drpd/, desc: not in its row of the package table}]\n")
		if allow := full(rows[name].may); len(allow) > 0 {
			fmt.Fprintf(&b, "          allow: [%s$]\n", strings.Join(allow, "$, "))
		}
	}
	return b.String()
}
