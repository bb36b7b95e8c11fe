package openapi

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/web"
)

func get(h http.Handler, path string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	t.Parallel()
	pages, err := Pages(kinds())
	require.NoError(t, err)
	for path, want := range map[string]string{
		DocumentPath: "application/json", SwaggerPath: "application/json", DocsPath: "text/html; charset=utf-8",
		DocsPath + "/app.js": "text/javascript; charset=utf-8", DocsPath + "/style.css": "text/css; charset=utf-8",
	} {
		require.Contains(t, pages, path)
		w := get(pages[path], path)
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Equal(t, want, w.Header().Get("Content-Type"), path)
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe", path)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
		assert.Equal(t, http.StatusNotModified, get(pages[path], path, "If-None-Match", w.Header().Get("ETag")).Code, path)
	}
	assert.Len(t, pages, 5)
	var d Document
	require.NoError(t, json.Unmarshal(get(pages[DocumentPath], DocumentPath).Body.Bytes(), &d))
	assert.Equal(t, "3.1.0", d.OpenAPI)
}

var (
	external = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`)
	storage  = regexp.MustCompile(`localStorage|sessionStorage|indexedDB|document\.cookie|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`)
	linked   = regexp.MustCompile(`(?:href|src)="([^"#]+)"`)
)

// The page loads nothing from elsewhere, keeps nothing, and makes no HTML of
// what servers answer.
func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	pages, err := Pages(kinds())
	require.NoError(t, err)
	files, err := fs.ReadDir(web.FS, web.Docs)
	require.NoError(t, err)
	for _, f := range files {
		data, err := web.FS.ReadFile(path.Join(web.Docs, f.Name()))
		require.NoError(t, err)
		assert.Empty(t, external.FindString(string(data)), f.Name())
		assert.Empty(t, storage.FindString(string(data)), f.Name())
		assert.LessOrEqual(t, strings.Count(string(data), "replaceChildren("), 1, "of a list that function makes [object HTMLElement]: use fillWith")
		assert.NotContains(t, string(data), "style=\"", f.Name(), "the policy refuses it")
		for _, m := range linked.FindAllStringSubmatch(string(data), -1) {
			if strings.HasSuffix(f.Name(), ".html") && m[1] != "data:," { // no icon, and no request for one
				assert.Contains(t, pages, path.Join(path.Dir(DocsPath), m[1]), f.Name())
			}
		}
	}
}
