package render

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"drpd/pkg/api"
)

// bootEnv is .Env: the fields of the object with DRP's methods. What names no
// architecture means the machine's.
type bootEnv struct {
	api.BootEnv
	OS osInfo
	s  *session
}

func newBootEnv(s *session) *bootEnv {
	return &bootEnv{BootEnv: *s.c.Env, OS: osInfo{s.c.Env.OS}, s: s}
}

func (e *bootEnv) arch() string { return e.s.c.arch() }

// arch is that of the machine; unknown ones are asked for amd64.
func (c Context) arch() string {
	if c.Machine != nil && c.Machine.Arch != "" {
		return c.Machine.Arch
	}
	return "amd64"
}

// Kernel is the kernel's path in the environment's files.
func (e *bootEnv) Kernel() string { return e.KernelFor(e.arch()) }

// KernelFor is Kernel for another architecture.
func (e *bootEnv) KernelFor(arch string) string { return e.BootEnv.KernelFor(arch) }

// Initrds are the initrds' paths in the environment's files.
func (e *bootEnv) Initrds() []string { return e.InitrdsFor(e.arch()) }

// InitrdsFor is Initrds for another architecture.
func (e *bootEnv) InitrdsFor(arch string) []string {
	return append([]string{}, e.BootEnv.InitrdsFor(arch)...)
}

// BootParams are the kernel's, rendered.
func (e *bootEnv) BootParams() (string, error) { return e.BootParamsFor(e.arch()) }

// BootParamsFor is BootParams for another architecture. In a script for iPXE
// they begin with the initrd's name, which UEFI kernels want to be told.
func (e *bootEnv) BootParamsFor(arch string) (string, error) {
	out, err := e.s.text("bootenv "+e.Name+": BootParams", e.BootEnv.BootParamsFor(arch))
	if err != nil || !strings.HasSuffix(e.s.c.Path, ".ipxe") {
		return out, err
	}
	if initrds := e.InitrdsFor(arch); len(initrds) > 0 {
		out = "initrd=" + path.Base(initrds[0]) + " " + out
	}
	return out, nil
}

// PathFor is where a file of the environment is found by protocol: tftp gives
// a path, http a URL.
func (e *bootEnv) PathFor(proto, file string) (string, error) {
	return e.PathForArch(proto, file, e.arch())
}

// PathForArch is PathFor for another architecture.
func (e *bootEnv) PathForArch(proto, file, arch string) (string, error) {
	p := e.BootEnv.PathFor(arch, file)
	switch proto {
	case "tftp":
		return p, nil
	case "http":
		return e.s.c.Server.ProvisionerURL + "/" + p, nil
	}
	return "", fmt.Errorf("PathFor knows no protocol %q; use tftp or http", proto)
}

// JoinInitrds lists the initrds by protocol, separated by spaces.
func (e *bootEnv) JoinInitrds(proto string) (string, error) {
	return e.JoinInitrdsFor(proto, e.arch())
}

// JoinInitrdsFor is JoinInitrds for another architecture.
func (e *bootEnv) JoinInitrdsFor(proto, arch string) (string, error) {
	var out []string
	for _, f := range e.InitrdsFor(arch) {
		p, err := e.PathForArch(proto, f, arch)
		if err != nil {
			return "", err
		}
		out = append(out, p)
	}
	return strings.Join(out, " "), nil
}

// InstallUrl is where an installer finds its packages.
func (e *bootEnv) InstallUrl() (string, error) {
	repos, err := e.s.dot.InstallRepos()
	if err != nil {
		return "", err
	}
	if len(repos) == 0 {
		return "", fmt.Errorf("no install repository: upload the ISO %q, or add one for OS %s and architecture %s to param %s",
			e.BootEnv.IsoFor(e.arch()), e.s.dot.os(), e.arch(), paramRepos)
	}
	return repos[0].URL, nil
}

// osInfo is .Env.OS.
type osInfo struct{ api.OsInfo }

// FamilyName is the family, or the part of the name before the version.
func (o osInfo) FamilyName() string {
	if o.Family != "" {
		return o.Family
	}
	name, _, _ := strings.Cut(o.Name, "-")
	return name
}

// FamilyVersion is the version, or the second part of the name.
func (o osInfo) FamilyVersion() string {
	if o.Version != "" {
		return o.Version
	}
	if parts := strings.Split(o.Name, "-"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// FamilyType groups families that install in the same way: rhel or debian,
// else the family itself.
func (o osInfo) FamilyType() string {
	switch f := o.FamilyName(); f {
	case "centos", "redhat", "rhel", "fedora", "scientificlinux", "rocky", "alma", "almalinux":
		return "rhel"
	case "debian", "ubuntu":
		return "debian"
	default:
		return f
	}
}

// VersionEq says whether the version begins with want, part by part: 22.04
// is both 22 and 22.04. Parts that are numbers compare as numbers.
func (o osInfo) VersionEq(want string) bool {
	have, wanted := strings.Split(o.FamilyVersion(), "."), strings.Split(want, ".")
	if len(have) < len(wanted) {
		return false
	}
	for i, w := range wanted {
		a, aErr := strconv.ParseInt(have[i], 10, 64)
		b, bErr := strconv.ParseInt(w, 10, 64)
		if numbers := aErr == nil && bErr == nil; numbers && a != b || !numbers && have[i] != w {
			return false
		}
	}
	return true
}
