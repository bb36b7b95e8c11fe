package api

import (
	"net"
	"slices"
	"strings"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

func (m *Machine) fill(role string) {
	if m.Uuid == "" {
		m.Uuid = uuid.NewString()
	}
	if m.Secret == "" {
		m.Secret = uuid.NewString()
	}
	if m.Arch == "" {
		m.Arch = "amd64"
	}
	if arch, ok := SupportedArch(m.Arch); ok {
		m.Arch = arch
	}
	if m.Pool == "" {
		m.Pool = "default"
	}
	if m.PoolStatus == "" {
		m.PoolStatus = Free
	}
	if role != "cluster" { // only of clusters it means something
		m.Protected, m.ProtectedBy = false, ""
	}
	if role == "machine" {
		m.markUsed()
	}
	// A plain machine is known by having no role, as DRP has it.
	if m.Meta["machine-role"] == "" && role != "machine" {
		m.Meta["machine-role"] = role
	}
	for i, a := range m.HardwareAddrs {
		m.HardwareAddrs[i] = spelledMAC(a)
	}
	m.HardwareAddrs, m.Tasks, m.Profiles = full(m.HardwareAddrs), full(m.Tasks), full(m.Profiles)
	m.Params, m.Partial = fullParams(m.Params), false
	if m.TaskErrorStacks == nil {
		m.TaskErrorStacks = []TaskStack{}
	}
	for i := range m.TaskErrorStacks {
		m.TaskErrorStacks[i].TaskList = full(m.TaskErrorStacks[i].TaskList)
	}
	m.Fingerprint.fill()
}

func (f *Fingerprint) fill() {
	if f.SSNHash == nil {
		f.SSNHash = []byte{}
	}
	if f.CSNHash == nil {
		f.CSNHash = []byte{}
	}
	if f.MemoryIds == nil {
		f.MemoryIds = [][]byte{}
	}
}

func full(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// arches are the architectures that DRP knows, each with its other names.
var arches = map[string][]string{
	"amd64": {"x86_64"}, "386": {"486", "686", "i386", "i486", "i686"}, "arm": {"armel", "armhfp"}, "arm64": {"aarch64"},
	"ppc64": {"power9"}, "ppc64le": nil, "mips64": nil, "mips64le": {"mips64el"}, "s390x": nil, "mips": nil, "mipsle": {"mipsel"},
	"rpi4": nil, // arm64 that says it is amd64; wants files of its own
}

// SupportedArch is the name that an architecture goes by here, as Go calls it.
func SupportedArch(name string) (arch string, ok bool) {
	name = strings.ToLower(name)
	if _, ok := arches[name]; ok {
		return name, true
	}
	for arch, others := range arches {
		if slices.Contains(others, name) {
			return arch, true
		}
	}
	return "", false
}

func (m *Machine) problems() []string {
	p := problems{}
	p.name("Name", m.Name, machineName)
	p.uuid("Uuid", m.Uuid)
	p.optional("Workflow", m.Workflow)
	p.optional("Stage", m.Stage)
	p.optional("BootEnv", m.BootEnv)
	p.names("Profile", m.Profiles, machineName)
	p = append(p, paramNames(m.Params)...)
	p = append(p, taskProblems(m.Tasks)...)
	if m.Address != "" && net.ParseIP(m.Address).To4() == nil {
		p.add("Address %q is not an IPv4 address", m.Address)
	}
	if _, ok := SupportedArch(m.Arch); !ok {
		p.add("Unsupported arch %s", m.Arch)
	}
	seen := map[string]bool{}
	for _, name := range m.Profiles {
		if seen[name] {
			p.add("profile %q is listed twice", name)
		}
		seen[name] = true
	}
	for _, a := range m.HardwareAddrs {
		if _, ok := MAC(a); !ok {
			p.add("Invalid Hardware Address `%s`: it is not a MAC address", a)
		}
	}
	if m.CurrentTask < -1 || m.CurrentTask > len(m.Tasks) {
		p.add("CurrentTask %d is outside -1..%d", m.CurrentTask, len(m.Tasks))
	}
	return p
}

// refs come in the same order each time, so that a save sees what changed.
func (m *Machine) refs() []resource.Ref {
	out := make([]resource.Ref, 0, 3+len(m.Profiles))
	for _, r := range []resource.Ref{
		{Kind: "workflows", Key: m.Workflow, Keep: true},
		{Kind: "stages", Key: m.Stage, Keep: true},
		{Kind: "bootenvs", Key: m.BootEnv, Keep: true, Check: forKnown},
	} {
		if r.Key != "" {
			out = append(out, r)
		}
	}
	for _, p := range m.Profiles {
		out = append(out, resource.Ref{Kind: "profiles", Key: p, Keep: true})
	}
	return out
}

// forKnown says why a machine cannot have the boot environment.
func forKnown(target any) string {
	if b := target.(*BootEnv); b.OnlyUnknown {
		return "BootEnv " + b.Name + " does not allow Machine assignments, it has the OnlyUnknown flag."
	}
	return ""
}
