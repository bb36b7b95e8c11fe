//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"drpd/pkg/api"
)

// pipeGrace is how long output is still taken after a script has ended: what it
// left in the background may hold the pipe open.
const pipeGrace = 5 * time.Second

// execPath is where scripts find programs.
const execPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// script runs a shell script and returns its exit code. An error means that it
// did not run to its end.
func (a *agent) script(ctx context.Context, j *api.Job, act api.JobAction, dir string, log *jobLog) (int, error) {
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(act.Content), 0o700); err != nil {
		return 0, err
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return 0, err
	}
	argv := append(interpreter(act), file)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, a.environ(j, dir, tmp)
	cmd.Stdout, cmd.Stderr = log, log.stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.cfg.Context != "" {
		// The signal comes when the thread ends that started the script.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace
	err := cmd.Run()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case exited && exit.Exited():
		return exit.ExitCode(), nil
	case exited:
		return 0, fmt.Errorf("killed: %s%s", exit, log.lastError())
	}
	return 0, fmt.Errorf("start %s: %w", argv[0], err)
}

// interpreter reads the first line of the script. It is started by us, not by
// the kernel: the directory may be mounted so that nothing in it can be run.
func interpreter(act api.JobAction) []string {
	if s := act.Meta["Interpreter"]; s != "" {
		return []string{s}
	}
	line, _, _ := strings.Cut(act.Content, "\n")
	if bang, ok := strings.CutPrefix(line, "#!"); ok {
		// As in the kernel, all that follows the interpreter is one argument.
		prog, arg, _ := strings.Cut(strings.TrimSpace(bang), " ")
		if arg = strings.TrimSpace(arg); arg != "" {
			return []string{prog, arg}
		}
		if prog != "" {
			return []string{prog}
		}
	}
	return []string{"/bin/bash"}
}

func (a *agent) environ(j *api.Job, dir, tmp string) []string {
	token, home := j.Token, os.Getenv("HOME")
	if token == "" {
		token = a.client().Token()
	}
	if home == "" {
		home = "/root"
	}
	return []string{
		"RS_UUID=" + j.Machine, "RS_ENDPOINT=" + a.place().Endpoints[0], "RS_TOKEN=" + token, "RS_JOB=" + j.Uuid,
		"RS_CA_FINGERPRINT=" + a.place().pin(), "RS_TASK_DIR=" + dir, "RS_RUNNER_DIR=" + a.cfg.StateDir,
		"TMPDIR=" + tmp, "HOME=" + home, "PATH=" + execPath, "LANG=C.UTF-8",
	}
}
