package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process identifies a process for good: pids are used again, but not together
// with the same start time.
type process struct {
	PID int `json:"pid"`
	// Start is in clock ticks since the host booted, see proc(5).
	Start uint64 `json:"start"`
}

// processName leaves room for a prefix before a node's name.
var processName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// pollEvery is how often state that only /proc or a log file shows is looked at.
const pollEvery = 10 * time.Millisecond

// StartProcess starts cmd detached in a session of its own under a name that
// KillProcess and Destroy know. Output is appended to logfile. The process
// outlives ctx of cmd and the calling program.
func (r *Rack) StartProcess(name string, cmd *exec.Cmd, logfile string) error {
	if !processName.MatchString(name) {
		return fmt.Errorf("start process %q: use at most 40 of a-z, 0-9 and - as name", name)
	}
	if _, running := r.running(name); running {
		return fmt.Errorf("start process %s: it runs already", name)
	}
	out, err := os.OpenFile(logfile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start process %s: %w", name, err)
	}
	defer out.Close()
	// A copy without the context, which would kill the process when it ends.
	free := exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Err: cmd.Err}
	free.Stdout, free.Stderr = out, out
	free.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := free.Start(); err != nil {
		return fmt.Errorf("start process %s: %w", name, err)
	}
	stat, err := readStat(free.Process.Pid)
	if err != nil {
		return errors.Join(fmt.Errorf("start process %s: %w", name, err), free.Process.Kill(), free.Wait())
	}
	p := process{PID: free.Process.Pid, Start: stat.start}
	if err := writeJSON(r.processFile(name), p); err != nil {
		return errors.Join(fmt.Errorf("start process %s: %w", name, err), free.Process.Kill(), free.Wait())
	}
	return free.Process.Release()
}

// KillProcess sends sig to a process started under name. For SIGKILL, SIGTERM
// and SIGINT it waits until the process is gone and forgets it; a process that
// is gone already is no error.
func (r *Rack) KillProcess(ctx context.Context, name string, sig syscall.Signal) error {
	p, running := r.running(name)
	if running {
		if err := syscall.Kill(p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %s (pid %d): %w", name, p.PID, err)
		}
	}
	if !slices.Contains([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT}, sig) {
		return nil
	}
	if err := p.waitGone(ctx); err != nil {
		return fmt.Errorf("kill process %s (pid %d): %w", name, p.PID, err)
	}
	if err := os.Remove(r.processFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("kill process %s: %w", name, err)
	}
	return nil
}

func (r *Rack) processFile(name string) string { return r.path("run", name+".json") }

func (r *Rack) running(name string) (process, bool) {
	var p process
	if err := readJSON(r.processFile(name), &p); err != nil {
		return process{}, false
	}
	return p, p.alive()
}

func (r *Rack) stopProcesses(ctx context.Context) error {
	files, err := filepath.Glob(r.path("run", "*.json"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		errs = append(errs, r.KillProcess(ctx, name, syscall.SIGKILL))
	}
	return errors.Join(errs...)
}

func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	stat, err := readStat(p.PID)
	return err == nil && stat.start == p.Start && stat.state != 'Z' && stat.state != 'X'
}

func (p process) waitGone(ctx context.Context) error {
	err := poll(ctx, func() (bool, error) { return !p.alive(), nil })
	if p.PID > 0 {
		// Reaps the process if it happens to be our own child; ECHILD otherwise.
		_, _ = syscall.Wait4(p.PID, nil, syscall.WNOHANG, nil)
	}
	return err
}

// poll asks done until it says true, fails, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// procStat is the part of /proc/PID/stat that the lab uses; times in ticks.
type procStat struct {
	state      byte
	cpu, start uint64
}

func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(string(data))
}

// parseStat counts fields from the last parenthesis, because the command name
// before it may hold anything.
func parseStat(line string) (procStat, error) {
	_, rest, _ := cutLast(line, ")")
	f := strings.Fields(rest)
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("process status %q has %d fields after the name, want at least 20", line, len(f))
	}
	if len(f[0]) != 1 || f[0][0] < 'A' || f[0][0] > 'z' {
		return procStat{}, fmt.Errorf("process status %q: the state %q is no letter", line, f[0])
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	system, err2 := strconv.ParseUint(f[12], 10, 64)
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return procStat{}, fmt.Errorf("process status: %w", err)
	}
	return procStat{state: f[0][0], cpu: user + system, start: start}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
