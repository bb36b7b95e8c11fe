//go:build linux

package facts

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory reads MemTotal of /proc/meminfo, in bytes.
func (s Source) memory() (int64, error) {
	name := s.path("proc/meminfo")
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("MemTotal in %s: %w", name, err)
			}
			return kib * 1024, nil
		}
	}
	return 0, fmt.Errorf("no MemTotal in %s", name)
}

// cpu sums up /proc/cpuinfo.
func (s Source) cpu() CPU {
	b, err := os.ReadFile(s.path("proc/cpuinfo"))
	if err != nil {
		return CPU{}
	}
	return parseCPU(string(b))
}

// parseCPU counts distinct sockets and cores. Where the kernel tells no
// topology (arm64, some virtual machines) it counts one socket and one core for
// each thread.
func parseCPU(text string) CPU {
	var c CPU
	sockets, cores := map[string]bool{}, map[[2]string]bool{}
	for block := range strings.SplitSeq(text, "\n\n") {
		f := fields(block)
		if _, ok := f["processor"]; !ok {
			continue
		}
		c.Threads++
		if c.Model == "" {
			c.Model = f["model name"]
		}
		if id, ok := f["physical id"]; ok {
			sockets[id] = true
			cores[[2]string{id, f["core id"]}] = true
		}
	}
	c.Sockets, c.Cores = len(sockets), len(cores)
	if c.Threads > 0 && c.Sockets == 0 {
		c.Sockets, c.Cores = 1, c.Threads
	}
	return c
}

// fields reads "name : value" lines.
func fields(block string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(block) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			m[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return m
}
