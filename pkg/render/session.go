package render

import (
	"fmt"
	"maps"
	"strings"
	"text/template"

	"drpd/pkg/api"
)

// session is one rendering, with all that it calls and expands.
type session struct {
	c     Context
	cache *Cache
	local map[string]string // inline templates by name
	funcs template.FuncMap
	dot   *dot
	set   *template.Template // what is being executed now
	depth int
	steps int
	bound map[string]any // functions of this rendering
	// closed counts the texts around this one that were not written as a template:
	// values of params and computed texts, which a machine may have written.
	closed int
}

func newSession(c Context, local []api.TemplateInfo) *session {
	s := &session{c: c, cache: c.Cache, local: map[string]string{}, bound: map[string]any{}}
	if s.cache == nil {
		s.cache = NewCache()
	}
	for _, t := range local {
		if t.Contents != "" {
			s.local[t.Name] = t.Contents
		}
	}
	s.funcs = template.FuncMap{enterFunc: s.enter, leaveFunc: s.leave, stepFunc: s.step,
		printFunc: func(v any) (any, error) {
			if err := s.c.budget.tick(); err != nil {
				return nil, err
			}
			return v, checkSize(v)
		}}
	s.dot = newDot(s)
	return s
}

func (s *session) enter() (string, error) {
	if s.depth++; s.depth > MaxDepth {
		return "", fmt.Errorf("templates call each other more than %d deep", MaxDepth)
	}
	return s.step()
}

func (s *session) leave() string {
	s.depth--
	return ""
}

func (s *session) step() (string, error) {
	if s.steps++; s.steps > MaxSteps {
		return "", fmt.Errorf("more than %d turns of loops and calls of templates", MaxSteps)
	}
	return "", s.c.budget.tick()
}

// text renders a text in a set of its own.
func (s *session) text(name, text string) (string, error) {
	if len(text) > MaxOutput {
		return "", fmt.Errorf("%s is longer than %d bytes", name, MaxOutput)
	}
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if s.depth++; s.depth > MaxDepth {
		return "", fmt.Errorf("texts expand each other more than %d deep", MaxDepth)
	}
	defer func() { s.depth-- }()
	if err := s.c.budget.make(perAction * strings.Count(text, "{{")); err != nil {
		return "", err
	}
	p, err := s.cache.local(name, text)
	if err != nil {
		return "", err
	}
	defer s.fresh()()
	if err := s.add(p); err != nil {
		return "", err
	}
	return s.run(name, s.dot)
}

// call renders a template of the current set, or a stored or local one.
func (s *session) call(name string, data any) (string, error) {
	if s.set == nil {
		defer s.fresh()()
	}
	if err := s.need(name); err != nil {
		return "", err
	}
	if s.set.Lookup(name) == nil {
		return "", fmt.Errorf("template %q does not exist", name)
	}
	return s.run(name, data)
}

// fresh starts a new set and returns how to go back to the one before.
func (s *session) fresh() func() {
	was := s.set
	s.set = template.New("").Option("missingkey=error").Funcs(s.funcs)
	return func() { s.set = was }
}

// need brings a template into the set, and all that it may call. A name that
// does not exist is an error only when it is called.
func (s *session) need(name string) error {
	if s.set.Lookup(name) != nil {
		return nil
	}
	if text, ok := s.local[name]; ok {
		p, err := s.cache.local(name, text)
		if err != nil {
			return err
		}
		return s.add(p)
	}
	t, err := api.Templates.Get(s.c.Reader, name)
	if err != nil {
		return nil
	}
	p, err := s.cache.stored(t)
	if err != nil {
		return err
	}
	return s.add(p)
}

func (s *session) add(p parsed) error {
	s.set.Funcs(s.functions(p.funcs))
	for _, tree := range p.trees {
		if _, err := s.set.AddParseTree(tree.Name, tree); err != nil {
			return err
		}
	}
	for _, name := range p.calls {
		if err := s.need(name); err != nil {
			return err
		}
	}
	return nil
}

// functions binds those that a text names to this rendering.
func (s *session) functions(names []string) template.FuncMap {
	out := template.FuncMap{}
	for _, name := range names {
		if s.bound[name] == nil {
			s.bound[name] = s.cache.funcs[name].within(s.c.budget)
		}
		out[name] = s.bound[name]
	}
	return out
}

// outside renders a text that was not written as a template: without secrets.
func (s *session) outside(name, text string) (string, error) {
	s.closed++
	defer func() { s.closed-- }()
	return s.text(name, text)
}

func (s *session) run(name string, data any) (string, error) {
	out := limited{budget: s.c.budget}
	if err := s.set.ExecuteTemplate(&out, name, data); err != nil {
		return "", err
	}
	return out.b.String(), nil
}

// limited collects up to MaxOutput bytes.
type limited struct {
	b strings.Builder
	*budget
}

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > MaxOutput {
		return 0, fmt.Errorf("output is longer than %d bytes", MaxOutput)
	}
	if err := l.make(len(p)); err != nil {
		return 0, err
	}
	return l.b.Write(p)
}

// clone copies a JSON value, since templates can change maps in place.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k, item := range out {
			out[k] = clone(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	}
	return v
}
