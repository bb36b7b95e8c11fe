package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
)

// paramRepos lists the package repositories that are in scope.
const paramRepos = "package-repositories"

// repo is one entry of param package-repositories, with DRP's names.
type repo struct {
	Tag            string   `json:"tag"`
	OS             []string `json:"os"`
	Arch           string   `json:"arch"` // "any" serves all, but no installer; "" is amd64
	URL            string   `json:"url"`
	PackageType    string   `json:"packageType"`
	RepoType       string   `json:"repoType"` // yum or apt; "" follows from the system
	InstallSource  bool     `json:"installSource"`
	SecuritySource bool     `json:"securitySource"`
	Distribution   string   `json:"distribution"`
	BootLoc        string   `json:"bootloc"`
	Components     []string `json:"components"`

	d  *dot
	os string // for which system it was chosen
}

// R is the dot of the template that asked.
func (r *repo) R() *dot { return r.d }

// Target is the system that the repository was chosen for.
func (r *repo) Target() string { return r.os }

// JoinedComponents are the components, separated by spaces.
func (r *repo) JoinedComponents() string { return strings.Join(r.Components, " ") }

func (r *repo) family() string {
	name, _, _ := strings.Cut(r.os, "-")
	return name
}

func (r *repo) style() string {
	if r.RepoType != "" {
		return r.RepoType
	}
	switch r.family() {
	case "redhat", "rhel", "centos", "scientificlinux", "fedora", "rocky", "alma", "almalinux", "oraclelinux":
		return "yum"
	case "debian", "ubuntu":
		return "apt"
	}
	return ""
}

// UrlFor is where a component of the repository is.
func (r *repo) UrlFor(component string) string {
	if r.InstallSource || r.Distribution == "" || component == "" {
		return r.URL
	}
	switch r.family() {
	case "centos":
		return r.URL + "/" + r.Distribution + "/" + component + "/$basearch"
	case "rocky", "alma", "almalinux":
		return r.URL + "/" + r.Distribution + "/" + component + "/$basearch/os"
	case "scientificlinux":
		return r.URL + "/" + r.Distribution + "/$basearch/" + component
	}
	return r.URL
}

// Install is what a kickstart or preseed says of the repository.
func (r *repo) Install() (string, error) {
	switch r.style() {
	case "yum":
		return r.kickstart()
	case "apt":
		return r.preseed()
	}
	return "", r.unknown()
}

func (r *repo) unknown() error {
	return fmt.Errorf("repository %s: no form is known for %q: give it a repoType of yum or apt", r.Tag, r.os)
}

func (r *repo) kickstart() (string, error) {
	proxy, err := r.proxy()
	if err != nil {
		return "", err
	}
	line := func(name, url string, cost int) string {
		return fmt.Sprintf("repo --name=%q --baseurl=%s --cost=%d%s\n", name, url, cost, proxy)
	}
	if r.InstallSource {
		return "install\nurl --url " + r.URL + "\n" + line(r.Tag, r.URL, 100), nil
	}
	if len(r.Components) == 0 {
		return line(r.Tag, r.URL, 200), nil
	}
	var b strings.Builder
	for _, c := range r.Components {
		b.WriteString(line(r.Tag+"-"+c, r.UrlFor(c), 200))
	}
	return b.String(), nil
}

// proxy is the option for the first of param proxy-servers, "" without.
func (r *repo) proxy() (string, error) {
	if ok, err := r.d.ParamExists("proxy-servers"); err != nil || !ok {
		return "", err
	}
	v, err := r.d.Param("proxy-servers")
	if err != nil {
		return "", err
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		return fmt.Sprintf(" --proxy=%q", fmt.Sprint(list[0])), nil
	}
	return "", nil
}

func (r *repo) preseed() (string, error) {
	parts := map[string]string{}
	for _, name := range []string{"scheme", "host", "path"} {
		v, err := r.d.ParseUrl(name, r.URL)
		if err != nil {
			return "", fmt.Errorf("repository %s: %w", r.Tag, err)
		}
		parts[name] = v
	}
	switch {
	case r.InstallSource:
		return fmt.Sprintf("d-i mirror/protocol string %s\nd-i mirror/http/hostname string %s\nd-i mirror/http/directory string %s\n",
			parts["scheme"], parts["host"], parts["path"]), nil
	case r.family() == "debian":
		return fmt.Sprintf("d-i apt-setup/security_host string %s\n", r.URL), nil
	}
	return fmt.Sprintf("d-i apt-setup/security_host string %s\nd-i apt-setup/security_path string %s\n", parts["host"], parts["path"]), nil
}

