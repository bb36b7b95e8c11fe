package rest

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// UploadReply is the answer to an upload.
type UploadReply struct {
	Path string
	Size int64
}

// blobRoutes adds files and logs: those that carry bulk data have no time limit.
func (s *server) blobRoutes(bulk, g *echo.Group) {
	if k := s.kinds[api.Jobs.Name]; k != nil {
		h := &kindServer{s, k}
		bulk.PUT("/jobs/:id/log", h.appendLog)
		bulk.GET("/jobs/:id/log", h.readLog)
		bulk.HEAD("/jobs/:id/log", h.readLog)
	}
	bulk.GET("/debug/:profile", s.profile)
	k := s.kinds[api.Files.Name]
	if k == nil {
		return
	}
	h := &kindServer{s, k}
	for _, area := range []string{"files", "isos"} {
		up := func(f func(echo.Context, string) error) echo.HandlerFunc {
			return func(c echo.Context) error {
				name, err := blobName(area, c.Param("*"))
				if err != nil {
					return err
				}
				return f(c, name)
			}
		}
		bulk.POST("/"+area+"/*", up(h.upload))
		bulk.GET("/"+area+"/*", up(h.download))
		bulk.HEAD("/"+area+"/*", up(h.download))
		g.DELETE("/"+area+"/*", up(h.removeFile))
	}
	g.GET("/isos", h.listISOs)
	g.HEAD("/isos", h.listISOs)
}

// blobName is the key of a file object and the name of its blob.
func blobName(area, rest string) (string, error) {
	name := area + "/" + strings.TrimPrefix(rest, "/")
	if err := blob.CheckName(name); err != nil {
		return "", blobError(resource.Malformed, name, "%v", err)
	}
	return name, nil
}

// blobError names the file as DRP does: an area and a path from its root.
func blobError(code resource.Code, name, format string, args ...any) error {
	area, rest, _ := strings.Cut(name, "/")
	return resource.Errorf(code, area, "/"+rest, format, args...)
}

// noBlob words, as DRP does, that there is no such file.
func noBlob(err error, name, text string) error {
	if errors.Is(err, fs.ErrNotExist) || resource.CodeOf(err) == resource.NotFound {
		return blobError(resource.NotFound, name, "%s", text)
	}
	return err
}

func (h *kindServer) download(c echo.Context, name string) error {
	if err := allow(c, h.kind.KindName(), "get", name); err != nil {
		return noBlob(fs.ErrNotExist, name, "Not a regular file")
	}
	f, err := h.cfg.Blobs.Open(name)
	if err != nil {
		return noBlob(err, name, "Not a regular file")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := c.Response().Header()
	head.Set(echo.HeaderContentType, octets)
	if o, err := api.Files.Get(h.cfg.DB.View(), name); err == nil {
		head.Set("X-DRP-SHA256SUM", o.SHA256)
		head.Set("ETag", `"SHA256:`+o.SHA256+`"`)
	}
	return serveBytes(c, info.Size(), info.ModTime(), f)
}

// removeFile removes the object first: what has no object is not promised.
func (h *kindServer) removeFile(c echo.Context, name string) error {
	if err := allow(c, h.kind.KindName(), "delete", name); err != nil {
		return err
	}
	if !h.uploads.add(name) {
		return inUse(name)
	}
	defer h.uploads.remove(name)
	var gone api.File
	err := h.cfg.DB.Update(c.Request().Context(), func(tx *resource.Tx) error {
		f, err := api.Files.Get(tx, name)
		if err != nil {
			return err
		}
		gone = *f
		return api.Files.Delete(tx, name)
	})
	if err != nil {
		return noBlob(err, name, "Unable to delete")
	}
	if err := h.cfg.Blobs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.JSON(http.StatusOK, gone)
}

func (h *kindServer) listISOs(c echo.Context) error {
	if wantsNames(c) {
		return h.listFolder(c, "isos")
	}
	r := c.Request().Clone(c.Request().Context())
	q := r.URL.Query()
	q.Add("Path", "Re(^isos/)")
	r.URL.RawQuery = q.Encode()
	only := c.Echo().NewContext(r, c.Response())
	only.Set(identityKey, identity(c))
	return h.list(only)
}

// wantsNames says whether a list of files shall be one of names: that is what
// DRP's clients decode. Whoever filters, sorts or counts gets objects.
func wantsNames(c echo.Context) bool {
	for name := range c.QueryParams() {
		if name != "path" && name != "all" && name != "token" {
			return false
		}
	}
	return c.Request().Method == http.MethodGet
}

// listFolder names what is in one folder, folders with a slash at the end;
// with ?all=true it names the files of all folders below it instead.
func (h *kindServer) listFolder(c echo.Context, area string) error {
	under := strings.Trim(path.Clean("/"+c.QueryParam("path")), "/")
	prefix := area + "/"
	if under != "" {
		prefix += under + "/"
	}
	id, seen, out, all := identity(c), map[string]bool{}, []string{}, c.QueryParam("all") == "true"
	for f := range api.Files.All(h.cfg.DB.View()) {
		rest, ok := strings.CutPrefix(f.Path, prefix)
		if !ok || !id.Allow(h.kind.KindName(), "list", f.Path) {
			continue
		}
		if dir, _, deeper := strings.Cut(rest, "/"); deeper && !all {
			rest = dir + "/"
		}
		if !seen[rest] {
			seen[rest] = true
			out = append(out, rest)
		}
	}
	return c.JSON(http.StatusOK, out)
}

// nameSet holds names that somebody works on.
type nameSet struct {
	mu    sync.Mutex // guards names
	names map[string]bool
}

func newNameSet() *nameSet { return &nameSet{names: map[string]bool{}} }

func (n *nameSet) add(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[name] {
		return false
	}
	n.names[name] = true
	return true
}

func (n *nameSet) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.names, name)
}
