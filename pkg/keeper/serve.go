//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"drpd/pkg/child"
)

// desk answers what the server asks of the keeper. The server may be somebody
// else's by now: nothing that it says makes root do more than open, start,
// signal and close cells.
type desk struct {
	keeper child.Keeper
	conn   *net.UnixConn

	mu    sync.Mutex // guards below, and what is sent
	cells map[int]*child.Cell
}

// serve answers until the server is gone.
func serve(k child.Keeper, conn *net.UnixConn) {
	d := &desk{keeper: k, conn: conn, cells: map[int]*child.Cell{}}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		m, files, err := receive(conn)
		if err != nil {
			return // it ended, or talks nonsense: its end is seen elsewhere
		}
		wg.Go(func() {
			defer shut(files)
			d.answer(m, files)
		})
	}
}

func (d *desk) answer(m message, files []*os.File) {
	reply := message{Seq: m.Seq, Cell: m.Cell}
	var dir []*os.File
	var err error
	if m.Op == opOpen {
		var c *child.Cell
		if c, err = d.keeper.Open(); err == nil {
			d.mu.Lock()
			d.cells[c.ID] = c
			d.mu.Unlock()
			reply.Cell, reply.User, dir = c.ID, c.User, []*os.File{c.Dir}
		}
	} else {
		d.mu.Lock()
		c := d.cells[m.Cell]
		d.mu.Unlock()
		if c == nil {
			err = fmt.Errorf("cell %d is not open", m.Cell)
		} else {
			err = d.in(c, m, files)
		}
	}
	if err != nil {
		reply.Error = err.Error()
	}
	d.say(reply, dir...)
}

func (d *desk) say(m message, files ...*os.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = send(d.conn, m, files...) // the server is gone if it fails
}

// in does something in a cell.
func (d *desk) in(c *child.Cell, m message, files []*os.File) error {
	switch m.Op {
	case opStart:
		return d.start(c, m, files)
	case opSignal:
		if sig := syscall.Signal(m.Signal); sig == syscall.SIGTERM || sig == syscall.SIGKILL {
			return d.keeper.Signal(c, sig)
		}
		return fmt.Errorf("signal %d is none that a cell is sent", m.Signal)
	case opClose:
		err := d.keeper.Close(c)
		d.mu.Lock()
		delete(d.cells, c.ID)
		d.mu.Unlock()
		return err
	}
	return fmt.Errorf("the keeper knows no %q: is the program drpd of another version than the one that runs?", m.Op)
}

func (d *desk) start(c *child.Cell, m message, files []*os.File) error {
	p := child.Program{Args: m.Args, Env: m.Env, Share: m.Share}
	for _, f := range []struct {
		comes bool
		to    **os.File
	}{{m.Out, &p.Stdout}, {m.Err, &p.Stderr}, {m.Program, &p.File}} {
		if !f.comes {
			continue
		}
		if len(files) == 0 {
			return errors.New("a file did not come along")
		}
		*f.to, files = files[0], files[1:]
	}
	ended, err := d.keeper.Start(c, p)
	if err != nil {
		return err
	}
	go func() { // ends with the program, at the latest with the keeper
		end := message{Cell: c.ID}
		if how := <-ended; how != nil {
			end.Error = how.Error()
		}
		d.say(end)
	}()
	return nil
}
