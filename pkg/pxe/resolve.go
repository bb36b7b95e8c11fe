package pxe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// Why a request is not answered with a file.
var (
	ErrNotFound = errors.New("no such file")
	ErrBadName  = errors.New("bad file name")
)

// maxName bounds a file name, in bytes.
const maxName = 255

// Request asks for one file.
type Request struct {
	Ctx    context.Context // nil: nobody ends it
	Path   string          // as the client sent it
	Client netip.Addr      // who asks
	Server netip.Addr      // the address of ours that it asked
}

// Answer is one file: Body if it was rendered, else File, which the caller
// closes.
type Answer struct {
	Path string // the cleaned name
	Body string
	File *os.File
	MAC  string // of the client, "" if it is not known
	Step string // for the flight recorder: "kernel", or "" for a plain read

	machine *api.Machine
	intent  string // must be claimed before Body goes out
}

// CleanPath checks a file name from the network and returns it without the
// leading slash that some firmware sends.
func CleanPath(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrBadName, len(name), maxName)
	}
	p := strings.TrimPrefix(name, "/")
	for _, c := range []byte(p) {
		if c < ' ' || c == 0x7f || c == '\\' {
			return "", fmt.Errorf("%w %q: no control characters or backslashes", ErrBadName, name)
		}
	}
	if p == "" || p[0] == '/' || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("%w %q: want a path below the root, without empty, . or .. parts", ErrBadName, name)
	}
	return p, nil
}

// Resolve finds what a file name means for the client that asks. It changes
// nothing; serving the answer of a one-shot environment also takes a claim,
// which the TFTP and HTTP servers make.
func (s *Server) Resolve(r resource.Reader, q Request) (*Answer, error) {
	name, err := CleanPath(q.Path)
	if err != nil {
		return nil, err
	}
	q.Path = name
	a := &Answer{Path: name, MAC: leasedTo(r, q.Client)}
	switch {
	case s.loader(name) != "":
		a.File, err = os.Open(s.loader(name))
		return a, err
	case name == "default.ipxe":
		s.defaultScript(r, q, a)
		return a, nil
	}
	if err := s.blob(r, q, a); !errors.Is(err, ErrNotFound) || strings.HasPrefix(name, "files/") || strings.HasPrefix(name, "isos/") {
		return a, err
	}
	if b, ok := parseBootName(name); ok {
		return a, s.bootScript(r, q, b, a)
	}
	return a, s.template(r, q, a)
}

// blob opens a stored file.
func (s *Server) blob(r resource.Reader, q Request, a *Answer) error {
	f, err := s.stored(r, q.Path)
	if err != nil {
		return err
	}
	a.File = f
	if p := planFor(r, a.MAC, q.Client); p.env != nil && p.env.PathFor(p.arch(), p.env.KernelFor(p.arch())) == q.Path {
		a.Step = "kernel"
	}
	return nil
}

// defaultScript is the first one that every iPXE asks for: the environment for
// unknown machines may bring its own, which looks for the others first.
func (s *Server) defaultScript(r resource.Reader, q Request, a *Answer) {
	a.Body = dispatch(s.url(q.Server, ""))
	env, err := api.BootEnvs.Get(r, envName(r, nil))
	if err != nil || !env.Available {
		return
	}
	switch body, err := s.fromTemplates(r, q, nil, env); {
	case err == nil:
		a.Body = body
	case !errors.Is(err, ErrNotFound):
		s.cfg.Log.Error("boot script cannot be rendered", "path", q.Path, "env", env.Name, "err", err)
	}
}

// bootName is a boot script's name taken apart: in which language, for whom.
type bootName struct {
	lang string // ipxe, pxelinux, grub
	mac  string
	addr netip.Addr // neither: whoever asks
}

// parseBootName knows the names that loaders ask for.
func parseBootName(name string) (bootName, bool) {
	dir, base := path.Split(name)
	b := bootName{}
	switch {
	case dir == "" && strings.HasSuffix(base, ".ipxe"):
		b.lang, base = "ipxe", strings.TrimSuffix(base, ".ipxe")
	case dir == "pxelinux.cfg/":
		b.lang = "pxelinux"
		if base == "default" {
			return b, true
		}
		if rest, ok := strings.CutPrefix(base, "01-"); ok {
			base = rest
		}
	case dir == "grub/" && base == "grub.cfg":
		b.lang = "grub"
		return b, true
	case dir == "grub/" && strings.HasPrefix(base, "grub.cfg-"):
		b.lang, base = "grub", strings.TrimPrefix(strings.TrimPrefix(base, "grub.cfg-"), "01-")
	case dir == "grub/" && strings.HasSuffix(base, ".cfg"):
		b.lang, base = "grub", strings.TrimSuffix(base, ".cfg")
	default:
		return b, false
	}
	return b, b.whose(base)
}

