//go:build linux

// Package keeper confines what runs for the server. A drpd that root starts
// stays as a small keeper: it starts the server as a user of its own, and at the
// server's word starts runners of contexts and programs of plugins, each in a
// cell: a user of its own, namespaces in which it sees only itself, a directory
// in memory, no capabilities, a filter of system calls, limits. The server names
// no program by its path: it can have drpd itself run, or a file that it hands
// over.
package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"drpd/pkg/child"
)

// Config makes a Direct.
type Config struct {
	// Stage is the command that calls Stage, program first; default this program
	// with argument confined.
	Stage []string
	// Runner is the program of a context runner; default this program with
	// argument context-runner.
	Runner []string
	// Group is that of the server, which may look into the cells' directories.
	Group int
	// Hide lists directories that those in cells do not see: the server's data.
	Hide []string
}

// Limits of what runs in a cell.
const (
	maxCells = 512      // at once
	scratch  = "1g"     // of the directory, in memory
	inodes   = "100000" // files in it
	maxData  = 2 << 30  // bytes of private memory of each process
	maxFiles = 4096     // open files of each process
	maxProcs = 1024     // processes and threads of a cell
)

// Direct is the child.Keeper that does it itself. It needs to be root.
type Direct struct {
	cfg Config

	mu    sync.Mutex // guards below
	cells map[int]*cell
	last  int // id
}

// cell is one that is open.
type cell struct {
	*child.Cell
	lock  *os.File // by which its user is taken
	stage *os.Process
	ended chan struct{} // closed when the program has ended; nil: none was started
}

// NewDirect fills in the defaults of cfg.
func NewDirect(cfg Config) *Direct {
	if len(cfg.Stage) == 0 {
		cfg.Stage = []string{self, StageCmd}
	}
	if len(cfg.Runner) == 0 {
		cfg.Runner = []string{self, "context-runner"}
	}
	return &Direct{cfg: cfg, cells: map[int]*cell{}}
}

// self is this program, wherever it lies.
const self = "/proc/self/exe"

// Open implements child.Keeper.
func (d *Direct) Open() (*child.Cell, error) {
	if os.Geteuid() != 0 {
		return nil, child.ErrRefused
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cells) >= maxCells {
		return nil, fmt.Errorf("%d processes are confined at once, no more", maxCells)
	}
	user, lock, err := takeUser()
	if err != nil {
		return nil, err
	}
	dir, err := newScratch(user, d.cfg.Group)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a directory in memory for a confined process: %w", err), lock.Close())
	}
	d.last++
	c := &cell{Cell: &child.Cell{ID: d.last, User: user, Dir: dir}, lock: lock}
	d.cells[d.last] = c
	return c.Cell, nil
}

