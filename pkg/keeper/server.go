//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// UserName is the system's user that a server becomes, if there is one of that
// name.
const UserName = "drpd"

// ServerConfig says how a keeper starts its server.
type ServerConfig struct {
	User    string // name or number; "": UserName, else ServerUser; root: the server stays root
	Args    []string
	DataDir string
	// Ours refuses a directory that is not the server's alone: all in it is given
	// to its user.
	Ours func(dir string) error
	Caps []uintptr // capabilities that the server keeps
	Log  *slog.Logger
}

// Account is a user of the system by numbers.
type Account struct {
	Name     string
	UID, GID int
}

// Lookup finds the user that a server shall become.
func Lookup(name string) (Account, error) {
	byName, err := user.Lookup(cmpOr(name, UserName))
	if err != nil {
		n, numErr := strconv.Atoi(name)
		switch {
		case name == "":
			return Account{Name: strconv.Itoa(ServerUser), UID: ServerUser, GID: ServerUser}, nil
		case numErr != nil || n < 0:
			return Account{}, fmt.Errorf("--user %s: %w (name a user, or the number of one)", name, err)
		}
		if byName, err = user.LookupId(name); err != nil {
			return Account{Name: name, UID: n, GID: n}, nil
		}
	}
	uid, err1 := strconv.Atoi(byName.Uid)
	gid, err2 := strconv.Atoi(byName.Gid)
	return Account{Name: byName.Username, UID: uid, GID: gid}, errors.Join(err1, err2)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Run starts the server as its user, serves it as its keeper, and returns its
// exit status. Each of both ends with the other, however that ends.
func Run(cfg ServerConfig) (int, error) {
	if err := keepIn(3); err != nil { // before anything is opened or started
		return 1, err
	}
	as, err := Lookup(cfg.User)
	if err != nil {
		return 1, err
	}
	dir, err := Prepare(cfg.DataDir, as, cfg.Ours)
	if err != nil {
		return 1, err
	}
	if as.UID == 0 {
		cfg.Log.Warn("the server stays root, with all its rights: leave out --user root")
	} else {
		cfg.Log.Info("the server drops to its own user", "user", as.Name, "uid", as.UID)
	}
	conn, there, err := pair()
	if err != nil {
		return 1, err
	}
	cmd, prepare := cfg.command(as, dir, there)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	ended, err := start(cmd, syscall.SIGKILL, prepare)
	_ = there.Close()
	if err != nil {
		return 1, fmt.Errorf("start the server as user %s: %w", as.Name, err)
	}
	cells := NewDirect(Config{Group: as.GID, Hide: []string{dir}})
	go serve(cells, conn) // ends with the server
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // an error says that it has ended
		case err := <-ended:
			cells.CloseAll()
			return status(err)
		}
	}
}

// command is the server, and what its starter's thread has to be first.
func (c ServerConfig) command(as Account, dir string, socket *os.File) (*exec.Cmd, func() error) {
	cmd := exec.Command(self, c.Args[1:]...)
	cmd.Args[0] = c.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return as.UID != 0 && len(e) > 5 && e[:5] == "HOME=" }), envSocket+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if as.UID == 0 {
		return cmd, func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
	}
	cmd.Env = append(cmd.Env, "HOME="+dir)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(as.UID), Gid: uint32(as.GID)}
	cmd.SysProcAttr.AmbientCaps = c.Caps
	return cmd, func() error {
		for n := range uintptr(unix.CAP_LAST_CAP + 1) {
			if slices.Contains(c.Caps, n) {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("give up capability %d: %w", n, err)
			}
		}
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
}

// status is what the keeper exits with: like a shell, 128 and the number of a
// signal that ended the server.
func status(err error) (int, error) {
	e, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0, nil
	case !ok:
		return 1, err
	}
	if w, ok := e.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return e.ExitCode(), nil
}

// Prepare makes a data directory that belongs to a user, who alone may open it,
// and returns its whole path. One that is not ours stays as it is.
func Prepare(dir string, as Account, ours func(dir string) error) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data directory: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	if err := ours(dir); err != nil {
		return "", err
	}
	if err := notOthers(dir, as); err != nil {
		return "", err
	}
	if err := Own(dir, as); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o700)
}

// notOthers refuses a directory that the server would take from somebody: another
// user's, or one that is shared by all, though nothing is in it now.
func notOthers(dir string, as Account) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("data directory: %w", &fs.PathError{Op: "stat", Path: dir, Err: err})
	}
	switch uid := int(st.Uid); {
	case st.Mode&unix.S_ISVTX != 0:
		return fmt.Errorf("the data directory %s is one that users share (mode %04o): name one of the server's own with --data-dir", dir, st.Mode&0o7777)
	case as.UID != 0 && uid != 0 && uid != as.UID && uid != ServerUser:
		return fmt.Errorf("the data directory %s belongs to user %d: name another with --data-dir, start the server as that user, or give it to %s: chown -R %d:%d %s", dir, uid, as.Name, as.UID, as.GID, dir)
	}
	return nil
}

// KeepToSelf takes the capabilities that this process has from programs that it
// will start.
func KeepToSelf() error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