// Lines is the repository as an installed system's package manager has it in
// its configuration.
func (r *repo) Lines() (string, error) {
	switch r.style() {
	case "apt":
		return fmt.Sprintf("deb %s %s %s\n", r.URL, r.Distribution, r.JoinedComponents()), nil
	case "yum":
		if len(r.Components) == 0 {
			return yumLines(r.Tag, r.os+" - "+r.Tag, r.URL), nil
		}
		var b strings.Builder
		for _, c := range r.Components {
			b.WriteString(yumLines(r.Tag+"-"+c, r.Tag+" - "+c, r.UrlFor(c)))
		}
		return b.String(), nil
	}
	return "", r.unknown()
}

func yumLines(id, name, url string) string {
	return fmt.Sprintf("\n[%s]\nname=%s\nbaseurl=%s\ngpgcheck=0\n", id, name, url)
}

// os is the system that repositories are wanted for: the machine's, else the
// environment's.
func (d *dot) os() string {
	switch {
	case d.Machine != nil && d.Machine.OS != "":
		return d.Machine.OS
	case d.Env != nil:
		return d.Env.OS.Name
	}
	return ""
}

// repos are the entries of the param that keep wants.
func (d *dot) repos(keep func(*repo) bool) ([]*repo, error) {
	out := []*repo{}
	if ok, err := d.ParamExists(paramRepos); err != nil || !ok {
		return out, err
	}
	v, err := d.Param(paramRepos)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var all []*repo
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("param %s is no list of repositories: %w", paramRepos, err)
	}
	for _, r := range all {
		if r != nil && keep(r) {
			r.d = d
			if r.os == "" && len(r.OS) > 0 {
				r.os = r.OS[0]
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// Repos are the repositories with one of the tags.
func (d *dot) Repos(tags ...string) ([]*repo, error) {
	return d.repos(func(r *repo) bool { return slices.Contains(tags, r.Tag) })
}

// MachineRepos are the repositories for the machine's system and architecture.
// An uploaded medium replaces those that installers would use.
func (d *dot) MachineRepos() ([]*repo, error) {
	local, os, arch := d.localRepo(), d.os(), d.s.c.arch()
	out, err := d.repos(func(r *repo) bool {
		if !slices.Contains(r.OS, os) || local != nil && r.InstallSource {
			return false
		}
		r.os = os
		return r.Arch == "any" && !r.InstallSource || api.NormalArch(orAmd64(r.Arch)) == api.NormalArch(arch)
	})
	if local != nil && local.style() != "apt" { // an apt medium is good for installing only
		out = append([]*repo{local}, out...)
	}
	return out, err
}

func orAmd64(arch string) string {
	if arch == "" {
		return "amd64"
	}
	return arch
}

// InstallRepos are the repository to install from, the uploaded medium first,
// and the one with security updates, if there are such.
func (d *dot) InstallRepos() ([]*repo, error) {
	found, err := d.MachineRepos()
	if err != nil {
		return nil, err
	}
	source := d.localRepo()
	if i := slices.IndexFunc(found, func(r *repo) bool { return r.InstallSource }); source == nil && i >= 0 {
		source = found[i]
	}
	if source == nil {
		return []*repo{}, nil
	}
	out := []*repo{source}
	if i := slices.IndexFunc(found, func(r *repo) bool { return r.SecuritySource }); i >= 0 {
		out = append(out, found[i])
	}
	return out, nil
}

// localRepo is the uploaded medium of the machine's system, nil without.
func (d *dot) localRepo() *repo {
	os, arch := d.os(), d.s.c.arch()
	if os == "" || d.s.c.Has == nil {
		return nil
	}
	for env := range api.BootEnvs.By(d.s.c.Reader, "OsName", os) {
		if env.IsoFor(arch) == "" || !d.s.c.Has(env.PathFor(arch, env.KernelFor(arch))) {
			continue
		}
		r := &repo{Tag: env.Name, OS: []string{os}, Arch: arch, InstallSource: true, SecuritySource: false,
			URL: d.ProvisionerURL() + "/" + env.PathFor(arch, ""), d: d, os: os}
		if r.style() == "apt" {
			if !d.s.c.Has(env.PathFor(arch, "dists/stable/Release")) {
				continue
			}
			r.Distribution, r.Components = "stable", []string{"main", "restricted"}
		}
		return r
	}
	return nil
}
