// Command bench measures drpd as a client sees it: it starts the server as a
// process of its own on the SQLite store, fills it with machines through the
// API, runs one operation after the other with a few clients, and prints what
// each costs the server. It works on the loopback and in a temporary directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// plan is what the flags ask for.
type plan struct {
	sizes   []int
	clients int
	ops     int           // operations of one measurement
	most    time.Duration // a measurement ends then, even with fewer
	tls     bool          // through TLS as well, at the first size
	only    string        // comma list of operations; "": all
	out     string        // Markdown file with markers; "": only standard output
	dir     string        // holds the server's data
	profile string        // CPU profiles of the server go here; "": none
	drpcli  string        // the client whose start is measured; "": not
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == serveArg {
		exit(serveChild(os.Args[2:]))
	}
	p, err := parse(os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = run(ctx, p)
	}
	exit(err)
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string) (plan, error) {
	p := plan{}
	sizes := ""
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&sizes, "sizes", "100,1000,5000,10000", "numbers of machines to measure at")
	f.IntVar(&p.clients, "clients", 8, "clients at work at once, each with one connection")
	f.IntVar(&p.ops, "n", 6000, "operations of one measurement")
	f.DurationVar(&p.most, "most", 4*time.Second, "a measurement ends then, even with fewer operations")
	f.BoolVar(&p.tls, "tls", true, "measure through TLS as well, at the first size")
	f.StringVar(&p.only, "only", "", "comma list of operations to run; empty: all")
	f.StringVar(&p.out, "o", "", "file to write the table to, between its markers")
	f.StringVar(&p.dir, "dir", "", "directory for the server's data; default: a temporary one")
	f.StringVar(&p.profile, "profile", "", "directory for CPU profiles of the server, one for each operation")
	f.StringVar(&p.drpcli, "drpcli", "", "drpcli binary whose start is measured")
	if err := f.Parse(args); err != nil {
		return p, err
	}
	for s := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 100 {
			return p, fmt.Errorf("-sizes %q: want numbers of at least 100", sizes)
		}
		p.sizes = append(p.sizes, n)
	}
	return p, nil
}

func run(ctx context.Context, p plan) error {
	rep := &report{plan: p}
	for i, n := range p.sizes {
		b, err := startBed(ctx, p, n)
		if err != nil {
			return fmt.Errorf("with %d machines: %w", n, err)
		}
		err = b.measure(rep, i == 0 && p.tls)
		if err = errors.Join(err, b.stop()); err != nil {
			return fmt.Errorf("with %d machines: %w", n, err)
		}
	}
	if p.drpcli != "" {
		if err := rep.startOf(p.drpcli); err != nil {
			return err
		}
	}
	return rep.write()
}
