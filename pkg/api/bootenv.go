package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// BootEnv is what a machine boots: a kernel and initrds with boot params, or
// its local disk if there is no Kernel.
type BootEnv struct {
	resource.Common
	Documented
	Name           string
	OS             OsInfo
	Kernel         string
	Initrds        []string
	BootParams     string
	Templates      []TemplateInfo
	RequiredParams []string
	OptionalParams []string
	OnlyUnknown    bool
	Loaders        map[string]string // architecture and firmware, as in loaderTypes -> file
}

// OsInfo names an operating system and the medium or image it comes from.
type OsInfo struct {
	Name      string
	Family    string
	Codename  string
	Version   string
	IsoFile   string
	IsoSha256 string
	IsoUrl    string
	// SupportedArchitectures by name, as DRP or the distribution has them.
	SupportedArchitectures map[string]ArchInfo
}

// loaderTypes are the keys of Loaders.
var loaderTypes = []string{"386-pcbios", "amd64-uefi", "arm64-uefi"}

// BootEnvs, available once the files that they name are here and intact.
var BootEnvs = &resource.Kind[BootEnv]{
	Name: "bootenvs", Key: func(o *BootEnv) string { return o.Name },
	Common: func(o *BootEnv) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[BootEnv]{
		keyed(ByName, func(o *BootEnv) string { return o.Name }),
		textual("OsName", func(o *BootEnv) string { return o.OS.Name }),
		boolean("OnlyUnknown", func(o *BootEnv) bool { return o.OnlyUnknown }),
	},
	Default: func(o *BootEnv) {
		o.Initrds, o.RequiredParams, o.OptionalParams = full(o.Initrds), full(o.RequiredParams), full(o.OptionalParams)
		o.Templates = fullTemplates(o.Templates)
		if o.OS.Name == "" {
			o.OS.Name = o.Name
		}
		o.fillMaps()
	},
	Validate: (*BootEnv).problems,
	Refs:     (*BootEnv).refs,
}

func (o *BootEnv) fillMaps() {
	if o.Loaders == nil {
		o.Loaders = map[string]string{}
	}
	if o.OS.SupportedArchitectures == nil {
		o.OS.SupportedArchitectures = map[string]ArchInfo{}
	}
	for name, a := range o.OS.SupportedArchitectures {
		a.Initrds = full(a.Initrds)
		o.OS.SupportedArchitectures[name] = a
	}
}

func (o *BootEnv) problems() []string {
	p := problems(named(o.Name, plainName))
	p.names("Required Param", o.RequiredParams, paramName)
	p.names("Optional Param", o.OptionalParams, paramName)
	p = append(p, pathProblems(o.Templates)...)
	p = append(p, parseProblem("BootParams", o.BootParams)...)
	for _, name := range slices.Sorted(maps.Keys(o.Loaders)) {
		if !slices.Contains(loaderTypes, name) {
			p.add("%s is not a supported loader type: use %s", name, strings.Join(loaderTypes, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.OS.SupportedArchitectures)) {
		if _, ok := SupportedArch(name); !ok {
			p.add("%s is not a supported architecture", name)
		}
		p = append(p, parseProblem("BootParams", o.OS.SupportedArchitectures[name].BootParams)...)
	}
	if o.OS.IsoSha256 != "" && len(o.OS.IsoSha256) != 64 {
		p.add("OS.IsoSha256 has %d characters, a SHA-256 has 64 hexadecimal digits", len(o.OS.IsoSha256))
	}
	return p
}

func (o *BootEnv) refs() []resource.Ref {
	out := append(templateRefs(o.Templates), o.mediaRefs()...)
	for _, f := range append([]string{o.KernelFor("amd64")}, o.InitrdsFor("amd64")...) {
		if at := o.PathFor("amd64", f); f != "" && strings.HasPrefix(at, "files/") { // else it is on the medium
			out = append(out, resource.Ref{Kind: "files", Key: at})
		}
	}
	if o.OS.IsoFile != "" {
		want := strings.ToLower(o.OS.IsoSha256)
		out = append(out, resource.Ref{Kind: "files", Key: "isos/" + o.OS.IsoFile, Check: func(target any) string {
			if f := target.(*File); want != "" && f.SHA256 != want {
				return fmt.Sprintf("image %s has SHA-256 %s, wanted %s: upload the right file", f.Path, f.SHA256, want)
			}
			return ""
		}})
	}
	return out
}

// NetBoots says whether a machine in this environment boots from the network.
func (o *BootEnv) NetBoots() bool {
	for _, a := range o.OS.SupportedArchitectures {
		if a.Kernel != "" {
			return true
		}
	}
	return o.Kernel != ""
}

// OneShot says whether the environment may be served only once for each
// intent: installers, which would otherwise install again and again.
func (o *BootEnv) OneShot() bool { return strings.HasSuffix(o.Name, "-install") }

// File is what is known of one file that drpd keeps: its contents are outside
// the store. Path is "files/..." or "isos/...".
type File struct {
	Path   string
	Size   int64
	SHA256 string // lower-case hexadecimal
}

// Files by path.
var Files = &resource.Kind[File]{
	Name: "files", Key: func(o *File) string { return o.Path },
	Indexes: []resource.Index[File]{keyed("Path", func(o *File) string { return o.Path })},
}