// whose reads the MAC or IPv4 address, dotted or in hexadecimal.
func (b *bootName) whose(s string) bool {
	var ok bool
	if b.mac, ok = api.MAC(s); ok {
		return true
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		b.addr = a
		return true
	}
	var hex [4]byte
	if len(s) != 8 {
		return false
	}
	if _, err := fmt.Sscanf(s, "%02x%02x%02x%02x", &hex[0], &hex[1], &hex[2], &hex[3]); err != nil {
		return false
	}
	b.addr = netip.AddrFrom4(hex)
	return true
}

// bootScript always answers: whoever may not boot from the network is told to
// boot its disk.
func (s *Server) bootScript(r resource.Reader, q Request, b bootName, a *Answer) error {
	addr := q.Client
	if b.addr.IsValid() {
		addr = b.addr
	}
	p := planFor(r, b.mac, addr)
	if p.machine != nil && proof.Foreign(r, s.cfg.DB.Now(), p.machine, q.Client) {
		return fmt.Errorf("%s is for machine %s, not for %s: %w", q.Path, p.name(), q.Client, ErrNotFound)
	}
	if !s.mayRead(r, p.machine, q.Client) {
		p = unproven(p)
	}
	if a.MAC = b.mac; a.MAC == "" {
		a.MAC = leasedTo(r, addr)
	}
	a.machine = p.machine
	if p.machine == nil && b != (bootName{lang: b.lang}) && s.ownDefault(r, q, b.lang, p) {
		return fmt.Errorf("%s: %w: boot environment %s has its own script for unknown machines", q.Path, ErrNotFound, p.env.Name)
	}
	if p.local != "" {
		a.Body = s.local(r, q, b.lang, p)
		return nil
	}
	body, err := s.render(r, q, b.lang, p)
	if err != nil {
		s.cfg.Log.Error("boot script cannot be rendered", "machine", p.name(), "env", p.env.Name, "err", err)
		a.Body = localScript(b.lang, p.name(), "its boot script cannot be rendered: "+err.Error())
		return nil
	}
	a.Body, a.intent = body, p.intent
	return nil
}

// unproven is the plan of a client that shows nothing of being the machine: it
// may boot what unknown machines boot, if the machine boots that too, and wait
// there; nothing that is rendered for the machine, and no installer.
func unproven(p plan) plan {
	if p.local == "" && p.env.OneShot() {
		p.local = "nothing shows that this client is " + p.name()
	}
	p.machine, p.intent = nil, ""
	return p
}

// ownDefault says whether the environment for unknown machines has a template
// for whoever asks: a loader comes to it if nothing more special is found.
func (s *Server) ownDefault(r resource.Reader, q Request, lang string, p plan) bool {
	name := map[string]string{"ipxe": "default.ipxe", "pxelinux": "pxelinux.cfg/default", "grub": "grub/grub.cfg"}[lang]
	if p.env == nil || p.local != "" && p.env.NetBoots() {
		return false
	}
	q.Path = name
	_, err := s.fromTemplates(r, q, nil, p.env)
	return err == nil
}

// local boots the disk: in the environment's own way if it only has templates.
func (s *Server) local(r resource.Reader, q Request, lang string, p plan) string {
	if p.env != nil && !p.env.NetBoots() && p.env.Available {
		if body, err := s.fromTemplates(r, q, p.machine, p.env); err == nil {
			return body
		}
	}
	return localScript(lang, p.name(), p.local)
}

func localScript(lang, name, why string) string {
	switch lang {
	case "pxelinux":
		return pxelinuxLocal(name, why)
	case "grub":
		return grubLocal(name, why)
	}
	return ipxeLocal(name, why)
}

// render makes the script: the environment's own template of that name if it
// has one, else ours.
func (s *Server) render(r resource.Reader, q Request, lang string, p plan) (string, error) {
	if text, err := s.fromTemplates(r, q, p.machine, p.env); !errors.Is(err, ErrNotFound) {
		return text, err
	}
	arch := p.arch()
	params, err := s.cfg.Render(r, Text{Machine: p.machine, Env: p.env, Name: "bootenv " + p.env.Name + ": BootParams", Text: p.env.BootParamsFor(arch),
		Path: q.Path, Client: q.Client, Server: q.Server, Ctx: q.Ctx})
	if err != nil {
		return "", err
	}
	l := load{who: p.name(), env: p.env.Name, kernel: p.env.PathFor(arch, p.env.KernelFor(arch)), params: strings.Join(strings.Fields(params), " ")}
	for _, f := range p.env.InitrdsFor(arch) {
		l.initrds = append(l.initrds, p.env.PathFor(arch, f))
	}
	switch lang {
	case "pxelinux":
		return l.pxelinux(), nil
	case "grub":
		return l.grub(), nil
	}
	return l.ipxe(s.url(q.Server, "")), nil
}
