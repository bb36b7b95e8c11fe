// Command compat proves that drpd serves Digital Rebar's own clients: it
// builds the unmodified drpcli of an open release, runs scenarios of ours
// through it, each command compared with a literal expectation, and then that
// release's agent suite, with drpd under the name dr-provision. One scenario
// runs a plugin that is made with the kit of that release.
//
// It is a module of its own, so that the client's dependencies stay out of
// drpd's.
//
//	go run . [-agent=false] [-record] [scenario...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// client is the module whose drpcli and agent suite are run.
const client = "github.com/digitalrebar/provision/v4"

// timeLimit bounds everything together.
const timeLimit = 40 * time.Minute

type options struct {
	agent  bool
	record bool
	names  []string
}

func main() {
	var o options
	flag.BoolVar(&o.agent, "agent", true, "run the client's agent suite too")
	flag.BoolVar(&o.record, "record", false, "write what the commands printed into the scenarios; read every line before you commit it")
	flag.Parse()
	o.names = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

// tally counts what was tried.
type tally struct{ passed, failed int }

func (t *tally) add(u tally) { t.passed, t.failed = t.passed+u.passed, t.failed+u.failed }

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "drpd-compat-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the server is another user
		return err
	}
	if err := build(ctx, dir); err != nil {
		return err
	}
	files, err := scenarioFiles(o.names)
	if err != nil {
		return err
	}
	var commands, steps tally
	for _, f := range files {
		commands.add(runScenario(ctx, dir, f, o.record))
	}
	if o.agent {
		if steps, err = agentSuite(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("drpcli commands: %d passed, %d failed; agent steps: %d passed, %d failed\n",
		commands.passed, commands.failed, steps.passed, steps.failed)
	if commands.failed+steps.failed > 0 || (o.agent && steps.passed < agentSteps) {
		return errors.New("not compatible")
	}
	return nil
}

func scenarioFiles(names []string) ([]string, error) {
	all, err := filepath.Glob("scenarios/*.txt")
	if err != nil || len(names) == 0 {
		return all, err
	}
	var out []string
	for _, n := range names {
		f := filepath.Join("scenarios", strings.TrimSuffix(filepath.Base(n), ".txt")+".txt")
		if !slices.Contains(all, f) {
			return nil, fmt.Errorf("there is no %s", f)
		}
		out = append(out, f)
	}
	return out, nil
}

// build puts drpcli, dr-provision, the agent suite and a plugin made with the
// client's kit into dir/bin.
func build(ctx context.Context, dir string) error {
	bin := filepath.Join(dir, "bin")
	for _, b := range []struct {
		where string
		args  []string
	}{
		{".", []string{"build", "-o", filepath.Join(bin, "drpcli"), client + "/cmds/drpcli"}},
		{".", []string{"build", "-o", filepath.Join(bin, "ring"), "./ring"}},
		{".", []string{"test", "-c", "-o", filepath.Join(bin, "agent.test"), client + "/agent"}},
		{"..", []string{"build", "-buildvcs=false", "-o", filepath.Join(bin, "dr-provision"), "./cmd/drpd"}},
		{"..", []string{"build", "-buildvcs=false", "-o", filepath.Join(bin, "ours", "drpcli"), "./cmd/drpcli"}},
	} {
		cmd := exec.CommandContext(ctx, "go", b.args...)
		cmd.Dir = b.where
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(b.args, " "), err, out)
		}
	}
	return nil
}
