//go:build linux

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"drpd/pkg/child"
)

// StageCmd is the hidden command by which drpd starts itself in the new
// namespaces of a cell.
const StageCmd = "confined"

const initArg = "init"

// Stage makes a cell of the namespaces that this process was started in, becomes
// the cell's user, and executes itself again, with argument init: that is the
// cell's first process, which starts the program and gathers what it leaves.
// args are those after StageCmd. It returns if something is missing: nothing
// ever runs less confined.
func Stage(args []string) error {
	p, err := readPlan()
	if err != nil {
		return err
	}
	if err := keepIn(p.passed()); err != nil {
		return err
	}
	if len(args) > 0 && args[0] == initArg {
		return first(p)
	}
	runtime.LockOSThread() // much of this is the thread's, which becomes the next program
	for _, step := range []func(plan) error{isolate, limit, drop} {
		if err := step(p); err != nil {
			return err
		}
	}
	return fmt.Errorf("execute the first process of the cell: %w", syscall.Exec(self, []string{"drpd", StageCmd, initArg}, nil))
}

// passed is the first descriptor that a stage was not handed on purpose.
func (p plan) passed() int {
	if p.Plugin {
		return fdProgram + 1
	}
	return fdProgram
}

// keepIn keeps all descriptors from first on from whatever this process executes. Go opens none without saying so, but whoever started us may have
// left some open, and what they lead to was opened with their rights.
func keepIn(first int) error {
	err := unix.CloseRange(uint(first), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	list, listErr := os.ReadDir("/proc/self/fd") // a kernel before 5.11
	if listErr != nil {
		return fmt.Errorf("close what was inherited, from descriptor %d on: %w", first, errors.Join(err, listErr))
	}
	for _, e := range list {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= first {
			unix.CloseOnExec(n)
		}
	}
	return nil
}

func readPlan() (p plan, err error) {
	data := make([]byte, maxPlan)
	n, err := unix.Pread(fdPlan, data, 0) // no File, whose end would close what the next program needs
	if err == nil {
		err = json.Unmarshal(data[:n], &p)
	}
	if err != nil || p.User < firstUser {
		return p, errors.Join(errors.New("this command is drpd's own, for what it confines: it was told no user"), err)
	}
	return p, nil
}

const maxPlan = 1 << 20

// limit bounds every process of the cell.
func limit(p plan) error {
	for what, n := range map[int]uint64{unix.RLIMIT_DATA: maxData, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_CORE: 0,
		unix.RLIMIT_NPROC: maxProcs, unix.RLIMIT_MEMLOCK: 1 << 20, unix.RLIMIT_MSGQUEUE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", what, n, err)
		}
	}
	unix.Umask(0o022)
	if p.Plugin { // the server is of the group of its directory and talks to its socket
		unix.Umask(0o007)
	}
	return nil
}

// drop makes this process the cell's user, who has no rights and gains none.
func drop(p plan) error {
	for c := range uintptr(unix.CAP_LAST_CAP + 1) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("give up capability %d: %w", c, err)
		}
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(p.User, p.User, p.User), syscall.Setresuid(p.User, p.User, p.User)); err != nil {
		return fmt.Errorf("become user %d: %w", p.User, err)
	}
	hdr, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		return fmt.Errorf("give up all capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up ambient capabilities: %w", err)
	}
	// A change of user takes back what the keeper had asked for.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to be ended with the keeper: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := os.Chdir(child.Home); err != nil {
		return err
	}
	return restrict()
}
