package api

import (
	"path"
	"strings"
)

// ArchInfo is what a boot environment has for one architecture in place of its
// own fields; what is empty stays as it is there.
type ArchInfo struct {
	IsoFile    string
	Sha256     string
	IsoUrl     string
	Kernel     string
	Initrds    []string
	BootParams string
	Loader     string
}

// NormalArch is SupportedArch, or the name itself if nobody knows it.
func NormalArch(a string) string {
	if arch, ok := SupportedArch(a); ok {
		return arch
	}
	return a
}

// Path is the directory of the static tree with the machine's own files.
func (m *Machine) Path() string { return "machines/" + m.Uuid }

// archInfo finds what the environment has for an architecture, under any of
// the architecture's names.
func (o *BootEnv) archInfo(arch string) (ArchInfo, bool) {
	if a, ok := o.OS.SupportedArchitectures[arch]; ok {
		return a, true
	}
	for name, a := range o.OS.SupportedArchitectures {
		if NormalArch(name) == NormalArch(arch) {
			return a, true
		}
	}
	return ArchInfo{}, false
}

// IsoFor names the medium for an architecture, "" if there is none. The fields
// of the environment itself are for amd64.
func (o *BootEnv) IsoFor(arch string) string {
	if a, ok := o.archInfo(arch); ok {
		return a.IsoFile
	}
	if NormalArch(arch) == "amd64" {
		return o.OS.IsoFile
	}
	return ""
}

// HasMedium says whether the environment boots from a medium, for any
// architecture.
func (o *BootEnv) HasMedium() bool {
	for _, a := range o.OS.SupportedArchitectures {
		if a.IsoFile != "" {
			return true
		}
	}
	return o.OS.IsoFile != ""
}

// KernelFor is the kernel for an architecture.
func (o *BootEnv) KernelFor(arch string) string {
	if a, ok := o.archInfo(arch); ok && a.Kernel != "" {
		return a.Kernel
	}
	return o.Kernel
}

// InitrdsFor are the initrds for an architecture.
func (o *BootEnv) InitrdsFor(arch string) []string {
	if a, ok := o.archInfo(arch); ok && len(a.Initrds) > 0 {
		return a.Initrds
	}
	return o.Initrds
}

// BootParamsFor are the kernel's params for an architecture, not rendered.
func (o *BootEnv) BootParamsFor(arch string) string {
	if a, ok := o.archInfo(arch); ok && a.BootParams != "" {
		return a.BootParams
	}
	return o.BootParams
}

// MediaDir is the directory of the static tree that holds the contents of the
// environment's medium, as DRP lays it out: the system's name, install for
// installers, and the architecture unless it is amd64.
func (o *BootEnv) MediaDir(arch string) string {
	dir := path.Join("/", o.OS.Name)[1:]
	if o.OneShot() {
		dir = path.Join(dir, "install")
	}
	if a := NormalArch(arch); a != "amd64" {
		dir = path.Join(dir, a)
	}
	return dir
}

// PathFor is where the static tree has a file of the environment: on its
// medium, or below files if it has none for the architecture.
func (o *BootEnv) PathFor(arch, file string) string {
	dir := "files"
	if o.IsoFor(arch) != "" && !strings.HasPrefix(file, "files/") {
		dir = o.MediaDir(arch)
	}
	return path.Join(dir, path.Join("/", file)) // no way out of dir
}
