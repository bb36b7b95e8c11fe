package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// agentSteps is how many steps the client's agent suite has: 27 in its test of
// stages, 20 in that of jobs.
const agentSteps = 47

// agentLimit bounds the suite.
const agentLimit = 15 * time.Minute

// agentSuite runs the client's own tests of its agent. They start whatever is
// called dr-provision, on fixed ports, so they get a network of their own.
func agentSuite(ctx context.Context, dir string) (tally, error) {
	ctx, cancel := context.WithTimeout(ctx, agentLimit)
	defer cancel()
	home := filepath.Join(dir, "agent")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return tally{}, err
	}
	bin := filepath.Join(dir, "bin")
	cmd := exec.CommandContext(ctx, "bash", "-c", "ip link set lo up 2>/dev/null; exec agent.test -test.v -test.timeout "+agentLimit.String())
	cmd.Dir, cmd.WaitDelay = home, time.Second
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+home, "TMPDIR="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	out, err := cmd.CombinedOutput()
	t, bad := countSteps(out)
	for _, b := range bad {
		fmt.Println("FAIL agent suite:", b)
	}
	if err != nil && t.failed == 0 {
		t.failed++
	}
	if err != nil || t.failed > 0 {
		fmt.Println(tail(out, 200))
	}
	fmt.Printf("%-40s %3d passed, %d failed\n", "agent suite", t.passed, t.failed)
	return t, ctx.Err()
}

var (
	suiteStep = regexp.MustCompile(`^\s+\S+_test\.go:\d+: Testing (.*)$`)
	suiteFail = regexp.MustCompile(`^\s+\S+_test\.go:\d+: (?:ERROR|Expected .*, not)`)
)

// countSteps reads the suite's log: a step begins with "Testing", and has
// failed if an error is logged before the next one begins.
func countSteps(out []byte) (t tally, bad []string) {
	in := bufio.NewScanner(bytes.NewReader(out))
	in.Buffer(nil, 1<<20)
	name, failed := "", false
	end := func() {
		switch {
		case failed:
			t.failed++
			bad = append(bad, name)
		case name != "":
			t.passed++
		}
		failed = false
	}
	for in.Scan() {
		if m := suiteStep.FindStringSubmatch(in.Text()); m != nil {
			end()
			name = m[1]
		}
		failed = failed || suiteFail.MatchString(in.Text())
	}
	end()
	return t, bad
}

// tail returns the last lines that are the suite's own, not the server's.
func tail(out []byte, n int) string {
	all := slices.DeleteFunc(strings.Split(strings.TrimRight(string(out), "\n"), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "time=")
	})
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
