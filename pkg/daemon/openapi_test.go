package daemon

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/openapi"
)

// part is one of a path that stands for many.
var part = regexp.MustCompile(`:[a-z]+|\*|\{[a-z]+\}`)

func plainPath(p string) string { return part.ReplaceAllString(p, "{}") }

// served has the routes below /api/v3 as "METHOD path", with each operation
// by its name where the router has one route for all of a kind.
func served(e *echo.Echo, d *Daemon) map[string]bool {
	set := map[string]bool{}
	for _, r := range e.Routes() {
		p, ok := strings.CutPrefix(r.Path, "/api/v3")
		if !ok || r.Method == echo.RouteNotFound || strings.HasPrefix(p, "/docs") {
			continue // not of the API, or its page
		}
		kind, named := strings.CutSuffix(p, "/:id/:verb")
		if !named {
			set[r.Method+" "+plainPath(p)] = true
			continue
		}
		if r.Method == http.MethodPost {
			for verb := range d.verbs() {
				if of, name, _ := strings.Cut(verb, "/"); "/"+of == kind {
					set["POST "+kind+"/{}/"+name] = true
				}
			}
		}
	}
	return set
}

// The document has the routes that are served, no more and no fewer.
func TestDocumentHasTheRoutesThatAreServed(t *testing.T) {
	t.Parallel()
	d, err := Open(t.Context(), Config{DataDir: t.TempDir(), Database: InMemory, APIAddr: "127.0.0.1:0", FileAddr: "127.0.0.1:0", TFTPAddr: "off"})
	require.NoError(t, err)
	defer d.Close()
	s, err := d.listen()
	require.NoError(t, err)
	defer s.close()
	e, ok := s.handler.(*echo.Echo)
	require.True(t, ok, "the handler is the router")
	doc, err := openapi.New(d.DB.Kinds())
	require.NoError(t, err)
	has := map[string]bool{}
	for path, methods := range doc.Paths {
		for method := range methods {
			has[strings.ToUpper(method)+" "+plainPath(path)] = true
		}
	}
	want := served(e, d)
	assert.Greater(t, len(want), 500)
	for route := range has {
		assert.True(t, want[route], "%s is in the document, but is not served: remove it from pkg/openapi", route)
	}
	for route := range want {
		assert.True(t, has[route], "%s is served, but the document lacks it: add it to pkg/openapi", route)
	}
	is, err := json.Marshal(doc)
	require.NoError(t, err)
	golden, err := os.ReadFile("../../docs/openapi.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(golden), string(is), "the kinds in the tests of package openapi are not those of the server")
}
