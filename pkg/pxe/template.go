package pxe

import (
	"fmt"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// template answers with a template of the boot environment: of the machine in
// the path ("machines/<uuid>/..."), else of whoever asks.
func (s *Server) template(r resource.Reader, q Request, a *Answer) error {
	m, env, err := s.owner(r, q)
	if err != nil {
		return err
	}
	a.machine = m
	if a.Body, err = s.fromTemplates(r, q, m, env); err == nil || m == nil {
		return err
	}
	// Join scripts belong to the environment for unknown machines, but a known
	// one may run them again.
	if env = unknownEnv(r); env == nil || strings.HasPrefix(q.Path, "machines/"+m.Uuid+"/") {
		return err
	}
	a.Body, err = s.fromTemplates(r, q, nil, env)
	return err
}

// owner finds whose template a path means.
func (s *Server) owner(r resource.Reader, q Request) (*api.Machine, *api.BootEnv, error) {
	missing := fmt.Errorf("%s: %w", q.Path, ErrNotFound)
	m := findMachine(r, "", q.Client)
	if id, _, ok := strings.Cut(strings.TrimPrefix(q.Path, "machines/"), "/"); ok && strings.HasPrefix(q.Path, "machines/") {
		var err error
		if m, err = api.Machines.Get(r, id); err != nil || !mayRead(r, m, q.Client, s.cfg.DB.Now()) {
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
		return nil, nil, missing
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

// fromTemplates renders the template of env whose path is asked for, or whose
// name is, below the machine's own directory.
func (s *Server) fromTemplates(r resource.Reader, q Request, m *api.Machine, env *api.BootEnv) (string, error) {
	for _, t := range env.Templates {
		p := t.Path
		if strings.Contains(p, "{{") {
			var err error
			if p, err = s.cfg.Render(r, m, env, t.Name+" (path)", t.Path, q.Client, q.Server); err != nil {
				s.cfg.Log.Debug("template path cannot be rendered", "env", env.Name, "template", t.Name, "err", err)
				continue
			}
		}
		own := m != nil && q.Path == "machines/"+m.Uuid+"/"+t.Name
		if strings.TrimPrefix(p, "/") != q.Path && !own {
			continue
		}
		text, err := templateText(r, t)
		if err != nil {
			return "", err
		}
		return s.cfg.Render(r, m, env, t.Name, text, q.Client, q.Server)
	}
	return "", fmt.Errorf("%s: %w", q.Path, ErrNotFound)
}

func templateText(r resource.Reader, t api.TemplateInfo) (string, error) {
	if t.ID == "" {
		return t.Contents, nil
	}
	o, err := api.Templates.Get(r, t.ID)
	if err != nil {
		return "", fmt.Errorf("template %s: %w", t.Name, err)
	}
	return o.Contents, nil
}
