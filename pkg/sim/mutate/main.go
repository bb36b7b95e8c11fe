// Command mutate breaks central decisions one at a time and shows that a test
// turns red for each. A decision that can be broken unnoticed is not tested.
//
//	go run ./pkg/sim/mutate [-run REGEXP] [-list] [-j N]
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

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
	jobs := flag.Int("j", 2, "so many at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *list, max(*jobs, 1)); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, list bool, jobs int) error {
	re, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(mutations(), func(m Mutation) bool { return !re.MatchString(m.Name) })
	if list {
		for _, m := range chosen {
			fmt.Printf("%-60s %s\n", m.Name, m.File)
		}
		return nil
	}
	missed, err := tryAll(ctx, chosen, jobs)
	if err != nil {
		return err
	}
	fmt.Printf("mutations: %d passed, %d failed\n", len(chosen)-missed, missed)
	if missed > 0 || len(chosen) == 0 {
		return fmt.Errorf("%d of %d broken decisions turn no test red", missed, len(chosen))
	}
	return nil
}

// tryAll tries the mutations, some at a time, tells of each as it is over, and
// counts those that no test noticed.
func tryAll(ctx context.Context, list []Mutation, jobs int) (missed int, err error) {
	var mu sync.Mutex // guards missed and the output
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, m := range list {
		g.Go(func() error {
			start := time.Now()
			by, err := m.try(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				missed++
				fmt.Printf("NOT NOTICED  %-60s %v\n", m.Name, err)
				return nil
			}
			fmt.Printf("noticed      %-60s %s (%s)\n", m.Name, by, time.Since(start).Round(time.Second))
			return nil
		})
	}
	err = g.Wait()
	return missed, err
}

// try runs the tests over the broken decision and names the first that failed.
func (m Mutation) try(ctx context.Context) (by string, err error) {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
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
