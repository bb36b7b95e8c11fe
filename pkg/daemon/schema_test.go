package daemon_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/openapi"
)

// described finds the schemas of operations in the committed document.
type described struct {
	doc      openapi.Document
	compiler *jsonschema.Compiler
}

func readDocument(t *testing.T) described {
	t.Helper()
	data, err := os.ReadFile("../../docs/openapi.json")
	require.NoError(t, err)
	var d described
	require.NoError(t, json.Unmarshal(data, &d.doc))
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	require.NoError(t, err)
	d.compiler = jsonschema.NewCompiler()
	d.compiler.AssertFormat()
	require.NoError(t, d.compiler.AddResource("mem:///openapi.json", raw))
	return d
}

// check holds a reply against the schema that the document has for it.
func (d described) check(t *testing.T, method, path, status string, reply []byte) {
	t.Helper()
	at := "mem:///openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) +
		"/" + method + "/responses/" + status + "/content/application~1json/schema"
	s, err := d.compiler.Compile(at)
	require.NoError(t, err, path)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(reply)))
	require.NoError(t, err, path)
	assert.NoError(t, s.Validate(v), "%s %s", method, path)
}

// Whatever can be read without naming an object is as the document says, and
// the examples can be created as they are.
func TestRepliesAreAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	_, c, _ := server(t, t.TempDir())
	d := readDocument(t)
	for _, path := range []string{"/params", "/profiles", "/tasks", "/stages", "/workflows", "/blueprints", "/machines", "/pools", "/subnets", "/reservations",
		"/roles", "/users", "/work_orders"} {
		sample := d.doc.Paths[path]["post"].RequestBody.Content["application/json"].Example
		require.NotNil(t, sample, path)
		var made json.RawMessage
		_, err := c.Do(t.Context(), http.MethodPost, path, nil, sample, &made)
		require.NoError(t, err, path)
		d.check(t, "post", path, "201", made)
	}
	n := 0
	for path, methods := range d.doc.Paths {
		op := methods["get"]
		if op == nil || strings.Contains(path, "{") || op.Responses["200"].Content["application/json"].Schema == nil || path == "/engine/waits" {
			continue
		}
		var reply json.RawMessage
		_, err := c.Do(t.Context(), http.MethodGet, path, nil, nil, &reply)
		require.NoError(t, err, path)
		d.check(t, "get", path, "200", reply)
		n++
	}
	assert.Greater(t, n, 40)
}
