package pxe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// MediaRoot is where Open has the contents of media: the rest of the name is
// the path in the static tree, as api.BootEnv.MediaDir lays it out.
const MediaRoot = "media/"

// stored opens what lies in files: uploads, media, the client programs. It
// matches ErrNotFound if there is none of that name.
func (s *Server) stored(r resource.Reader, name string) (*os.File, error) {
	missing := fmt.Errorf("%s: %w", name, ErrNotFound)
	at := name
	switch {
	case strings.HasPrefix(name, "files/"), strings.HasPrefix(name, "isos/"):
	case onMedium(r, name):
		at = MediaRoot + name
	default:
		return nil, missing
	}
	f, err := s.cfg.Open(at)
	if errors.Is(err, fs.ErrNotExist) && s.tool(name) != "" {
		f, err = os.Open(s.tool(name))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s is not a regular file: %w", name, ErrNotFound)
	}
	return f, nil
}

// onMedium says whether a path is below the directory of some boot
// environment's system.
func onMedium(r resource.Reader, name string) bool {
	for i := range name {
		if name[i] != '/' || i == 0 {
			continue
		}
		for env := range api.BootEnvs.By(r, "OsName", name[:i]) {
			if env.HasMedium() {
				return true
			}
		}
	}
	return false
}

// tool is where a client program lies that every join script downloads, "" if
// there is none: drpcli.<arch>.<os> beside this server, or drpcli itself for
// this server's own system, also under the name jq.
func (s *Server) tool(name string) string {
	base, ok := strings.CutPrefix(name, "files/")
	if !ok || s.cfg.Tools == "" || path.Base(base) != base {
		return ""
	}
	own := "drpcli." + runtime.GOARCH + "." + runtime.GOOS
	candidates := []string{base}
	switch {
	case base == "jq": // drpcli is jq under that name, and needs no libraries
		candidates = []string{own, "drpcli"}
	case base == own:
		candidates = append(candidates, "drpcli")
	case !strings.HasPrefix(base, "drpcli."):
		return ""
	}
	for _, c := range candidates {
		p := filepath.Join(s.cfg.Tools, c)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}
