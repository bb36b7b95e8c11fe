package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"

	"drpd/pkg/resource"
	"drpd/web"
)

// Where the document and the page are. DRP has its document at swagger.json,
// beside /api/v3.
const (
	DocumentPath = "/api/v3/openapi.json"
	SwaggerPath  = "/swagger.json"
	DocsPath     = "/api/v3/docs"
)

// policy lets the page load its own files and call this server, nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Pages are the document and the page that shows it, by path. They are the
// same for everybody and ask for no credentials.
func Pages(kinds []resource.Any) (map[string]http.Handler, error) {
	d, err := New(kinds)
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the description of the API: %w", err)
	}
	doc := page("openapi.json", data)
	out := map[string]http.Handler{DocumentPath: doc, SwaggerPath: doc}
	files, err := fs.ReadDir(web.FS, web.Docs)
	if err != nil {
		return nil, fmt.Errorf("list the files of the API page: %w", err)
	}
	for _, f := range files {
		data, err := web.FS.ReadFile(path.Join(web.Docs, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read %s of the API page: %w", f.Name(), err)
		}
		at := DocsPath + "/" + f.Name()
		if f.Name() == "index.html" {
			at = DocsPath
		}
		out[at] = page(f.Name(), data)
	}
	return out, nil
}

// page serves bytes that change only with the program.
func page(name string, data []byte) http.Handler {
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	typ := mime.TypeByExtension(path.Ext(name))
	if typ == "" || path.Ext(name) == ".json" {
		typ = "application/json"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", typ)
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
}
