package pxe

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// template answers with a template of the boot environment: of the machine in
// the path ("machines/<uuid>/..."), else of whoever asks. Scripts to join are
// always there.
func (s *Server) template(r resource.Reader, q Request, a *Answer) error {
	m, env, err := s.owner(r, q)
	if err == nil {
		a.machine = m
		if err = s.matching(r, q, m, env, a); err == nil || !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	// Join scripts belong to the environment for unknown machines, but a known
	// one may run them again.
	if env := unknownEnv(r); m != nil && env != nil && !strings.HasPrefix(q.Path, m.Path()+"/") {
		if err := s.matching(r, q, nil, env, a); !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return s.builtInScript(r, q, m, a, err)
}

// builtInScript serves the scripts that need no environment, or else err.
func (s *Server) builtInScript(r resource.Reader, q Request, m *api.Machine, a *Answer, err error) error {
	t := Text{Env: &api.BootEnv{Name: "local"}, Name: q.Path, Path: q.Path, Client: q.Client, Server: q.Server, Ctx: q.Ctx}
	switch {
	case q.Path == "machines/join-up.sh":
		t.Text = joinScript
	case m != nil && q.Path == m.Path()+"/control.sh":
		t.Text, t.Machine = controlScript, m
	default:
		return err
	}
	a.Body, err = s.cfg.Render(r, t)
	return err
}

// owner finds whose template a path means.
func (s *Server) owner(r resource.Reader, q Request) (*api.Machine, *api.BootEnv, error) {
	missing := fmt.Errorf("%s: %w", q.Path, ErrNotFound)
	m := findMachine(r, "", q.Client)
	if !s.mayRead(r, m, q.Client) {
		m = nil // an address that proves nothing is a stranger's
	}
	if id, _, ok := strings.Cut(strings.TrimPrefix(q.Path, "machines/"), "/"); ok && strings.HasPrefix(q.Path, "machines/") {
		if _, m = api.Runner(r, id); m == nil || !s.mayRead(r, m, q.Client) {
			return nil, nil, missing
		}
	}
	if m == nil {
		if env := unknownEnv(r); env != nil {
			return nil, env, nil
		}
		return nil, nil, missing
	}
	env, err := api.BootEnvs.Get(r, envName(r, m))
	if err != nil {
		return m, nil, missing
	}
	return m, env, nil
}

// unknownEnv is the environment that holds the join scripts: the one for
// unknown machines if it boots them, else discovery.
func unknownEnv(r resource.Reader) *api.BootEnv {
	for _, name := range []string{envName(r, nil), "discovery"} {
		if env, err := api.BootEnvs.Get(r, name); err == nil && env.NetBoots() {
			return env
		}
	}
	return nil
}

// matching answers with the template of env whose path is asked for: rendered,
// or the file that it links to.
func (s *Server) matching(r resource.Reader, q Request, m *api.Machine, env *api.BootEnv, a *Answer) error {
	t, ok := s.find(r, q, m, env)
	if !ok {
		return fmt.Errorf("%s: %w", q.Path, ErrNotFound)
	}
	if t.info.Link == "" {
		var err error
		a.Body, err = s.text(r, t)
		return err
	}
	var err error
	a.File, err = s.linked(r, t)
	return err
}

// linked opens the file that a template links to: it must be a stored one or a
// loader.
func (s *Server) linked(r resource.Reader, t match) (*os.File, error) {
	to := t.Text
	to.Name, to.Text, to.Path = t.info.Name+" (link)", t.info.Link, ""
	name, err := s.cfg.Render(r, to)
	if err != nil {
		return nil, err
	}
	name = clean(name)
	if at := s.loader(name); at != "" {
		return os.Open(at)
	}
	return s.stored(r, name)
}

// fromTemplates renders the template of env whose path is asked for.
func (s *Server) fromTemplates(r resource.Reader, q Request, m *api.Machine, env *api.BootEnv) (string, error) {
	t, ok := s.find(r, q, m, env)
	if !ok || t.info.Link != "" {
		return "", fmt.Errorf("%s: %w", q.Path, ErrNotFound)
	}
	return s.text(r, t)
}

// match is the template that a request means, and for whom it is rendered.
type match struct {
	Text
	info api.TemplateInfo
}

// find looks for the template of env with that path, or whose name is asked for
// below the machine's own directory. A path that names a hardware address is
// there once for each of them.
func (s *Server) find(r resource.Reader, q Request, m *api.Machine, env *api.BootEnv) (match, bool) {
	t := match{Text: Text{Machine: m, Env: env, Client: q.Client, Server: q.Server, Ctx: q.Ctx}}
	for _, t.info = range env.Templates {
		for _, t.MAC = range addresses(m, t.info.Path) {
			at := t.info.Path
			if strings.Contains(at, "{{") {
				var err error
				t.Name, t.Text.Text = t.info.Name+" (path)", at
				if at, err = s.cfg.Render(r, t.Text); err != nil {
					s.cfg.Log.Debug("template path cannot be rendered", "env", env.Name, "template", t.info.Name, "err", err)
					continue
				}
			}
			if clean(at) == q.Path || m != nil && q.Path == m.Path()+"/"+t.info.Name {
				t.Path = q.Path
				return t, true
			}
		}
	}
	return match{}, false
}

// addresses are those for which a path is rendered: "" is the machine's first.
func addresses(m *api.Machine, text string) []string {
	if m == nil || len(m.HardwareAddrs) == 0 || !strings.Contains(text, "MacAddr") {
		return []string{""}
	}
	return m.HardwareAddrs
}

// clean makes a rendered path one of the static tree, which it cannot leave.
func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.TrimSpace(name)), "/")
}

func (s *Server) text(r resource.Reader, t match) (string, error) {
	t.Name, t.Text.Text = "bootenv "+t.Env.Name+": template "+t.info.Name, t.info.Contents
	if t.info.ID != "" {
		o, err := api.Templates.Get(r, t.info.ID)
		if err != nil {
			return "", fmt.Errorf("template %s: %w", t.info.Name, err)
		}
		t.Text.Text = o.Contents
	}
	return s.cfg.Render(r, t.Text)
}
