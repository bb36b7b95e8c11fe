// Command demo runs drpd's main job on a virtual rack with real firmware:
// powered-off machines become a cluster and go back. It uses only what an
// operator has: the drpd and drpcli binaries.
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
	"syscall"
	"time"

	"drpd/pkg/sim/lab"
)

const usage = `usage: demo run|smoke|disks|kill|shell|down [flags]
  run    the whole path on three machines; leaves the rack running
  smoke  one machine: power on, PXE, discover, deploy, local boot; cleans up
  disks  one machine with two disks: a stranger's data, a wipe that is cut off, Free; cleans up
  kill   the whole path with drpd killed (-9) at many instants; cleans up
  shell  a shell inside the running rack
  down   stop the rack and remove it`

// options are the flags of every verb.
type options struct {
	ci    bool
	keep  bool
	build string // where binaries and images are cached
	dir   string // of the rack; short, for socket paths
	kills int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	var o options
	f := flag.NewFlagSet("demo "+args[0], flag.ContinueOnError)
	f.BoolVar(&o.ci, "ci", false, "no prompts; write demo-report.json; clean up at the end")
	f.BoolVar(&o.keep, "keep", false, "leave the rack running even after a failure")
	f.StringVar(&o.build, "build", "build", "directory for binaries, images and caches")
	where := args[0]
	if where == "shell" || where == "down" {
		where = "run"
	}
	f.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), "drpd-"+where), "directory of the rack")
	f.IntVar(&o.kills, "kills", 14, "kill: how many instants at least")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "run":
		return runDemo(ctx, o)
	case "smoke":
		return runSmoke(ctx, o)
	case "disks":
		return runDisks(ctx, o)
	case "kill":
		return runKill(ctx, o)
	case "shell":
		return shell(ctx, o)
	case "down":
		return down(ctx, o.dir)
	}
	return errors.New(usage)
}

// down removes a rack that an earlier run left, if there is one.
func down(ctx context.Context, dir string) error {
	r, err := lab.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = r.Destroy(ctx)
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// shell opens a shell in the rack's network namespace, with drpcli set up.
func shell(ctx context.Context, o options) error {
	r, err := lab.Open(o.dir)
	if err != nil {
		return fmt.Errorf("no running rack (start one with make demo): %w", err)
	}
	env, err := readEnv(o.dir)
	if err != nil {
		return err
	}
	fmt.Println("drpcli is set up; try: drpcli clusters list, drpcli machines list, drpcli why clusters demo")
	cmd := r.Command(ctx, "bash")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// seconds rounds for people.
func seconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}
