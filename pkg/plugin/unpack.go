//go:build linux

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"drpd/pkg/api"
	"drpd/pkg/blob"
	"drpd/pkg/resource"
)

// unpack serves the files that a program brings, instead of those it brought.
func (s *Supervisor) unpack(ctx context.Context, name, program string) error {
	var files []*api.File
	_, err := s.ask(ctx, name, program, func(dir *os.Root, user int) (err error) {
		files, err = s.collect(ctx, FilesOf(name), dir, user)
		return err
	}, "unpack")
	if err != nil {
		return resource.Errorf(resource.Invalid, api.PluginProviders.Name, name, "it is loaded, but its files are not: %v", err)
	}
	keep := map[string]bool{}
	for _, f := range files {
		keep[f.Path] = true
	}
	if err := s.clear(ctx, name, keep); err != nil {
		return err
	}
	return s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		for _, f := range files {
			if err := api.Files.Put(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// collect keeps the regular files of a folder, which the program may have
// filled as it liked: no link is followed out of it.
func (s *Supervisor) collect(ctx context.Context, under string, root *os.Root, user int) ([]*api.File, error) {
	left, out := int64(maxUnpack), []*api.File{}
	err := fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if len(out) == maxFilesOf || left <= 0 {
			return fmt.Errorf("more than %d files or %d bytes", maxFilesOf, int64(maxUnpack))
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := theirs(f, user); err != nil {
			return err
		}
		at := under + filepath.ToSlash(name)
		info, err := s.cfg.Blobs.Put(ctx, at, f, blob.PutOptions{MaxSize: left, Bulk: true})
		left -= info.Size
		out = append(out, &api.File{Path: at, Size: info.Size, SHA256: info.SHA256})
		return err
	})
	return out, errors.Join(err, s.cfg.Blobs.Sync())
}

// theirs refuses a file that the program only linked to: the server may read
// what the program may not.
func theirs(f *os.File, user int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink != 1 || int(st.Uid) != user {
		return fmt.Errorf("file %s is a link, or not the program's own", f.Name())
	}
	return nil
}

// clear removes the files of a provider but those to keep.
func (s *Supervisor) clear(ctx context.Context, name string, keep map[string]bool) error {
	list, err := s.cfg.Blobs.List(ctx, FilesOf(name))
	if err != nil {
		return err
	}
	err = s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		for _, b := range list {
			if !keep[b.Path] && api.Files.Has(tx, b.Path) {
				if err := api.Files.Delete(tx, b.Path); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, b := range list {
		if !keep[b.Path] {
			err = errors.Join(err, s.cfg.Blobs.Remove(b.Path))
		}
	}
	return err
}
