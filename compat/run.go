package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// commandLimit bounds one command.
const commandLimit = 60 * time.Second

// player runs the steps of one scenario.
type player struct {
	bin, dir string
	srv      *server
	vars     map[string]string
}

// runScenario plays one file against a server of its own.
func runScenario(ctx context.Context, dir, file string, record bool) (t tally) {
	fail := func(err error) tally {
		fmt.Printf("FAIL %s: %v\n", file, err)
		return tally{failed: 1}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fail(err)
	}
	steps, rest, err := parse(data)
	if err != nil {
		return fail(err)
	}
	work := filepath.Join(dir, strings.TrimSuffix(filepath.Base(file), ".txt"))
	p := &player{bin: filepath.Join(dir, "bin"), dir: filepath.Join(work, "home")}
	root := filepath.Join(work, "root")
	if err := errors.Join(os.MkdirAll(p.dir, 0o755), os.MkdirAll(root, 0o755)); err != nil {
		return fail(err)
	}
	if p.srv, err = startServer(ctx, p.bin, root); err != nil {
		return fail(err)
	}
	defer p.srv.stop()
	p.vars = map[string]string{"PORT": strconv.Itoa(p.srv.port), "DIR": p.dir}
	for _, s := range steps {
		t.add(p.play(ctx, file, s, record, string(data)))
	}
	if record {
		if err := save(file, steps, rest); err != nil {
			return fail(err)
		}
	}
	fmt.Printf("%-40s %3d passed, %d failed\n", file, t.passed, t.failed)
	return t
}

// play runs one step and compares, or records.
func (p *player) play(ctx context.Context, file string, s *step, record bool, given string) tally {
	if s.file != "" {
		text := expand(strings.Join(s.stdout, "\n")+"\n", p.vars)
		if err := os.WriteFile(filepath.Join(p.dir, s.file), []byte(text), 0o644); err != nil {
			fmt.Printf("FAIL %s:%d: %v\n", file, s.line, err)
			return tally{failed: 1}
		}
		return tally{}
	}
	stdout, stderr, code := p.execute(ctx, s)
	diffs := []string{match(s.stdout, stdout, p.vars), match(s.stderr, stderr, p.vars)}
	if code != s.exit {
		diffs = append(diffs, fmt.Sprintf("want exit code %d, got %d", s.exit, code))
	}
	if strings.Join(diffs, "") == "" {
		if s.shell {
			return tally{}
		}
		return tally{passed: 1}
	}
	if record {
		s.stdout, s.stderr, s.exit = p.recorded(stdout, given), p.recorded(stderr, given), code
		return tally{passed: 1}
	}
	fmt.Printf("FAIL %s:%d: %s\n", file, s.line, expand(s.command, p.vars))
	for i, name := range []string{"stdout", "stderr", "exit"} {
		if i < len(diffs) && diffs[i] != "" {
			fmt.Printf("  %s: %s\n", name, diffs[i])
		}
	}
	return tally{failed: 1}
}

func (p *player) recorded(lines []string, given string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, generalize(strings.TrimRight(l, " \t"), p.vars, given))
	}
	return out
}

// execute runs the command by a shell, which takes the quotes apart.
func (p *player) execute(ctx context.Context, s *step) (stdout, stderr []string, code int) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	line := expand(s.command, p.vars)
	if !s.shell {
		line = "drpcli " + line
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir, cmd.WaitDelay = p.dir, time.Second
	cmd.Env = []string{"PATH=" + p.bin + ":" + os.Getenv("PATH"), "HOME=" + p.dir, "TZ=UTC", "LC_ALL=C.UTF-8", "TERM=dumb",
		"RS_ENDPOINT=" + p.srv.endpoint(), "RS_KEY=rocketskates:r0cketsk8ts", "RS_TOKEN_PATH=" + filepath.Join(p.dir, ".tokens"), "RS_NO_COLOR=true"}
	if len(s.stdin) > 0 {
		cmd.Stdin = strings.NewReader(expand(strings.Join(s.stdin, "\n")+"\n", p.vars))
	}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		e.WriteString(err.Error() + "\n")
		code = -1
	}
	return lines(o.String()), lines(e.String()), code
}

func lines(s string) []string {
	s = strings.TrimRight(s, "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