// newScratch makes a file system in memory that is mounted nowhere yet: it is
// there as long as somebody holds it. What is made in it belongs to the server's
// group.
func newScratch(user, group int) (*os.File, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	for k, v := range map[string]string{"size": scratch, "nr_inodes": inodes, "mode": "2770", "uid": strconv.Itoa(user), "gid": strconv.Itoa(group)} {
		if err := unix.FsconfigSetString(fs, k, v); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", k, v, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "cell"), nil
}

func (d *Direct) find(c *child.Cell) (*cell, error) {
	if x := d.cells[c.ID]; x != nil {
		return x, nil
	}
	return nil, fmt.Errorf("cell %d is not open", c.ID)
}

// Start implements child.Keeper.
func (d *Direct) Start(c *child.Cell, p child.Program) (<-chan error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, err := d.find(c)
	if err != nil {
		return nil, err
	}
	if x.ended != nil {
		return nil, fmt.Errorf("cell %d has had its program", c.ID)
	}
	plan := plan{User: x.User, Args: p.Args, Env: p.Env, Share: p.Share, Hide: d.cfg.Hide, Plugin: p.File != nil}
	if !plan.Plugin {
		plan.Program, plan.Args = d.cfg.Runner[0], d.cfg.Runner
	}
	text, err := plan.file()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	alive, held, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer alive.Close()
	cmd := d.command(x, p, text, alive)
	over, err := start(cmd, unix.SIGKILL, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a confined process: %w", hint(err)), held.Close())
	}
	x.stage, x.ended = cmd.Process, make(chan struct{})
	done := make(chan error, 1)
	go func() { // ends with the process, which Close sees to
		how := <-over
		_ = held.Close()
		close(x.ended)
		done <- worded(how)
	}()
	return done, nil
}

// worded tells a signal that ended the program, which the first process of the
// cell tells by its exit status like a shell.
func worded(how error) error {
	if e, ok := errors.AsType[*exec.ExitError](how); ok && e.ExitCode() > 128 && e.ExitCode() < 128+65 {
		return fmt.Errorf("signal: %s", syscall.Signal(e.ExitCode()-128))
	}
	return how
}

// What a stage finds open, after the standard streams.
const (
	fdPlan    = 3 + iota // what it shall do
	fdAlive              // ends with the keeper
	fdLock               // held while anything of the cell lives
	fdDir                // the cell's directory
	fdProgram            // the program, of a plugin
)

func (d *Direct) command(x *cell, p child.Program, text, alive *os.File) *exec.Cmd {
	cmd := exec.Command(d.cfg.Stage[0], d.cfg.Stage[1:]...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.ExtraFiles = []*os.File{text, alive, x.lock, x.Dir}
	if p.File != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, p.File)
	}
	if p.Stdout != nil {
		cmd.Stdout = p.Stdout
	}
	if p.Stderr != nil {
		cmd.Stderr = p.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP}
	return cmd
}

// hint says what a kernel that refuses refuses.
func hint(err error) error {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the kernel gives no new PID, mount, IPC, UTS and cgroup namespace: %w (in a container, allow CAP_SYS_ADMIN and unshare)", err)
	}
	return err
}

// Signal implements child.Keeper.
func (d *Direct) Signal(c *child.Cell, sig syscall.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, err := d.find(c)
	if err != nil || x.stage == nil {
		return err
	}
	return x.stage.Signal(sig)
}

// Close implements child.Keeper.
func (d *Direct) Close(c *child.Cell) error {
	d.mu.Lock()
	x, err := d.find(c)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if x.ended != nil {
		_ = x.stage.Kill() // the first process of its namespace: all others end with it
		<-x.ended
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cells[c.ID] != x {
		return nil
	}
	delete(d.cells, c.ID)
	return errors.Join(x.Dir.Close(), x.lock.Close())
}

// CloseAll ends everything.
func (d *Direct) CloseAll() {
	d.mu.Lock()
	var all []*child.Cell
	for _, x := range d.cells {
		all = append(all, x.Cell)
	}
	d.mu.Unlock()
	for _, c := range all {
		_ = d.Close(c)
	}
}

// plan is what a stage is told.
type plan struct {
	User    int
	Plugin  bool   // the program is fdProgram
	Program string // else
	Args    []string
	Env     []string
	Share   string
	Hide    []string
}

// file is the plan in memory.
func (p plan) file() (*os.File, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("plan", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "plan")
	if _, err := f.WriteAt(data, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// start starts a command on a thread of its own, after prepare was called there,
// and waits for it there: the kernel tells a process that its parent died when
// the thread ends that started it. The thread is never unlocked, so that it ends
// then and serves nobody else.
func start(cmd *exec.Cmd, death syscall.Signal, prepare func() error) (ended <-chan error, err error) {
	began, over := make(chan error, 1), make(chan error, 1)
	cmd.SysProcAttr.Pdeathsig = death
	go onThread(cmd, prepare, began, over) // ends with the process, which its starter sees to
	return over, <-began
}

func onThread(cmd *exec.Cmd, prepare func() error, began, over chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() { // it never ends; while we hold it, others get another
		defer runtime.UnlockOSThread()
		var elsewhere sync.WaitGroup
		elsewhere.Go(func() { onThread(cmd, prepare, began, over) })
		elsewhere.Wait()
		return
	}
	if prepare != nil {
		if err := prepare(); err != nil {
			began <- err
			return
		}
	}
	err := cmd.Start()
	began <- err
	if err == nil {
		over <- cmd.Wait()
	}
}
