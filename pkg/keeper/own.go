//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Own gives a directory and all in it to a user. Whoever could write in it may
// have put links there: no symbolic link is followed, and a file that has
// another name besides is left, as it may be anybody's.
func Own(dir string, as Account) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("data directory: %w", &fs.PathError{Op: "open", Path: dir, Err: err})
	}
	return own(root, dir, as)
}

// own takes over the descriptor of a directory entry.
func own(fd int, path string, as Account) error {
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if (int(st.Uid) != as.UID || int(st.Gid) != as.GID) && (dir || st.Nlink == 1) {
		if err := unix.Fchownat(fd, "", as.UID, as.GID, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("give %s to user %s: %w", path, as.Name, err)
		}
	}
	if !dir {
		return nil
	}
	list, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return err
	}
	for _, e := range list {
		at := filepath.Join(path, e.Name())
		next, err := unix.Openat(fd, e.Name(), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue // it has gone meanwhile
		}
		if err != nil {
			return &fs.PathError{Op: "open", Path: at, Err: err}
		}
		if err := own(next, at, as); err != nil {
			return err
		}
	}
	return nil
}

// OwnerOf is who a directory belongs to.
func OwnerOf(dir string) (Account, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return Account{}, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	return Account{Name: fmt.Sprint(st.Uid), UID: int(st.Uid), GID: int(st.Gid)}, nil
}

// Reach refuses a path that this user may not get to, and names the directory
// that is in the way. What is not there at all is left to who wants it.
func Reach(flag, path string) error {
	if path == "" {
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := readable(path); !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	for up := filepath.Dir(path); ; up = filepath.Dir(up) {
		if unix.Access(up, unix.X_OK) == nil || filepath.Dir(up) == up {
			return fmt.Errorf("%s %s: user %d may not read it; give it to that user: chown %d %s", flag, path, os.Geteuid(), os.Geteuid(), path)
		}
		if over := filepath.Dir(up); unix.Access(over, unix.X_OK) == nil {
			return fmt.Errorf("%s %s: user %d may not go through %s; let it (chmod o+x %s), move it, or start with --user NAME of one who may", flag, path, os.Geteuid(), up, up)
		}
	}
}

func readable(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
