package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"drpd/pkg/atomicfile"
)

// What a restore that is under way, or was killed, leaves: a folder that it
// fills, and one whose content moves to its place.
const (
	unfinished = ".restore-"
	moving     = ".restore-moving"
)

// place is where a restore goes. A folder that is not there is filled beside and
// gets its name when it is whole. One that is there stays what it is (a volume's
// root, somebody's, below a folder that this user may not write): it is filled
// inside, and then what is in it moves, the identity last. Until that is there
// no server starts on it, and another restore begins anew.
type place struct {
	dir   string
	there bool
	lock  *os.File // keeps a second restore away; nil if the folder is not there
}

// openPlace refuses what is not empty, not ours or in use.
func openPlace(dir string) (*place, error) {
	p := &place{dir: filepath.Clean(dir)}
	to, err := filepath.EvalSymlinks(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if !absent(p.dir) {
			return nil, fmt.Errorf("restore: %s is a link to nowhere", dir)
		}
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	p.dir, p.there = to, true
	info, err := os.Stat(to)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return nil, fmt.Errorf("restore: %s is no directory: name an empty one", dir)
	case st != nil && !mayGive(os.Geteuid(), int(st.Uid)):
		return nil, fmt.Errorf("restore: %s belongs to user %d: run it as that user or as root", dir, st.Uid)
	}
	if p.lock, err = lockPath(to); err != nil {
		return nil, fmt.Errorf("restore to %s: %w", dir, err)
	}
	if err := p.mustBeEmpty(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() {
	if p.lock != nil {
		p.lock.Close()
	}
}

// mayGive says whether a user may leave files to the owner of a folder.
func mayGive(user, owner int) bool { return user == 0 || user == owner }

var errLocked = errors.New("another drpd restore or backup is at work there")

// lockPath locks a folder or file until the file is closed, or its process ends.
func lockPath(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mustBeEmpty lets pass what a restore left that was killed.
func (p *place) mustBeEmpty() error {
	names, err := foreign(p.dir)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	half := halfMoved(p.dir)
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, unfinished) || half && ofRestore(n) })
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > 5 {
		more = fmt.Sprintf(" and %d more", len(names)-5)
	}
	return fmt.Errorf("restore: %s is not empty (%s%s): name an empty directory", p.dir, strings.Join(names[:min(5, len(names))], ", "), more)
}

// halfMoved says that a restore into the folder was killed while its parts moved
// to their places: they are no server's yet. The identity, which moves last, still
// waits then. Without it in either place, the parts are a server's that lost it.
func halfMoved(dir string) bool {
	return !absent(filepath.Join(dir, moving, PartIdentity)) && absent(filepath.Join(dir, PartIdentity))
}

// errHalfMoved is why nothing starts on such a folder.
func errHalfMoved(dir string) error {
	return fmt.Errorf("a restore into %s was cut short: run it again, drpd restore FILE --data-dir %s", dir, dir)
}

// ofRestore says whether a restore makes a file or folder of that name.
func ofRestore(name string) bool { return name == AuditDir || slices.Contains(Parts(), name) }

// clear removes what killed restores left.
func (p *place) clear() error {
	if p.there {
		list, err := os.ReadDir(p.dir)
		half := halfMoved(p.dir)
		for _, e := range list {
			if n := e.Name(); n != moving && (strings.HasPrefix(n, unfinished) || half && ofRestore(n)) {
				err = errors.Join(err, os.RemoveAll(filepath.Join(p.dir, n)))
			}
		}
		if err != nil { // what says so goes last
			return err
		}
		return os.RemoveAll(filepath.Join(p.dir, moving))
	}
	parent := filepath.Dir(p.dir)
	list, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(parent, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), p.prefix()) {
			continue
		}
		lock, err := lockPath(path)
		if err != nil { // one that is under way
			continue
		}
		err = os.RemoveAll(path)
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// prefix is how the folders begin that are filled beside the wanted one.
func (p *place) prefix() string { return unfinished + filepath.Base(p.dir) + "-" }

// fill has a folder filled, and puts it where it is wanted.
func (p *place) fill(ctx context.Context, fn func(ctx context.Context, dir string) error) error {
	in, prefix := p.dir, unfinished
	if !p.there {
		in, prefix = filepath.Dir(p.dir), p.prefix()
		if err := os.MkdirAll(in, 0o755); err != nil {
			return err
		}
	}
	if err := p.clear(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(in, prefix)
	if err != nil {
		return err
	}
	defer func() { os.RemoveAll(tmp) }()
	lock, err := lockPath(tmp)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := fn(ctx, tmp); err != nil {
		return err
	}
	if p.there {
		return p.moveIn(tmp)
	}
	if err := os.Rename(tmp, p.dir); err != nil {
		return err
	}
	return atomicfile.SyncDir(in)
}

// moveIn moves the parts from a folder inside to their places.
func (p *place) moveIn(tmp string) error {
	if err := p.own(tmp); err != nil {
		return err
	}
	list, err := os.ReadDir(tmp)
	if err != nil {
		return err
	}
	if err := p.mustBeEmpty(); err != nil { // somebody may have been faster
		return err
	}
	if err := private(p.dir); err != nil {
		return err
	}
	from := filepath.Join(p.dir, moving)
	if err := errors.Join(os.Rename(tmp, from), atomicfile.SyncDir(p.dir)); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b os.DirEntry) int {
		return boolInt(a.Name() == PartIdentity) - boolInt(b.Name() == PartIdentity)
	})
	for _, e := range list {
		if e.Name() == PartIdentity { // all others are there for good first
			if err := atomicfile.SyncDir(p.dir); err != nil {
				return err
			}
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(p.dir, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(atomicfile.SyncDir(p.dir), os.RemoveAll(from))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// own gives what was unpacked to the owner of the folder.
func (p *place) own(tmp string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(p.dir, &st); err != nil || os.Geteuid() != 0 || st.Uid == 0 {
		return err
	}
	return filepath.WalkDir(tmp, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(st.Uid), int(st.Gid))
	})
}
