// Command attack is a hostile host on the boot network, a machine with a token of
// its own, and a user with few rights, against a real drpd in network namespaces.
//
//	go run ./pkg/sim/attack [-broken] [-run REGEXP] [-v]
//
// Each attempt looks for its effect: a token that works, a secret that was read,
// code that ran, an object that changed. It prints how many there were of each
// kind and how many got through: 0. With -broken it shows that the attempts are
// worth something: it breaks the guard of each in turn, and then the attempt has
// to get through. Root is needed.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"

	"drpd/pkg/sim/overlay"
)

// attack is one attempt. try says what it got, "" if it was refused; an error is
// one of the suite itself.
type attack struct {
	kind, name, guard string
	try               func(ctx context.Context, e *env) (got string, err error)
}

// errSkip is an attempt that cannot be made here, with the reason.
var errSkip = errors.New("skipped")

func main() {
	broken := flag.Bool("broken", false, "break each guard and show that its attempts then get through")
	only := flag.String("run", "", "only attempts or guards whose name matches")
	together := flag.Bool("together", false, "with -broken: break all guards in one build, which is quick and shows less")
	program := flag.String("drpd", "", "attack this program instead of building one")
	verbose := flag.Bool("v", false, "print every attempt")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r := &run{only: regexp.MustCompile(*only), verbose: *verbose, together: *together, program: *program}
	do := r.intact
	if *broken {
		do = r.broken
	}
	if err := do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

// run is one run of the suite.
type run struct {
	only     *regexp.Regexp
	verbose  bool
	together bool
	program  string // built already
}

// all lists them in one order, which a failure can be repeated in.
func all() []attack {
	groups := [][]attack{claims(), fields(), users(), outcalls(), disks(), directories(), processes()}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b attack) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	}
	return slices.Concat(groups...)
}

// attemptLimit bounds one attempt on a machine that has much else to do.
const attemptLimit = 3 * time.Minute

// against makes the attempts on a server of one build. each is told of every
// outcome.
func (r *run) against(ctx context.Context, edits []overlay.Edit, list []attack, each func(a attack, got string, err error)) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("it makes network namespaces: run it as root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "attack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // drpd's own user goes through it
		return err
	}
	e := &env{dir: dir, net: &network{prefix: fmt.Sprintf("atk%d", os.Getpid())}}
	if e.program = r.program; e.program == "" || edits != nil {
		if e.program, err = build(ctx, dir, edits...); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, e.down()) }()
	if err := e.net.up(ctx, "e", "v"); err != nil {
		return err
	}
	if err := e.serve(ctx); err != nil {
		return err
	}
	for _, a := range list {
		one, cancel := context.WithTimeout(ctx, attemptLimit)
		got, err := a.try(one, e)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		each(a, got, err)
	}
	return nil
}

// down ends what this run started.
func (e *env) down() error {
	if e.process != nil {
		e.process.stop()
	}
	return e.net.down()
}

// tally counts the attempts of one kind.
type tally struct{ attempts, counting, through, failed, skipped int }

// intact makes every attempt on drpd as it is.
func (r *run) intact(ctx context.Context) error {
	var list []attack
	for _, a := range all() {
		if r.only.MatchString(a.kind + ": " + a.name) {
			list = append(list, a)
		}
	}
	kinds, of := []string{}, map[string]*tally{}
	err := r.against(ctx, nil, list, func(a attack, got string, err error) {
		t := of[a.kind]
		if t == nil {
			t = &tally{}
			of[a.kind], kinds = t, append(kinds, a.kind)
		}
		t.attempts++
		if a.counts() {
			t.counting++
		}
		switch {
		case errors.Is(err, errSkip):
			t.attempts--
			t.skipped++
			fmt.Printf("skipped      %s: %s: %v\n", a.kind, a.name, err)
		case err != nil:
			t.failed++
			fmt.Printf("NOT TRIED    %s: %s: %v\n", a.kind, a.name, err)
		case got != "":
			t.through++
			fmt.Printf("GOT THROUGH  %s: %s: %s\n", a.kind, a.name, got)
		case r.verbose:
			fmt.Printf("refused      %s: %s\n", a.kind, a.name)
		}
	})
	if err != nil {
		return err
	}
	var sum tally
	fmt.Printf("%-32s %9s %9s %12s\n", "kind", "attempts", "counting", "got through")
	for _, k := range kinds {
		t := of[k]
		fmt.Printf("%-32s %9d %9d %12d\n", k, t.attempts, t.counting, t.through)
		sum.attempts, sum.counting = sum.attempts+t.attempts, sum.counting+t.counting
		sum.through, sum.failed = sum.through+t.through, sum.failed+t.failed
	}
	bad := sum.through + sum.failed
	fmt.Printf("%d attempts, of which %d get through when their guard alone is broken (make attack-broken); got through: %d\n", sum.attempts, sum.counting, sum.through)
	fmt.Printf("attack: %d passed, %d failed\n", sum.attempts-bad, bad)
	if bad > 0 || sum.attempts == 0 {
		return fmt.Errorf("%d of %d attempts got through, %d could not be made", sum.through, sum.attempts, sum.failed)
	}
	return nil
}
