package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// sample is what a number of operations took.
type sample struct {
	ops            int
	took, cpu      time.Duration
	objects, bytes uint64
}

func (s sample) rate() float64   { return float64(s.ops) / s.took.Seconds() }
func (s sample) micros() float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.ops) }

// report collects samples by operation and number of machines.
type report struct {
	plan   plan
	names  []string
	rows   map[string]map[int]sample
	memory []string
	starts string
}

// of2019 are operations a second of the server of 2019 (DRP v3.13, memory
// store) with 5,000 machines, 8 clients and 2 CPUs, as measured for this
// project. Job cycles: an upper bound, since each has at least one write.
var of2019 = map[string]float64{"create": 19, "patch": 33, "job cycle": 34}

func (r *report) add(name string, size int, s sample) {
	if r.rows == nil {
		r.rows = map[string]map[int]sample{}
	}
	if r.rows[name] == nil {
		r.rows[name] = map[int]sample{}
		r.names = append(r.names, name)
	}
	r.rows[name][size] = s
	fmt.Printf("%6d machines  %-20s %9.0f/s %9.1f us CPU %8.0f allocs %9.0f bytes (%d)\n", size, name, s.rate(), s.micros(),
		float64(s.objects)/float64(s.ops), float64(s.bytes)/float64(s.ops), s.ops)
}

// startOf measures the start of a program that does nothing.
func (r *report) startOf(program string) error {
	var took []time.Duration
	for range 11 {
		start := time.Now()
		if err := exec.Command(program, "--help").Run(); err != nil {
			return fmt.Errorf("start %s: %w", program, err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	r.starts = fmt.Sprintf("drpcli --help: %.0f ms, the median of %d starts", float64(took[5].Microseconds())/1e3, len(took))
	fmt.Println(r.starts)
	return nil
}

func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("| operation | machines | per second | server CPU µs | allocations | KiB allocated | CPU, to fewest | 2019 at 5,000 | ratio |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, name := range r.names {
		first := 0.0
		for _, size := range r.plan.sizes {
			s, ok := r.rows[name][size]
			if !ok {
				continue
			}
			if first == 0 {
				first = s.micros()
			}
			n := float64(s.ops)
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %.0f | %.1f | %.2f | %s |\n", name, size, short(s.rate()), short(s.micros()),
				float64(s.objects)/n, float64(s.bytes)/n/1024, s.micros()/first, versus(name, size, s.rate()))
		}
	}
	b.WriteString("\nResident memory of the server: " + strings.Join(r.memory, "; ") + ".\n")
	if r.starts != "" {
		b.WriteString("\n" + r.starts + ".\n")
	}
	return b.String()
}

func short(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func versus(name string, size int, rate float64) string {
	base := of2019[name]
	if base == 0 || size != 5000 {
		return " | "
	}
	bound := ""
	if name == "job cycle" {
		bound = "< "
	}
	return fmt.Sprintf("%s%.0f | %.0f", bound, base, rate/base)
}

// The table lies between these lines of the file.
const (
	begin = "<!-- measured by make bench -->\n"
	end   = "<!-- end of the measured part -->\n"
)

func (r *report) write() error {
	fmt.Print("\n", r.markdown())
	if r.plan.out == "" {
		return nil
	}
	data, err := os.ReadFile(r.plan.out)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the lines %q and %q", r.plan.out, begin, end)
	}
	return os.WriteFile(r.plan.out, []byte(head+begin+r.markdown()+end+tail), 0o644)
}
