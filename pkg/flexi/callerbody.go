package flexi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"drpd/pkg/param"
)

// body is what a request sends, and its type: what callback/data-override says,
// else the machine.
func (c call) body(ctx context.Context) (data []byte, kind string, err error) {
	if c.NoBody {
		return nil, "", nil
	}
	kind = "application/json"
	v, src, ok, err := c.Get(ParamBody)
	if c.ofItself(src) {
		c.Vault = nil
	}
	text, isText := v.(string)
	switch {
	case err != nil:
		return nil, "", refuse(c.action, "param "+ParamBody+" cannot be read")
	case !ok:
		data, err = c.machine()
	case !isText:
		data, err = json.Marshal(v)
	default:
		if text, err = c.fill(ctx, text); err != nil {
			return nil, "", err
		}
		if data = []byte(text); c.RawBody {
			kind = "text/plain; charset=utf-8"
			break
		}
		data, err = json.Marshal(text)
	}
	if err == nil && len(data) > maxBody {
		err = refuse(c.action, fmt.Sprintf("the body would have %d bytes, %d at most; use ExcludeParams", len(data), maxBody))
	}
	return data, kind, err
}

// machine is the machine as JSON, without its secret.
func (c call) machine() ([]byte, error) {
	m := *c.Scope.Machine
	m.Secret = ""
	m.Params = maps.Clone(m.Params)
	if c.Aggregate {
		m.Params = param.All(c.Reader, c.Scope)
	}
	for _, name := range c.ExcludeParams {
		delete(m.Params, name)
	}
	if c.Decode && c.own {
		return nil, refuse(c.action, "is set on the object itself or its work order, and so gets no secrets by Decode: put it into a profile")
	}
	if c.Decode {
		for name, v := range m.Params {
			if !param.IsSealed(v) {
				continue
			}
			open, _, _, err := c.Get(name)
			if err != nil {
				return nil, refuse(c.action, "secure param "+name+" cannot be opened")
			}
			m.Params[name] = open
		}
	}
	out, err := json.Marshal(&m)
	if err != nil {
		return nil, fmt.Errorf("callback %s: %w", c.action, err)
	}
	return out, nil
}
