// Package disk finds, writes, personalizes, wipes and checks whole disks of the
// machine the agent runs on.
//
// Disks are named by serial number or WWN, never by kernel name, because kernel
// names change from boot to boot. Every operation makes all its checks before
// the first byte is written, and everything written is read back from the
// medium. The package speaks to Linux only.
package disk
