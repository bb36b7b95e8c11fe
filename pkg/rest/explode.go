package rest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
	"drpd/pkg/unpack"
)

// explode unpacks an uploaded archive beside itself. It reads the archive
// twice: what would be refused halfway is refused before anything is written.
func (h *kindServer) explode(c echo.Context, name string) error {
	x := &explosion{h: h, ctx: c.Request().Context(), dir: path.Dir(name), left: h.cfg.UploadLimit}
	defer func() {
		for _, n := range x.names {
			h.uploads.remove(n)
		}
	}()
	err := x.each(name, func(i unpack.Item) error { return x.check(c, name, i) })
	if err != nil {
		return refusedArchive(name, err)
	}
	if err := x.unpack(name); err != nil {
		return refusedArchive(name, err)
	}
	return x.record()
}

// unpack puts all files beside, then gives them their names: all or none.
func (x *explosion) unpack(name string) (err error) {
	if x.stage, err = x.h.cfg.Blobs.NewStage(); err != nil {
		return err
	}
	defer func() {
		if left := x.stage.Close(); left != nil {
			x.h.cfg.Log.Warn("parts of an archive are left until the next start", "archive", name, "err", left)
		}
	}()
	if err := x.each(name, x.file); err != nil {
		return err
	}
	for _, l := range x.links {
		if err := x.link(l); err != nil {
			return err
		}
	}
	if failed, err := x.stage.Publish(); err != nil {
		return putError(cmp.Or(failed, name), err)
	}
	return nil
}

// explosion is one archive being unpacked.
type explosion struct {
	h     *kindServer
	ctx   context.Context
	dir   string
	left  int64    // bytes that may still be written
	names []string // in hand
	stage *blob.Stage
	links []unpack.Item
	done  []*api.File // by their place in stage
}

func (x *explosion) each(name string, fn func(unpack.Item) error) error {
	f, err := x.h.cfg.Blobs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack.Each(x.ctx, f, unpack.Limits{Bytes: x.h.cfg.UploadLimit}, fn)
}

// check takes a name in hand if the caller may write it, and reads the file to
// its end.
func (x *explosion) check(c echo.Context, archive string, i unpack.Item) error {
	at := path.Join(x.dir, i.Path)
	if at == archive {
		return resource.Errorf(resource.Invalid, "files", archive, "the archive holds a file of its own name")
	}
	if err := blob.CheckName(at); err != nil {
		return resource.Errorf(resource.Invalid, "files", archive, "%v", err)
	}
	if err := allow(c, x.h.kind.KindName(), "create", at); err != nil {
		return err
	}
	if !x.h.uploads.add(at) {
		return resource.Errorf(resource.Conflict, "files", at, "is twice in the archive, or being uploaded or removed by someone else")
	}
	x.names = append(x.names, at)
	if i.Body == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, i.Body)
	return err
}

func (x *explosion) file(i unpack.Item) error {
	if i.Body == nil {
		x.links = append(x.links, i)
		return nil
	}
	return x.put(path.Join(x.dir, i.Path), i.Body)
}

func (x *explosion) put(at string, body io.Reader) error {
	info, err := x.stage.Put(x.ctx, at, body, max(x.left, 1))
	if err != nil {
		return putError(at, err)
	}
	x.left -= info.Size
	x.done = append(x.done, &api.File{Path: at, Size: info.Size, SHA256: info.SHA256})
	return nil
}

// link copies what a link leads to, for files have no links. One to a
// directory, to nothing or out of the archive is left out.
func (x *explosion) link(i unpack.Item) error {
	at := path.Join(x.dir, i.Path)
	to := path.Join(path.Dir(i.Path), i.Link)
	n := slices.IndexFunc(x.done, func(f *api.File) bool { return f.Path == path.Join(x.dir, to) })
	if path.IsAbs(i.Link) || blob.CheckName(to) != nil || n < 0 {
		x.h.cfg.Log.Warn("link of an archive left out", "link", at, "to", i.Link)
		return nil
	}
	f, err := x.stage.Open(n)
	if err != nil {
		return err
	}
	defer f.Close()
	return x.put(at, f)
}

// record makes the objects of all files that were written.
func (x *explosion) record() error {
	for part := range slices.Chunk(x.done, 256) {
		err := x.h.cfg.DB.Update(context.WithoutCancel(x.ctx), func(tx *resource.Tx) error {
			for _, f := range part {
				if err := api.Files.Put(tx, f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// refusedArchive words why an archive was not unpacked.
func refusedArchive(name string, err error) error {
	var own *resource.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, unpack.ErrLimit), errors.Is(err, blob.ErrTooLarge):
		return failf(http.StatusRequestEntityTooLarge, "TooLarge", "%s is stored, but not unpacked: %v", name, err)
	case errors.Is(err, unpack.ErrFormat):
		return resource.Errorf(resource.Invalid, "files", name, "stored, but not unpacked: %v", err)
	}
	return resource.Errorf(resource.Unavailable, "files", name, "stored, but not unpacked: %v", err)
}
