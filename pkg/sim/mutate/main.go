// Command mutate breaks central decisions one at a time and shows that a test
// turns red for each. A decision that can be broken unnoticed is not tested.
//
//	go run ./pkg/sim/mutate [-run REGEXP] [-list]
//
// Nothing in the work tree is changed: the broken file goes to the compiler by
// -overlay.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"drpd/pkg/sim/overlay"
)

// Mutation is one decision, broken: Old, which is in File once, becomes New.
// Test is the package whose tests must notice, Run those that are run.
type Mutation struct {
	Name, File, Old, New string
	Test, Run            string
}

// limit bounds the tests of one mutation: they may hang where a wait was broken.
const limit = 10 * time.Minute

func main() {
	only := flag.String("run", "", "only mutations whose name matches")
	list := flag.Bool("list", false, "list them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, list bool) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	noticed, missed := 0, 0
	for _, m := range mutations {
		if !re.MatchString(m.Name) {
			continue
		}
		if list {
			fmt.Printf("%-60s %s\n", m.Name, m.File)
			continue
		}
		start := time.Now()
		by, err := m.try(ctx, dir)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			missed++
			fmt.Printf("NOT NOTICED  %-56s %v\n", m.Name, err)
		default:
			noticed++
			fmt.Printf("noticed      %-56s %s (%s)\n", m.Name, by, time.Since(start).Round(time.Second))
		}
	}
	if list {
		return nil
	}
	fmt.Printf("mutations: %d passed, %d failed\n", noticed, missed)
	if missed > 0 || noticed == 0 {
		return fmt.Errorf("%d of %d broken decisions turn no test red", missed, noticed+missed)
	}
	return nil
}

// try runs the tests over the broken decision and names the first that failed.
func (m Mutation) try(ctx context.Context, dir string) (by string, err error) {
	list, err := overlay.Write(dir, overlay.Edit{File: m.File, Old: m.Old, New: m.New})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := []string{"test", "-count=1", "-vet=off", "-overlay", list, "-timeout", "5m"}
	if m.Run != "" {
		args = append(args, "-run", m.Run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+m.Test)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	text := out.String()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", errors.New("all tests pass")
	case ctx.Err() != nil || !errors.As(err, &exit):
		return "", fmt.Errorf("go test: %w", err)
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return "", fmt.Errorf("it does not compile: %.600s", text)
	}
	if found := failed.FindStringSubmatch(text); found != nil {
		return found[1], nil
	}
	return "panic", nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
