//go:build linux

package plugin

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// programFD is the program's file in the process that becomes it. Its path
// would be no use: it lies where only the server may look.
const programFD = "/proc/self/fd/3"

// Limits of a plugin's process and those that it starts.
const (
	maxData  = 2 << 30 // bytes of private memory
	maxFiles = 4096    // open files
)

// envParent tells Launch the process id of the server.
const envParent = "DRPD_PLUGIN_PARENT"

// Launch turns this process into a plugin's, whose file the server has opened
// for it: it bounds what the process may use and ends it with the server. That
// it gains no rights package child has seen to. args are the program's name and
// arguments.
func Launch(args []string) error {
	runtime.LockOSThread() // what prctl sets is the thread's that becomes the program
	for what, n := range map[int]uint64{unix.RLIMIT_DATA: maxData, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_CORE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", what, n, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to be ended with the server: %w", err)
	}
	if want := os.Getenv(envParent); want != strconv.Itoa(os.Getppid()) {
		return fmt.Errorf("the server (process %s) is gone", want)
	}
	err := os.Unsetenv(envParent)
	// A process that the server starts at the same time may hold the file open
	// for writing for a moment.
	for range 50 {
		err = syscall.Exec(programFD, args, os.Environ())
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("execute the program of provider %s: %w", args[0], err)
}
