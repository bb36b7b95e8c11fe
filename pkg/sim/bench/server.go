package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is the process that is measured.
type server struct {
	cmd                 *exec.Cmd
	plain, tls, control string // addresses
	password            string
	logs                *os.File
}

// usage is what the server has consumed so far.
type usage struct {
	cpu            time.Duration
	objects, bytes uint64
}

func startServer(ctx context.Context, dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, self, serveArg, "-dir", filepath.Join(dir, "data"))}
	if s.logs, err = os.Create(filepath.Join(dir, "server.log")); err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &s.plain, &s.tls, &s.control, &s.password)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server said %q: %w", line, err), s.stop())
	}
	return s, nil
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(s.cmd.Wait(), s.logs.Close())
}

// ask reads a page of the server's control address.
func (s *server) ask(path string, to io.Writer) error {
	res, err := http.Get("http://" + s.control + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	_, err = io.Copy(to, res.Body)
	return err
}

// usage adds up what the kernel says of each thread, in nanoseconds: the ticks
// of /proc/PID/stat are too coarse for short rounds.
func (s *server) usage() (u usage, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil {
		return u, err
	}
	for _, name := range tasks {
		var ns int64
		data, err := os.ReadFile(name)
		if err != nil {
			return u, err
		}
		if _, err := fmt.Sscan(string(data), &ns); err != nil {
			return u, fmt.Errorf("%s: %w", name, err)
		}
		u.cpu += time.Duration(ns)
	}
	var text strings.Builder
	if err = s.ask("/allocs", &text); err == nil {
		_, err = fmt.Sscan(text.String(), &u.objects, &u.bytes)
	}
	return u, err
}

// idle waits until the server has done what the last operations caused, that is
// until it has been quiet for longer than it holds events back.
func (s *server) idle() error {
	const enough = 6
	calm := 0
	before, err := s.usage()
	for range 1000 {
		if err != nil || calm == enough {
			return err
		}
		time.Sleep(10 * time.Millisecond)
		var now usage
		now, err = s.usage()
		if calm++; now.cpu-before.cpu >= time.Millisecond {
			calm = 0
		}
		before = now
	}
	return errors.Join(err, errors.New("server did not come to rest within 10 s"))
}

// memory is the server's resident set in MiB: at its peak, and after it has
// given back what it does not need.
func (s *server) memory() (peak, settled float64, err error) {
	if peak, err = s.status("VmHWM:"); err != nil {
		return 0, 0, err
	}
	if err = s.ask("/settle", io.Discard); err != nil {
		return 0, 0, err
	}
	settled, err = s.status("VmRSS:")
	return peak, settled, err
}

func (s *server) status(field string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(data), field)
	if !ok {
		return 0, fmt.Errorf("no %s in status", field)
	}
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kib / 1024, err
}

// profiled runs fn under a CPU profile of the server, kept as name.
func (s *server) profiled(dir, name string, d time.Duration, fn func() error) error {
	if dir == "" {
		return fn()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, name+".pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	done := make(chan error, 1)
	go func() { done <- s.ask(fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(int(d.Seconds()), 1)), f) }()
	err = fn()
	return errors.Join(err, <-done)
}

// heap keeps a profile of what is live, as name.
func (s *server) heap(dir, name string) error {
	if dir == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(dir, name+".pprof"))
	if err != nil {
		return err
	}
	return errors.Join(s.ask("/debug/pprof/heap?gc=1", f), f.Close())
}
