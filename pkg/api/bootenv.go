package api

import (
	"fmt"
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
	Loaders        map[string]string `json:",omitempty"`
}

// OsInfo names an operating system and the medium or image it comes from.
type OsInfo struct {
	Name      string
	Family    string `json:",omitempty"`
	Codename  string `json:",omitempty"`
	Version   string `json:",omitempty"`
	IsoFile   string `json:",omitempty"`
	IsoSha256 string `json:",omitempty"`
	IsoUrl    string `json:",omitempty"`
	// SupportedArchitectures by name, as DRP or the distribution has them.
	SupportedArchitectures map[string]ArchInfo `json:",omitempty"`
}

// BootEnvs, available once the files that they name are here and intact.
var BootEnvs = &resource.Kind[BootEnv]{
	Name: "bootenvs", Key: func(o *BootEnv) string { return o.Name },
	Common: func(o *BootEnv) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[BootEnv]{
		{Name: ByName, Of: func(o *BootEnv) []string { return one(o.Name) }, Unique: true},
		{Name: "OsName", Of: func(o *BootEnv) []string { return one(o.OS.Name) }},
		{Name: "OnlyUnknown", Of: func(o *BootEnv) []string { return []string{fmt.Sprint(o.OnlyUnknown)} }},
	},
	Default: func(o *BootEnv) {
		o.Initrds, o.RequiredParams, o.OptionalParams = full(o.Initrds), full(o.RequiredParams), full(o.OptionalParams)
		if o.Templates == nil {
			o.Templates = []TemplateInfo{}
		}
		if o.OS.Name == "" {
			o.OS.Name = o.Name
		}
	},
	Validate: (*BootEnv).problems,
	Refs:     (*BootEnv).refs,
}

func (o *BootEnv) problems() []string {
	p := problems(named(o.Name, plainName))
	p = append(p, templateProblems(o.Templates)...)
	p = append(p, parseProblem("BootParams", o.BootParams)...)
	if o.OS.IsoSha256 != "" && len(o.OS.IsoSha256) != 64 {
		p.add("OS.IsoSha256 has %d characters, a SHA-256 has 64 hexadecimal digits", len(o.OS.IsoSha256))
	}
	return p
}

func (o *BootEnv) refs() []resource.Ref {
	out := templateRefs(o.Templates)
	for _, f := range append([]string{o.Kernel}, o.Initrds...) {
		if f != "" {
			out = append(out, resource.Ref{Kind: "files", Key: "files/" + f})
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
func (o *BootEnv) NetBoots() bool { return o.Kernel != "" }

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
	Indexes: []resource.Index[File]{{Name: "Path", Of: func(o *File) []string { return one(o.Path) }, Unique: true}},
}
