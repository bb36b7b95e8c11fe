//go:build linux

package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// What a process is told; package agent reads it.
const (
	envConfig = "DRPD_RUNNER_CONFIG"
	envParent = "DRPD_RUNNER_PARENT"
)

const (
	endGrace = 5 * time.Second // for a process to end by itself
	nobody   = 65534           // user and group of runners if the server is root
	execPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	keepLog  = 2048 // bytes of a process's last words
)

// once runs one process to its end: nil if it was ended because there is no
// work or ctx is over.
func (s *Supervisor) once(ctx context.Context, key Key, wake chan struct{}) error {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		return workflow.Abandon(tx, s.cfg.Now(), key.ID, key.Context, "the runner of context "+key.Context+" ended while the task ran")
	})
	if err != nil {
		return fmt.Errorf("give up the job of an earlier runner: %w", err)
	}
	dir, err := os.MkdirTemp(s.cfg.TempDir, fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return fmt.Errorf("make directory of the runner: %w", err)
	}
	defer os.RemoveAll(dir)
	last := &tail{}
	cmd, err := s.command(key, dir, last)
	if err != nil {
		return err
	}
	started, ended := make(chan error, 1), make(chan error, 1)
	go run(cmd, started, ended) // ends with the process, which watch sees to
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.cfg.Command[0], err)
	}
	s.say(ctx, key, "")
	s.cfg.Log.Info("context runner started", "kind", key.Kind, "id", key.ID, "context", key.Context, "pid", cmd.Process.Pid)
	err = s.watch(ctx, key, wake, cmd.Process, ended)
	reap(cmd.Process.Pid)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// run starts the process and waits for it on one thread: the kernel tells the
// process that its parent died when the thread ends that started it.
func run(cmd *exec.Cmd, started, ended chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err == nil {
		ended <- cmd.Wait()
	}
}

// watch waits for the end of the process and brings it about when there has
// been no work for a while.
func (s *Supervisor) watch(ctx context.Context, key Key, wake chan struct{}, p *os.Process, ended <-chan error) error {
	idle := time.NewTimer(s.cfg.Idle)
	defer idle.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("exit status 0")
			}
			return err
		case <-ctx.Done():
			return end(p, ended)
		case <-idle.C:
			if !s.wanted(key) {
				return end(p, ended)
			}
			idle.Reset(s.cfg.Idle)
		case <-wake:
			if s.wanted(key) {
				idle.Reset(s.cfg.Idle)
			}
		}
	}
}

// dirPrefix and the server's process id begin the names of runners' directories.
const dirPrefix = "drpd-runner-"

// sweep removes the directories of servers that were killed.
func (s *Supervisor) sweep() {
	all, err := filepath.Glob(filepath.Join(s.cfg.TempDir, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range all {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(owner)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			s.cfg.Log.Warn("directory of an earlier runner is left", "dir", dir, "err", err)
		}
	}
}

func end(p *os.Process, ended <-chan error) error {
	_ = p.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-ended:
	case <-time.After(endGrace):
		_ = p.Kill()
		<-ended
	}
	return nil
}

// command prepares the process: its files, user, session and environment.
func (s *Supervisor) command(key Key, dir string, last *tail) (*exec.Cmd, error) {
	cred, err := s.cfg.Credentials(key)
	if err != nil {
		return nil, fmt.Errorf("get a token for the runner: %w", err)
	}
	data, err := json.Marshal(map[string]string{"Endpoint": cred.Endpoint, "CAFingerprint": cred.CAFingerprint, "Token": cred.Token,
		"Machine": key.ID, "Kind": key.Kind, "Context": key.Context, "StateDir": dir})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(s.cfg.Command[0], s.cfg.Command[1:]...)
	cmd.Dir, cmd.Stderr = dir, last
	cmd.Env = []string{"PATH=" + execPath, "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8",
		envConfig + "=" + file, envParent + "=" + strconv.Itoa(os.Getpid())}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = endGrace
	if os.Geteuid() != 0 {
		return cmd, nil
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	return cmd, errors.Join(os.Chown(dir, nobody, nobody), os.Chown(file, nobody, nobody))
}

// reap kills what a runner that died has left in its session.
func reap(session int) {
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

// tail keeps the last bytes written to it.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	t.data = t.data[max(len(t.data)-keepLog, 0):]
	return len(p), nil
}

// String is the last line.
func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return lines[len(lines)-1]
}
