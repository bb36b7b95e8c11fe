package pxe

import (
	"fmt"
	"net/netip"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Client architectures (DHCP option 93, IANA "Processor Architecture Types").
const (
	ArchBIOS      = 0
	ArchEFIx64    = 7
	ArchEFIx64Alt = 9 // named EFI BC, sent by x64 firmware all the same
	ArchEFIArm64  = 11
	ArchHTTPx64   = 16
	ArchHTTPArm64 = 19
)

// BootQuery is what DHCP knows of a client that asks for a boot file.
type BootQuery struct {
	MAC        string     // lower case, with colons
	Addr       netip.Addr // the address that it has or gets
	Server     netip.Addr // where it reaches us
	Arch       uint16     // option 93
	IPXE       bool       // user class iPXE
	NoHTTP     bool       // an iPXE that says it cannot speak HTTP
	HTTPClient bool       // UEFI HTTP boot: wants a URL
}

// BootAnswer is the boot file for DHCP to hand out. File is a name for TFTP,
// or a URL; it is "" if the client cannot be booted, and Why says the reason.
type BootAnswer struct {
	File string
	Env  string // what it will boot, "" for its disk
	Why  string
}

// Boot chooses the boot file. A machine that shall boot its disk gets a loader
// too: the script that follows boots the disk, where silence would make some
// firmware wait for minutes.
func (s *Server) Boot(r resource.Reader, q BootQuery) BootAnswer {
	p := planFor(r, q.MAC, q.Addr)
	a := BootAnswer{Why: p.local}
	if p.local == "" {
		a.Env = p.env.Name
	}
	if q.IPXE && !q.NoHTTP {
		a.File = s.url(q.Server, "default.ipxe")
		return a
	}
	name := s.loaderFor(r, p, q)
	switch {
	case name == "":
		a.Why = fmt.Sprintf("no boot loader for client architecture %d in %s", q.Arch, s.cfg.Loaders)
	case q.HTTPClient || q.Arch == ArchHTTPx64 || q.Arch == ArchHTTPArm64:
		a.File = s.url(q.Server, name)
	default:
		a.File = name
	}
	return a
}

// loaderFor names a loader that is really there.
func (s *Server) loaderFor(r resource.Reader, p plan, q BootQuery) string {
	platform, names := builtIn(q)
	if p.env != nil && p.local == "" {
		// The environment's own loader first, for instance a signed shim.
		names = append([]string{p.env.Loaders[platform]}, names...)
	}
	for _, n := range names {
		if s.loader(n) != "" || (strings.HasPrefix(n, "files/") && api.Files.Has(r, n)) {
			return n
		}
	}
	return ""
}

// builtIn lists loaders by preference. An iPXE without HTTP is replaced by a
// full one, never by one that it could be itself.
func builtIn(q BootQuery) (platform string, names []string) {
	switch q.Arch {
	case ArchBIOS:
		if q.IPXE {
			return "amd64-bios", []string{"ipxe.pxe"}
		}
		return "amd64-bios", []string{"undionly.kpxe", "ipxe.pxe"}
	case ArchEFIx64, ArchEFIx64Alt, ArchHTTPx64:
		if q.IPXE {
			return "amd64-uefi", []string{"ipxe.efi"}
		}
		return "amd64-uefi", []string{"snponly.efi", "ipxe.efi"}
	case ArchEFIArm64, ArchHTTPArm64:
		return "arm64-uefi", []string{"snponly-arm64.efi", "ipxe-arm64.efi"}
	}
	return "", nil
}

func (s *Server) url(server netip.Addr, path string) string {
	return fmt.Sprintf("http://%s/%s", netip.AddrPortFrom(server, uint16(s.cfg.HTTPPort)), path)
}
