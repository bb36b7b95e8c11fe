package blob

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
)

// stageDir holds files that wait for all others of theirs.
const stageDir = private + "/stage"

// journal names the files of a stage, in order, while they get their names.
const journal = "journal"

// Stage is a set of files that appear all together or not at all, also after a
// crash. It is not for concurrent use.
type Stage struct {
	d     *Dir
	at    string
	names []string
	kept  bool // what could not be undone is left to the next start
}

// NewStage begins a set of files. Whoever does so calls Close.
func (d *Dir) NewStage() (*Stage, error) {
	s := &Stage{d: d, at: stageDir + "/" + rand.Text()}
	if err := d.root.MkdirAll(s.at, dirMode); err != nil {
		return nil, fmt.Errorf("stage blobs: %w", err)
	}
	return s, nil
}

func (s *Stage) fresh(i int) string { return s.at + "/new-" + strconv.Itoa(i) }
func (s *Stage) saved(i int) string { return s.at + "/old-" + strconv.Itoa(i) }

// Put adds a file, as Dir.Put does with Bulk; nobody sees it before Publish.
func (s *Stage) Put(ctx context.Context, name string, r io.Reader, maxSize int64) (Info, error) {
	info, err := s.put(ctx, name, r, maxSize)
	if err != nil {
		return Info{}, fmt.Errorf("put blob %s: %w", name, err)
	}
	return info, nil
}

func (s *Stage) put(ctx context.Context, name string, r io.Reader, maxSize int64) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	f, err := s.d.root.OpenFile(s.fresh(len(s.names)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	s.names = append(s.names, name)
	sum, err := receive(ctx, f, r, PutOptions{MaxSize: maxSize, Bulk: true})
	if err != nil {
		return Info{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	return Info{Path: name, Size: fi.Size(), SHA256: sum, ModTime: fi.ModTime()}, nil
}

// Open opens the i-th file that was put, counted from 0.
func (s *Stage) Open(i int) (*os.File, error) { return s.d.root.Open(s.fresh(i)) }

// Publish gives all files their names, durably. If one of them cannot have its
// name, which it says, none has, and all is as it was.
func (s *Stage) Publish() (failed string, err error) {
	data, err := json.Marshal(s.names)
	if err != nil {
		return "", err
	}
	if err := s.d.root.WriteFile(s.at+"/"+journal, data, fileMode); err != nil {
		return "", err
	}
	if err := s.d.Sync(); err != nil {
		return "", err
	}
	s.d.names.Lock()
	defer s.d.names.Unlock()
	for i, name := range s.names {
		if err := s.publish(i, name); err != nil {
			return name, errors.Join(fmt.Errorf("put blob %s: %w", name, err), s.undo())
		}
	}
	if err := s.d.Sync(); err != nil {
		return "", errors.Join(err, s.undo())
	}
	if err := s.d.root.Remove(s.at + "/" + journal); err != nil {
		return "", errors.Join(err, s.undo())
	}
	return "", nil
}

// publish keeps what was there and puts the file in its place: readers see the
// one or the other.
func (s *Stage) publish(i int, name string) error {
	if err := s.d.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return err
	}
	switch was, err := s.d.root.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case was.IsDir():
		return syscall.EISDIR
	default:
		if s.d.root.Link(name, s.saved(i)) == nil {
			break
		}
		if err := s.d.root.Rename(name, s.saved(i)); err != nil { // a file system without links
			return err
		}
	}
	return s.d.root.Rename(s.fresh(i), name)
}

// undo takes the names away again from the files that have them, and gives them
// back to those that had them. Doing it again does no harm.
func (s *Stage) undo() error {
	var errs []error
	for i := len(s.names) - 1; i >= 0; i-- {
		errs = append(errs, s.undoOne(i, s.names[i]))
	}
	err := errors.Join(append(errs, s.d.Sync())...)
	s.kept = err != nil
	return err
}

func (s *Stage) undoOne(i int, name string) error {
	has := func(file string) bool { _, err := s.d.root.Lstat(file); return err == nil }
	switch {
	case has(s.saved(i)):
		return s.d.root.Rename(s.saved(i), name)
	case !has(s.fresh(i)):
		if err := s.d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		is, err := s.d.root.Lstat(dir)
		if err == nil && !is.IsDir() || err == nil && s.d.root.Remove(dir) != nil {
			break // a file, or not empty
		}
	}
	return nil
}

// Close removes what was not published.
func (s *Stage) Close() error {
	if s.kept {
		return nil
	}
	// The journal first: without its files it would say that they have names.
	err := s.d.root.Remove(s.at + "/" + journal)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.d.root.RemoveAll(s.at)
	}
	if err != nil {
		return fmt.Errorf("remove staged blobs: %w", err)
	}
	return nil
}

// recover undoes what a crash has left half published, and removes the rest.
func (d *Dir) recover() error {
	list, err := fs.ReadDir(d.root.FS(), stageDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		s := &Stage{d: d, at: stageDir + "/" + e.Name()}
		data, err := d.root.ReadFile(s.at + "/" + journal)
		if err == nil && json.Unmarshal(data, &s.names) == nil { // one that is torn was never begun
			err = s.undo()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return err
}
