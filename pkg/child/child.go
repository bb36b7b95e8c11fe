//go:build linux

// Package child is how the server has programs run for it that it does not
// trust: each in a cell, with a user and a directory of its own, made by a
// Keeper. Package keeper holds what confines them.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Path is where programs look for others.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Home is the directory of a cell for those within: the only place where they
// may write. For the server it is at Cell.Path.
const Home = "/tmp"

const (
	grace   = 5 * time.Second // for a process to end by itself
	keepLog = 2048            // bytes of a process's last words
)

// ErrRefused is why nothing is run: this server has nobody who confines it.
var ErrRefused = errors.New("this server has no helper that can confine processes: start drpd as root (it drops to its own user and keeps a helper), or by its systemd unit")

// Keeper makes cells. Its methods may be called at the same time.
type Keeper interface {
	// Open makes a cell with an empty directory, whose user nobody else has.
	Open() (*Cell, error)
	// Start starts the only program of a cell; ended receives how it ended, when
	// nothing that it had started runs any more.
	Start(c *Cell, p Program) (ended <-chan error, err error)
	// Signal sends a signal to the program. To one that ended it does nothing.
	Signal(c *Cell, sig syscall.Signal) error
	// Close ends whatever runs in the cell and gives it back.
	Close(c *Cell) error
}

// Cell is where one program runs.
type Cell struct {
	ID   int
	User int      // number of the user, and of the group
	Dir  *os.File // its directory Home, open
}

// Path is where the server finds a file of the cell's directory, as long as the
// cell is open. What the program made of that name is not to be trusted.
func (c *Cell) Path(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", c.Dir.Fd(), name)
}

// Program is what runs in a cell. There is nothing here by which the server
// could name another program of the system.
type Program struct {
	File *os.File // the program; nil: drpd itself, as the runner of a context
	Args []string // beginning with its name; for a runner none
	Env  []string
	// Share is a folder of the cell's directory that the server wants to read
	// when the program has ended; "": none.
	Share          string
	Stdout, Stderr *os.File // nil: dropped
}

// None is the Keeper of a server that has none: it refuses.
type None struct{}

// Open implements Keeper.
func (None) Open() (*Cell, error) { return nil, ErrRefused }

// Start implements Keeper.
func (None) Start(*Cell, Program) (<-chan error, error) { return nil, ErrRefused }

// Signal implements Keeper.
func (None) Signal(*Cell, syscall.Signal) error { return ErrRefused }

// Close implements Keeper.
func (None) Close(*Cell) error { return nil }

// Start starts a program whose output goes to writers, which are not the same;
// nil drops it. An error of a writer closes the output. ended comes when all output was written.
func Start(k Keeper, c *Cell, p Program, stdout, stderr io.Writer) (ended <-chan error, err error) {
	var copies sync.WaitGroup
	var readers []*os.File
	for _, o := range []struct {
		to   io.Writer
		file **os.File
	}{{stdout, &p.Stdout}, {stderr, &p.Stderr}} {
		if o.to == nil {
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer w.Close() // the program has its own
		*o.file, readers = w, append(readers, r)
		copies.Go(func() {
			_, _ = io.Copy(o.to, r) // it ends with the program
			_ = r.Close()
		})
	}
	over, err := k.Start(c, p)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { // ends with the program, which its starter sees to
		how := <-over
		late := time.AfterFunc(grace, func() {
			for _, r := range readers {
				_ = r.Close() // somebody else was given the other end
			}
		})
		copies.Wait()
		late.Stop()
		done <- how
	}()
	return done, nil
}

// End asks a program to end and, if it does not, makes it.
func End(k Keeper, c *Cell, ended <-chan error) {
	_ = k.Signal(c, syscall.SIGTERM) // an error says that it has ended
	select {
	case <-ended:
	case <-time.After(grace):
		_ = k.Signal(c, syscall.SIGKILL)
		<-ended
	}
}

// Tail keeps the last bytes written to it.
type Tail struct{ data []byte }

func (t *Tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	t.data = t.data[max(len(t.data)-keepLog, 0):]
	return len(p), nil
}

// String is the last line. Ask when the process has ended.
func (t *Tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return lines[len(lines)-1]
}
