package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// server is one drpd, called as Digital Rebar's users call theirs.
type server struct {
	cmd  *exec.Cmd
	log  *os.File
	port int // of the API; the others follow
	done chan error
}

// ports is how many consecutive ports a server is given.
const ports = 7

// startServer starts a server with an empty memory store in dir and waits
// until it answers.
func startServer(ctx context.Context, bin, dir string) (*server, error) {
	port, err := freePorts()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Clean(dir) + ".log") // beside it: a first start wants an empty directory
	if err != nil {
		return nil, err
	}
	at := func(n int) string { return strconv.Itoa(port + n) }
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "dr-provision"), "--base-root", dir,
		"--tls-key", "server.key", "--tls-cert", "server.crt",
		"--api-port", at(0), "--static-port", at(1), "--tftp-port", at(2), "--dhcp-port", at(3), "--binl-port", at(4),
		"--metrics-port", at(5), "--static-secure-port", at(6),
		"--fake-pinger", "--drp-id", "Fred", "--plugin-comm-root", dir, "--backend", "memory:///")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	s := &server{cmd: cmd, log: log, port: port, done: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start dr-provision: %w", err)
	}
	go func() { s.done <- cmd.Wait() }()
	if err := s.await(ctx); err != nil {
		s.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; it said:\n%s", err, text)
	}
	return s, nil
}

// freePorts finds the first of consecutive free ports. Runs at the same time
// begin at different ones, so that neither takes what the other has just found.
func freePorts() (int, error) {
	const low, groups = 21000, 1500
	start := rand.IntN(groups)
next:
	for n := range groups {
		first := low + (start+n)%groups*ports
		for n := range ports {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+n))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return first, nil
	}
	return 0, fmt.Errorf("no %d free ports in a row", ports)
}

// await returns when the server answers over TLS.
func (s *server) await(ctx context.Context) error {
	// The certificate is the server's own and made a moment ago, as the client
	// under test takes it.
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: time.Second}
	defer c.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		r, err := c.Get(s.endpoint() + "/api/v3/info")
		if err == nil {
			r.Body.Close()
			return nil
		}
		select {
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("dr-provision ended: %v", err)
		case <-limit:
			return fmt.Errorf("dr-provision does not answer: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *server) endpoint() string { return fmt.Sprintf("https://127.0.0.1:%d", s.port) }

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.log.Close()
}
