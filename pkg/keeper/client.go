//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"

	"drpd/pkg/child"
)

// envSocket tells the server where its keeper is.
const envSocket = "DRPD_KEEPER"

// Client is the child.Keeper of a server that a keeper started.
type Client struct {
	conn *net.UnixConn
	lost chan struct{}

	mu      sync.Mutex // guards below, and what is sent
	seq     int
	waiting map[int]chan reply
	ended   map[int]chan error
	dead    bool
}

type reply struct {
	message
	files []*os.File
}

var errLost = errors.New("the keeper, which confines processes, is gone")

// Kept is the keeper that started this process; nil: none did.
func Kept() (*Client, error) {
	at, ok := os.LookupEnv(envSocket)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(envSocket); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(at)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", envSocket, at, err)
	}
	if err := keepIn(3); err != nil {
		return nil, err
	}
	conn, err := connOf(os.NewFile(uintptr(fd), "keeper"))
	if err != nil {
		return nil, fmt.Errorf("reach the keeper: %w", err)
	}
	return newClient(conn), nil
}

func newClient(conn *net.UnixConn) *Client {
	c := &Client{conn: conn, lost: make(chan struct{}), waiting: map[int]chan reply{}, ended: map[int]chan error{}}
	go c.read() // ends with the keeper
	return c
}

// Lost is closed when the keeper is gone.
func (c *Client) Lost() <-chan struct{} { return c.lost }

func (c *Client) read() {
	for {
		m, files, err := receive(c.conn)
		if err != nil {
			c.gone()
			return
		}
		c.mu.Lock()
		to, over := c.waiting[m.Seq], c.ended[m.Cell]
		delete(c.waiting, m.Seq)
		if m.Seq == 0 {
			delete(c.ended, m.Cell)
		}
		c.mu.Unlock()
		switch {
		case m.Seq != 0 && to != nil:
			to <- reply{m, files}
		case m.Seq == 0 && over != nil:
			over <- errorOf(m)
			fallthrough
		default:
			shut(files)
		}
	}
}

func (c *Client) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, to := range c.waiting {
		close(to)
	}
	for _, over := range c.ended {
		over <- errLost
	}
	clear(c.waiting)
	clear(c.ended)
	close(c.lost)
}

func errorOf(m message) error {
	switch m.Error {
	case "":
		return nil
	case child.ErrRefused.Error():
		return child.ErrRefused
	}
	return errors.New(m.Error)
}

// ask sends a request and waits for the answer.
func (c *Client) ask(m message, files ...*os.File) (reply, error) {
	to := make(chan reply, 1)
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return reply{}, errLost
	}
	c.seq++
	m.Seq = c.seq
	c.waiting[m.Seq] = to
	err := send(c.conn, m, files...)
	if err != nil {
		delete(c.waiting, m.Seq)
	}
	c.mu.Unlock()
	if err != nil {
		return reply{}, fmt.Errorf("ask the keeper: %w", err)
	}
	r, ok := <-to
	if !ok {
		return r, errLost
	}
	return r, errorOf(r.message)
}

// Open implements child.Keeper.
func (c *Client) Open() (*child.Cell, error) {
	r, err := c.ask(message{Op: opOpen})
	if err == nil && len(r.files) != 1 {
		err = errors.New("the keeper gave no directory")
	}
	if err != nil {
		shut(r.files)
		return nil, err
	}
	return &child.Cell{ID: r.Cell, User: r.User, Dir: r.files[0]}, nil
}

// Start implements child.Keeper.
func (c *Client) Start(cell *child.Cell, p child.Program) (<-chan error, error) {
	over := make(chan error, 1)
	c.mu.Lock()
	c.ended[cell.ID] = over
	c.mu.Unlock()
	m, files := message{Op: opStart, Cell: cell.ID, Args: p.Args, Env: p.Env, Share: p.Share}, []*os.File{}
	for _, f := range []struct {
		file  *os.File
		comes *bool
	}{{p.Stdout, &m.Out}, {p.Stderr, &m.Err}, {p.File, &m.Program}} {
		if f.file != nil {
			*f.comes, files = true, append(files, f.file)
		}
	}
	if _, err := c.ask(m, files...); err != nil {
		c.mu.Lock()
		delete(c.ended, cell.ID)
		c.mu.Unlock()
		return nil, err
	}
	return over, nil
}

// Signal implements child.Keeper.
func (c *Client) Signal(cell *child.Cell, sig syscall.Signal) error {
	_, err := c.ask(message{Op: opSignal, Cell: cell.ID, Signal: int(sig)})
	return err
}

// Close implements child.Keeper.
func (c *Client) Close(cell *child.Cell) error {
	_, err := c.ask(message{Op: opClose, Cell: cell.ID})
	return errors.Join(err, cell.Dir.Close())
}
