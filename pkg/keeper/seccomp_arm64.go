//go:build linux

package keeper

import "golang.org/x/sys/unix"

// What differs between machines: the name of the architecture, the first number
// that is a call of another interface, calls that only this one has.
const (
	arch    = unix.AUDIT_ARCH_AARCH64
	foreign = 0xffffffff
)

var deniedHere []uintptr
