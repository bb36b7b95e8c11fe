//go:build linux

package keeper

import "golang.org/x/sys/unix"

// What differs between machines: the name of the architecture, the first number
// that is a call of another interface, calls that only this one has.
const (
	arch    = unix.AUDIT_ARCH_X86_64
	foreign = 0x40000000 // x32
)

var deniedHere = []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE,
	unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS__SYSCTL, unix.SYS_USTAT, unix.SYS_SYSFS}
