package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// phase is one line of the report.
type phase struct {
	Name     string
	Seconds  float64
	Verified string
}

// report collects phases and prints them as they end.
type report struct {
	Result string
	Phases []phase
	out    io.Writer
	begun  time.Time
}

func newReport(out io.Writer) *report { return &report{Result: "running", out: out, begun: time.Now()} }

// phase runs one part of the path; verified says what was seen to be true.
func (r *report) phase(name string, do func() (verified string, err error)) error {
	start := time.Now()
	fmt.Fprintf(r.out, "== %s\n", name)
	verified, err := do()
	p := phase{Name: name, Seconds: seconds(time.Since(start)), Verified: verified}
	r.Phases = append(r.Phases, p)
	if err != nil {
		r.Result = fmt.Sprintf("failed in %q: %v", name, err)
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(r.out, "   %6.1f s  %s\n", p.Seconds, verified)
	return nil
}

// table prints all phases with their seconds.
func (r *report) table() {
	fmt.Fprintf(r.out, "\n%-34s %8s  %s\n", "phase", "seconds", "verified")
	for _, p := range r.Phases {
		fmt.Fprintf(r.out, "%-34s %8.1f  %s\n", p.Name, p.Seconds, p.Verified)
	}
	fmt.Fprintf(r.out, "%-34s %8.1f\n", "all", seconds(time.Since(r.begun)))
}

// save writes the report for machines to read.
func (r *report) save(path string) error {
	data, err := json.MarshalIndent(struct {
		Result  string
		Seconds float64
		Phases  []phase
	}{r.Result, seconds(time.Since(r.begun)), r.Phases}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
