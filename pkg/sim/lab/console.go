package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// SerialLog is the file with everything the machine ever wrote to its serial port.
func (n *Node) SerialLog() string { return n.path("serial.log") }

// SerialEnd is the size of the serial log in bytes. Take it before an action
// and give it to WaitSerial, so that older output is not mistaken for new.
func (n *Node) SerialEnd() int64 {
	info, err := os.Stat(n.SerialLog())
	if err != nil {
		return 0 // not started yet
	}
	return info.Size()
}

// consoleWindow bounds how far back WaitSerial looks for text that matches, in bytes.
const consoleWindow = 64 << 10

// WaitSerial waits until the serial log has text that matches re after the
// offset from. It returns the match and the offset behind it.
func (n *Node) WaitSerial(ctx context.Context, from int64, re *regexp.Regexp) (match string, next int64, err error) {
	var text []byte
	start := from
	err = poll(ctx, func() (bool, error) {
		more, err := readFrom(n.SerialLog(), start+int64(len(text)))
		if err != nil {
			return false, err
		}
		text = append(text, more...)
		if at := re.FindIndex(text); at != nil {
			match, next = string(text[at[0]:at[1]]), start+int64(at[1])
			return true, nil
		}
		if drop := len(text) - consoleWindow; drop > 0 {
			text, start = text[drop:], start+int64(drop)
		}
		return false, nil
	})
	if err != nil {
		tail := bytes.TrimSpace(text[max(0, len(text)-400):])
		return "", from, fmt.Errorf("wait for %q on the console of node %s: %w; last output: %q", re, n.Name, err, tail)
	}
	return match, next, nil
}

func readFrom(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // not started yet
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, offset, 1<<30))
}

// ticksPerSecond is the kernel's USER_HZ, 100 on every Linux that Go supports.
const ticksPerSecond = 100

// CPUSeconds is what the running QEMU has used so far, user and system. It
// changes little with the host's load, unlike the clock.
func (n *Node) CPUSeconds() (float64, error) {
	p, on := n.qemu()
	if !on {
		return 0, fmt.Errorf("read CPU time of node %s: it is off", n.Name)
	}
	stat, err := readStat(p.PID)
	if err != nil {
		return 0, fmt.Errorf("read CPU time of node %s: %w", n.Name, err)
	}
	return float64(stat.cpu) / ticksPerSecond, nil
}
