// Package image makes the two images a rack boots from.
//
// Discovery makes the initramfs a machine runs before it has an operating
// system: the agent as /init plus the kernel modules that reach its disks and
// network cards. It is a pure function of its inputs: the same agent and kernel
// give the same bytes.
//
// OS makes a Debian disk image that is written to a machine's disk as it is and
// boots from there by SeaBIOS-like and UEFI firmware. It needs root (file
// owners), but no mount, no loop device and no network beyond the apt sources.
//
// Both take Debian packages by an apt setup of their own (see Packages), on any
// machine that has apt. Kernels (see FetchKernel) are kept, like the
// slow half of the OS image, in a cache directory under names made from what
// went into them. Deleting the cache is always safe.
package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// debianPackage says where a program or data file comes from, for the error
// that reports it missing.
var debianPackage = map[string]string{
	"apt-cache":    "apt",
	"apt-get":      "apt",
	"depmod":       "kmod",
	"dpkg-deb":     "dpkg",
	"grub-mkimage": "grub-common",
	"mcopy":        "mtools",
	"mmd":          "mtools",
	"mkfs.fat":     "dosfstools",
	"mke2fs":       "e2fsprogs",
	"mmdebstrap":   "mmdebstrap",
	"sgdisk":       "gdisk",
	"tar":          "tar",
	"xz":           "xz-utils",
	"zstd":         "zstd",
}

// errMissing is wrapped by every error about a program that is not installed.
var errMissing = errors.New("not installed")

// requireTools checks all programs before slow work starts, so that the user
// installs them in one go.
func requireTools(names ...string) error {
	var missing []string
	seen := map[string]bool{}
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil && !seen[debianPackage[name]] {
			seen[debianPackage[name]] = true
			missing = append(missing, debianPackage[name])
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("image tools %w: install them with: apt-get install %s", errMissing, strings.Join(missing, " "))
	}
	return nil
}

// run executes a program in dir ("" for the current one) and returns its
// standard output; what it wrote to standard error ends up in the error.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", name, err, tail(stderr.String(), 16_000))
	}
	return out.Bytes(), nil
}

// tail keeps the end of a long text: programs put the cause last.
func tail(s string, limit int) string {
	s = strings.TrimSpace(s)
	if len(s) > limit {
		return "..." + s[len(s)-limit:]
	}
	return s
}
