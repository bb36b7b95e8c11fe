package image

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// debianKeyring holds the keys of Debian's archives, on Debian and, by the
// package debian-archive-keyring, on Ubuntu.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Packages says where Debian packages come from.
type Packages struct {
	// Suite is the Debian release; default bookworm.
	Suite string
	// Mirror is the URL of a Debian mirror, the directory that holds dists and
	// pool. When given, packages come from there alone, with security updates
	// only as far as they have reached a point release.
	Mirror string
	// Sources are apt source files, used when there is no Mirror; default those
	// of this machine that name Suite.
	Sources []string
}

func (p Packages) withDefaults() Packages {
	if p.Suite == "" {
		p.Suite = "bookworm"
	}
	return p
}

// aptSetup is an apt of its own below the cache: lists, downloads, sources and
// the file of installed packages. Of the building machine it takes the proxy
// and the trusted keys, so that another distribution's release, pins and hooks
// neither help nor harm.
type aptSetup struct {
	dir     string
	sources []string // source files in dir
}

// newAptSetup writes the setup for the packages' sources.
func newAptSetup(cache string, p Packages) (aptSetup, error) {
	p = p.withDefaults()
	files, err := aptSources(p)
	if err != nil {
		return aptSetup{}, err
	}
	if p.Mirror != "" && !haveKeyring() {
		return aptSetup{}, fmt.Errorf("keys of debian %w: install them with: apt-get install debian-archive-keyring", errMissing)
	}
	dir, err := filepath.Abs(filepath.Join(cache, "apt"))
	if err != nil {
		return aptSetup{}, err
	}
	a := aptSetup{dir: dir}
	// Sources of an earlier run must not stay beside those of this one.
	if err := os.RemoveAll(a.at("sources")); err != nil {
		return aptSetup{}, err
	}
	for _, sub := range []string{"sources", "lists/partial", "archives/partial"} {
		if err := os.MkdirAll(a.at(sub), 0o755); err != nil {
			return aptSetup{}, err
		}
	}
	files["../apt.conf"], files["../status"] = a.config(), ""
	for name, body := range files {
		file := filepath.Join(a.at("sources"), name)
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			return aptSetup{}, err
		}
	}
	a.sources, err = filepath.Glob(a.at("sources/*"))
	return a, err
}

func (a aptSetup) at(name string) string { return filepath.Join(a.dir, name) }

// config is read after all of the machine's own (apt-get -c), see apt.conf(5).
func (a aptSetup) config() string {
	set := [][2]string{
		{"Dir::State", a.dir}, {"Dir::State::lists", a.at("lists")}, {"Dir::State::status", a.at("status")},
		{"Dir::Cache", a.dir}, {"Dir::Cache::archives", a.at("archives")},
		{"Dir::Etc::sourcelist", "/dev/null"}, {"Dir::Etc::sourceparts", a.at("sources")},
		{"Dir::Etc::preferences", "/dev/null"}, {"Dir::Etc::preferencesparts", "/dev/null"},
		{"Acquire::Languages", "none"},
		// The user that downloads otherwise cannot write below a private directory.
		{"APT::Sandbox::User", "root"},
	}
	if haveKeyring() {
		set = append(set, [2]string{"Dir::Etc::trusted", debianKeyring})
	}
	// Hooks that desktops and containers run after an update.
	text := "#clear APT::Update;\n"
	for _, s := range set {
		text += fmt.Sprintf("%s %q;\n", s[0], s[1])
	}
	return text
}

// update fetches the lists of packages; what did not change is not sent again.
func (a aptSetup) update(ctx context.Context) error {
	if _, err := run(ctx, "", "apt-get", "-c", a.at("apt.conf"), "-q", "-o", "APT::Update::Error-Mode=any", "update"); err != nil {
		return fmt.Errorf("update package lists from %s: %w", strings.Join(a.sources, " "), err)
	}
	return nil
}

// bootstrapArgs let mmdebstrap trust what the setup trusts.
func (a aptSetup) bootstrapArgs() []string {
	if !haveKeyring() {
		return nil
	}
	return []string{"--keyring=" + debianKeyring}
}

func haveKeyring() bool {
	_, err := os.Stat(debianKeyring)
	return err == nil
}

// aptSources returns the source files to use, contents by name.
func aptSources(p Packages) (map[string]string, error) {
	if p.Mirror != "" {
		line, err := mirrorLine(p)
		return map[string]string{"debian.list": line}, err
	}
	found := p.Sources
	if len(found) == 0 {
		for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
			files, err := filepath.Glob(pattern)
			if err != nil {
				return nil, err
			}
			found = append(found, files...)
		}
	}
	offering := map[string]string{}
	for _, file := range found {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read apt sources: %w", err)
		}
		if !strings.Contains(string(body), p.Suite) {
			continue
		}
		name := filepath.Base(file)
		if ext := filepath.Ext(name); ext != ".list" && ext != ".sources" {
			name += ".list"
		}
		offering[name] = string(body)
	}
	if len(offering) == 0 {
		return nil, fmt.Errorf("no apt source of this machine names Debian's %s: set DEBIAN_MIRROR to the URL of a Debian mirror, the directory that holds dists and pool", p.Suite)
	}
	return offering, nil
}

// mirrorLine is the source of the mirror in apt's one-line format. The line
// also becomes the image's own source, so it must not hold a password.
func mirrorLine(p Packages) (string, error) {
	u, err := url.Parse(p.Mirror)
	if err != nil {
		return "", fmt.Errorf("debian mirror: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.ContainsAny(p.Mirror, " \t\r\n") {
		return "", fmt.Errorf("debian mirror %s: want a plain URL, http or https, without user and spaces", u.Redacted())
	}
	return fmt.Sprintf("deb [signed-by=%s] %s %s main\n", debianKeyring, p.Mirror, p.Suite), nil
}
