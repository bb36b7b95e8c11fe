//go:build linux

// Package child runs programs that belong to the server and end with it: each
// in a session of its own, without rights, and nothing of it is left behind.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Path is where programs look for others.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const (
	grace   = 5 * time.Second // for a process to end by itself
	keepLog = 2048            // bytes of a process's last words
)

// Confine gives a command that was not started yet a session of its own, lets
// it end with the server, and takes from it what rights the server has: it
// becomes the user with that number.
func Confine(cmd *exec.Cmd, user int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = grace
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
}

// Own gives files to the user that Confine makes of a process.
func Own(user int, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var errs []error
	for _, p := range paths {
		errs = append(errs, os.Chown(p, user, user))
	}
	return errors.Join(errs...)
}

// Start starts a process that never gains rights, nor do those that it starts;
// ended receives how it ended.
func Start(cmd *exec.Cmd) (ended <-chan error, err error) {
	began, over := make(chan error, 1), make(chan error, 1)
	go run(cmd, began, over) // ends with the process, which its starter sees to
	return over, <-began
}

// run starts the process and waits for it on one thread: the kernel tells the
// process that its parent died when the thread ends that started it. What the
// thread may not gain the process may not from its first instruction on, in all
// of its threads, which it could not bring about itself: a thread speaks for
// itself and those that it makes. The thread is never unlocked, so that it ends
// with run and serves nobody else.
func run(cmd *exec.Cmd, began, over chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() { // it never ends; while we hold it, others get another
		defer runtime.UnlockOSThread()
		var elsewhere sync.WaitGroup
		elsewhere.Go(func() { run(cmd, began, over) })
		elsewhere.Wait()
		return
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		began <- fmt.Errorf("forbid new privileges: %w", err)
		return
	}
	err := cmd.Start()
	began <- err
	if err == nil {
		over <- cmd.Wait()
	}
}

// End asks a process to end and, if it does not, makes it.
func End(p *os.Process, ended <-chan error) {
	_ = p.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-ended:
	case <-time.After(grace):
		_ = p.Kill()
		<-ended
	}
}

// Reap kills what a process that ended has left in its session.
func Reap(session int) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return
	}
	for _, path := range all {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; after it come state, parent,
		// group and session.
		_, rest, _ := strings.Cut(string(data[bytes.LastIndexByte(data, ')')+1:]), " ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 3 && fields[3] == strconv.Itoa(session) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TempDir makes a directory for a process in dir. Its name holds the server's
// process id after prefix, so that Sweep knows whose it was.
func TempDir(dir, prefix string) (string, error) {
	return os.MkdirTemp(dir, fmt.Sprintf("%s%d-", prefix, os.Getpid()))
}

// Sweep removes the directories of servers that were killed.
func Sweep(dir, prefix string, log *slog.Logger) {
	all, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return
	}
	for _, d := range all {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), prefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := os.RemoveAll(d); err != nil {
			log.Warn("directory of an earlier process is left", "dir", d, "err", err)
		}
	}
}

// Tail keeps the last bytes written to it.
type Tail struct{ data []byte }

func (t *Tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	t.data = t.data[max(len(t.data)-keepLog, 0):]
	return len(p), nil
}

// String is the last line. Ask when the process has ended.
func (t *Tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return lines[len(lines)-1]
}
