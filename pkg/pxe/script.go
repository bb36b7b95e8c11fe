package pxe

import (
	"fmt"
	"path"
	"strings"
)

// dispatch sends an iPXE on to the script of its own MAC address; netX is the
// interface that it booted from. If that fails it boots the disk.
func dispatch(base string) string {
	return "#!ipxe\n" +
		"chain --autofree " + base + "${netX/mac:hexhyp}.ipxe ||\n" + localTail
}

// localTail leaves iPXE for the disk. A BIOS boots it through sanboot. EFI
// firmware takes its next boot option only if iPXE returns an error: after a
// success it shows its menu.
const localTail = "iseq ${platform} efi && exit 1 ||\n" +
	"sanboot --no-describe --drive 0x80 || exit 1\n" +
	"exit 1\n"

// ipxeLocal tells iPXE to boot the disk, and says why.
func ipxeLocal(name, why string) string {
	return fmt.Sprintf("#!ipxe\necho drpd: %s boots its local disk: %s\n%s", plain(name), plain(why), localTail)
}

// load is what a boot script loads: names under the static tree, and params.
type load struct {
	who, env string
	kernel   string
	initrds  []string
	params   string
}

// ipxe boots over HTTP from base. A transfer that fails is tried again twice,
// then the disk is booted: nothing was started yet.
func (l load) ipxe(base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!ipxe\necho drpd: %s boots %s\nset tries:int32 0\n:again\nimgfree\n", plain(l.who), plain(l.env))
	args := ""
	for _, n := range l.names() {
		args += " initrd=" + n
	}
	fmt.Fprintf(&b, "kernel %s%s%s %s || goto failed\n", base, l.kernel, args, l.params)
	for i, n := range l.names() {
		fmt.Fprintf(&b, "initrd --name %s %s%s || goto failed\n", n, base, l.initrds[i])
	}
	b.WriteString("boot || goto failed\n:failed\ninc tries\niseq ${tries} 3 && goto disk ||\nsleep 2\ngoto again\n:disk\nimgfree\n" + localTail)
	return b.String()
}

// names gives every initrd a name of its own.
func (l load) names() []string {
	out := make([]string, len(l.initrds))
	seen := map[string]bool{}
	for i, f := range l.initrds {
		n := path.Base(f)
		if seen[n] {
			n = fmt.Sprintf("%d-%s", i, n)
		}
		seen[n] = true
		out[i] = n
	}
	return out
}

// pxelinux boots from the TFTP root.
func (l load) pxelinux() string {
	return fmt.Sprintf("DEFAULT drpd\nPROMPT 0\nTIMEOUT 1\nLABEL drpd\n  KERNEL %s\n  APPEND initrd=%s %s\n  IPAPPEND 2\n",
		l.kernel, strings.Join(l.initrds, ","), l.params)
}

func pxelinuxLocal(name, why string) string {
	return fmt.Sprintf("# %s: %s\nDEFAULT local\nPROMPT 0\nTIMEOUT 1\nLABEL local\n  LOCALBOOT 0\n", plain(name), plain(why))
}

// grub boots from the device that GRUB itself came from.
func (l load) grub() string {
	rds := ""
	for _, f := range l.initrds {
		rds += " /" + f
	}
	return fmt.Sprintf("set timeout=0\nmenuentry drpd {\n  linux /%s %s\n  initrd%s\n}\n", l.kernel, l.params, rds)
}

func grubLocal(name, why string) string {
	return fmt.Sprintf("# %s: %s\nexit 1\n", plain(name), plain(why))
}

// plain makes text safe on one line of any boot script: no expansion, no
// command separator, at most 200 bytes.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune("${}|&#", c) {
			return ' '
		}
		return c
	}, s)
	return s[:min(len(s), 200)]
}

// LocalScript is the script at a path that boots the disk, in the path's
// language; "" if no loader looks for a script there.
func LocalScript(path, why string) string {
	name := strings.TrimPrefix(path, "/")
	b, ok := parseBootName(name)
	if !ok && !strings.HasSuffix(name, ".ipxe") {
		return ""
	}
	return localScript(b.lang, "this machine", why)
}
