//go:build linux

package keeper

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// denied are system calls that nobody in a cell has a use for, and that widen
// what a fault in the kernel could be used for. They fail with EPERM.
var denied = []uintptr{
	// other views of the system
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	// other processes
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
	unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	// the kernel
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_PERSONALITY, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_SYSLOG,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_VHANGUP, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_NFSSERVCTL,
}

// absent are those that programs do without if the kernel has them not: what
// they would do cannot be looked at.
var absent = []uintptr{unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}

// families are the sockets that there are in a cell.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// Offsets in struct seccomp_data, of a machine with the low half first.
const (
	atCall = 0
	atArch = 4
	atArg0 = 16
)

func instruction(code uint16, k uint32, jt, jf uint8) unix.SockFilter {
	return unix.SockFilter{Code: code, K: k, Jt: jt, Jf: jf}
}

func load(at uint32) unix.SockFilter {
	return instruction(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at, 0, 0)
}

func answer(k uint32) unix.SockFilter { return instruction(unix.BPF_RET|unix.BPF_K, k, 0, 0) }

func fails(with unix.Errno) unix.SockFilter {
	return answer(unix.SECCOMP_RET_ERRNO | uint32(with))
}

// when goes into the next n instructions only if the value equals k.
func when(k uint32, n uint8) unix.SockFilter {
	return instruction(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, n)
}

// filter is the program that the kernel asks at each system call.
func filter() []unix.SockFilter {
	list := []unix.SockFilter{
		load(atArch), instruction(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, arch, 1, 0), answer(unix.SECCOMP_RET_KILL_PROCESS),
		load(atCall), instruction(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, foreign, 0, 1), fails(unix.ENOSYS),
	}
	for _, nr := range slices.Concat(denied, deniedHere) {
		list = append(list, when(uint32(nr), 1), fails(unix.EPERM))
	}
	for _, nr := range absent {
		list = append(list, when(uint32(nr), 1), fails(unix.ENOSYS))
	}
	list = append(list, when(unix.SYS_CLONE, 4), load(atArg0),
		instruction(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, newNamespaces, 0, 1), fails(unix.EPERM), answer(unix.SECCOMP_RET_ALLOW))
	list = append(list, when(unix.SYS_SOCKET, uint8(2+2*len(families))), load(atArg0))
	for _, f := range families {
		list = append(list, when(f, 1), answer(unix.SECCOMP_RET_ALLOW))
	}
	return append(list, fails(unix.EAFNOSUPPORT), answer(unix.SECCOMP_RET_ALLOW))
}

// restrict puts the filter on this thread and what it becomes.
func restrict() error {
	list := filter()
	prog := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("set the filter of system calls (seccomp): %w", err)
	}
	return nil
}
