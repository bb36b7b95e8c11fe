package render

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"

	"drpd/pkg/param"
)

// Param is the value of a parameter; it must have one.
func (d *dot) Param(name string) (any, error) {
	if err := d.s.c.budget.tick(); err != nil {
		return nil, err
	}
	v, _, ok, err := d.resolver().Get(name)
	return d.shown(name, v, ok, err)
}

// resolver opens secure params for templates as they were written. It opens none
// for texts that came from params or were computed: who wrote those may be the
// machine, or one who may not read secrets.
func (d *dot) resolver() param.Resolver {
	r := d.s.c.resolver()
	if d.s.closed > 0 {
		r.Vault = nil
	}
	return r
}

// shown is a copy of what was found, since templates can change maps in place.
func (d *dot) shown(name string, v any, ok bool, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, param.Missing(d.s.c.scope(), name)
	case d.s.closed > 0 && d.s.c.Vault != nil && param.IsSealed(v):
		return nil, fmt.Errorf("param %s is secure, and a text that comes from a param or is computed gets no secrets: "+
			"read it in the template itself", name)
	}
	return clone(v), nil
}

// ParamExists says whether anything gives the parameter a value.
func (d *dot) ParamExists(name string) (bool, error) {
	_, _, ok := param.Get(d.s.c.Reader, d.s.c.scope(), name)
	return ok, d.s.c.budget.tick()
}

// ParamExpand is Param with every string in the value rendered.
func (d *dot) ParamExpand(name string) (any, error) {
	v, err := d.Param(name)
	if err != nil {
		return nil, err
	}
	return d.expand("param:"+name, v)
}

// ParamAsJSON is the value of a parameter in JSON.
func (d *dot) ParamAsJSON(name string) (string, error) { return d.encoded(name, json.Marshal) }

// ParamAsYAML is the value of a parameter in YAML.
func (d *dot) ParamAsYAML(name string) (string, error) {
	return d.encoded(name, func(v any) ([]byte, error) { return yaml.Marshal(v) })
}

func (d *dot) encoded(name string, to func(any) ([]byte, error)) (string, error) {
	v, err := d.Param(name)
	if err != nil {
		return "", err
	}
	out, err := to(v)
	if err != nil {
		return "", fmt.Errorf("param %s: %w", name, err)
	}
	return string(out), d.s.c.budget.make(len(out))
}

// ComposeParam is the values of a parameter from all layers, merged.
func (d *dot) ComposeParam(name string) (any, error) {
	if err := d.s.c.budget.tick(); err != nil {
		return nil, err
	}
	v, ok, err := d.resolver().Compose(name)
	return d.shown(name, v, ok, err)
}

// ParamCompose is ComposeParam under the name that DRP's manual gives it.
func (d *dot) ParamCompose(name string) (any, error) { return d.ComposeParam(name) }

// ParamComposeExpand is ComposeParam with every string in it rendered.
func (d *dot) ParamComposeExpand(name string) (any, error) {
	v, err := d.ComposeParam(name)
	if err != nil {
		return nil, err
	}
	return d.expand("param:"+name, v)
}

// ComposeParamExpand is ParamComposeExpand.
func (d *dot) ComposeParamExpand(name string) (any, error) { return d.ParamComposeExpand(name) }

// StringExpand renders a string as a template.
func (d *dot) StringExpand(text string) (string, error) { return d.s.outside("text:expanded", text) }

// ObjectExpand renders every string in arrays and objects, and returns anything
// else as it is.
func (d *dot) ObjectExpand(v any) (any, error) { return d.expand("text:expanded", v) }

// CallTemplate renders a template whose name is computed.
func (d *dot) CallTemplate(name string, data any) (string, error) { return d.s.call(name, data) }

// expand renders the strings in a copy of a JSON value. Names of fields stay
// as they are.
func (d *dot) expand(name string, v any) (any, error) {
	if err := checkSize(v); err != nil { // it may hold itself
		return nil, err
	}
	return d.expandIn(name, clone(v))
}

func (d *dot) expandIn(name string, v any) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return d.s.outside(name, v)
	case []string:
		out := make([]any, len(v))
		for i := range v {
			if out[i], err = d.s.outside(name, v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		for i := range v {
			if v[i], err = d.expandIn(name, v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = d.expandIn(name, v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
