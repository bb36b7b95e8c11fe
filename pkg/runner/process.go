//go:build linux

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"drpd/pkg/child"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// What a process is told; package agent reads it.
const (
	envConfig = "DRPD_RUNNER_CONFIG"
	envParent = "DRPD_RUNNER_PARENT"
)

// nobody is the user of runners if the server is root.
const nobody = 65534

// once runs one process to its end: nil if it was ended because there is no
// work or ctx is over.
func (s *Supervisor) once(ctx context.Context, key Key, wake chan struct{}) error {
	err := s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		return workflow.Abandon(tx, s.cfg.Now(), key.ID, key.Context, "the runner of context "+key.Context+" ended while the task ran")
	})
	if err != nil {
		return fmt.Errorf("give up the job of an earlier runner: %w", err)
	}
	dir, err := child.TempDir(s.cfg.TempDir, dirPrefix)
	if err != nil {
		return fmt.Errorf("make directory of the runner: %w", err)
	}
	defer os.RemoveAll(dir)
	last := &child.Tail{}
	cmd, err := s.command(key, dir, last)
	if err != nil {
		return err
	}
	ended, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.cfg.Command[0], err)
	}
	s.say(ctx, key, "")
	s.cfg.Log.Info("context runner started", "kind", key.Kind, "id", key.ID, "context", key.Context, "pid", cmd.Process.Pid)
	err = s.watch(ctx, key, wake, cmd.Process, ended)
	child.Reap(cmd.Process.Pid)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
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
			child.End(p, ended)
			return nil
		case <-idle.C:
			if !s.wanted(key) {
				child.End(p, ended)
				return nil
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

// command prepares the process: its files, user, session and environment.
func (s *Supervisor) command(key Key, dir string, last *child.Tail) (*exec.Cmd, error) {
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
	cmd.Env = []string{"PATH=" + child.Path, "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8",
		envConfig + "=" + file, envParent + "=" + strconv.Itoa(os.Getpid())}
	child.Confine(cmd, nobody)
	return cmd, child.Own(nobody, dir, file)
}
