//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"drpd/pkg/child"
)

// programFD is where a plugin's program finds its own file. Its path would be no
// use: it lies where only the server may look.
const programFD = "/proc/self/fd/3"

// first is the first process of a cell: the program's parent, and of all whose
// own are gone. It is confined like they are, and ends with the program; then so
// do they.
func first(p plan) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // nobody looks into it
		return err
	}
	if err := keepIn(fdPlan); err != nil { // launch passes on the program alone
		return err
	}
	go endWith(os.NewFile(fdAlive, "keeper"))
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	pid, err := launch(p)
	if err != nil {
		return err
	}
	go func() {
		for range asked {
			_ = syscall.Kill(pid, syscall.SIGTERM) // an error says that it has ended
		}
	}()
	how, err := await(pid)
	if err == nil && p.Share != "" {
		err = share(filepath.Join(child.Home, p.Share))
	}
	switch {
	case err != nil:
		return err
	case how.Signaled():
		os.Exit(128 + int(how.Signal()))
	}
	os.Exit(how.ExitStatus())
	return nil
}

// endWith ends this process, and so all of its namespace, when the other end of
// a pipe is closed.
func endWith(f *os.File) {
	_, _ = f.Read(make([]byte, 1))
	os.Exit(1)
}

func launch(p plan) (int, error) {
	program, attr := p.Program, &syscall.ProcAttr{Dir: child.Home, Env: p.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}}
	if p.Plugin {
		program, attr.Files = programFD, append(attr.Files, fdProgram)
	}
	// A process that the server starts at the same time may hold the file open
	// for writing for a moment.
	for range 50 {
		pid, err := syscall.ForkExec(program, p.Args, attr)
		if !errors.Is(err, syscall.ETXTBSY) {
			return pid, wrap(err, p)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return 0, wrap(syscall.ETXTBSY, p)
}

func wrap(err error, p plan) error {
	if err == nil {
		return nil
	}
	if !p.Plugin {
		return fmt.Errorf("execute the runner: %w", err)
	}
	return fmt.Errorf("execute the program of provider %s: %w", p.Args[0], err)
}

// await waits for the program, and for whatever else ends meanwhile.
func await(pid int) (how syscall.WaitStatus, err error) {
	for {
		got, err := syscall.Wait4(-1, &how, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return how, fmt.Errorf("wait for the program: %w", err)
		case got == pid:
			return how, nil
		}
	}
}

// share ends all others in the cell, and lets the server read what the program
// has left in a folder.
func share(dir string) error {
	_ = syscall.Kill(-1, syscall.SIGKILL) // an error says that there is nobody
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		add := fs.FileMode(0o444)
		if e.IsDir() {
			add = 0o555
		}
		if info.Mode().Perm()&add == add {
			return nil
		}
		return os.Chmod(path, info.Mode().Perm()|add)
	})
}
