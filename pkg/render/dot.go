package render

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// dot is what templates see as ".". Its fields are copies without secrets; its
// methods are DRP's.
type dot struct {
	s         *session
	Machine   *machine
	Stage     *api.Stage
	Task      *api.Task
	Env       *bootEnv
	Job       *api.Job
	WorkOrder *api.WorkOrder
	Blueprint *api.Blueprint
}

func newDot(s *session) *dot {
	c := s.c
	d := &dot{s: s, Task: c.Task}
	if c.Machine != nil {
		d.Machine = newMachine(c)
	}
	if c.Env != nil {
		d.Env = newBootEnv(s)
	}
	if c.Stage != nil {
		o := *c.Stage
		o.Params = cloneParams(o.Params)
		d.Stage = &o
	}
	if c.Job != nil {
		o := *c.Job
		o.Token, o.Note = "", nil
		d.Job = &o
	}
	if c.Order != nil {
		o := *c.Order
		o.Params = cloneParams(o.Params)
		d.WorkOrder = &o
	}
	if c.Blueprint != nil {
		o := *c.Blueprint
		o.Params = cloneParams(o.Params)
		d.Blueprint = &o
	}
	return d
}

func cloneParams(p resource.Params) resource.Params {
	m, _ := clone(map[string]any(p)).(map[string]any)
	return m
}

// Param is the value of a parameter; it must have one.
func (d *dot) Param(name string) (any, error) {
	v, _, ok, err := d.s.c.resolver().Get(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, param.Missing(d.s.c.scope(), name)
	}
	return clone(v), nil
}

// ParamExists says whether anything gives the parameter a value.
func (d *dot) ParamExists(name string) bool {
	_, _, ok := param.Get(d.s.c.Reader, d.s.c.scope(), name)
	return ok
}

// ParamExpand renders the value of a parameter, which must be a string.
func (d *dot) ParamExpand(name string) (string, error) {
	v, err := d.s.c.resolver().String(name)
	if err != nil {
		return "", err
	}
	return d.s.text("param:"+name, v)
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
	return string(out), nil
}

// ComposeParam is the values of a parameter from all layers, merged.
func (d *dot) ComposeParam(name string) (any, error) {
	v, ok, err := d.s.c.resolver().Compose(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, param.Missing(d.s.c.scope(), name)
	}
	return clone(v), nil
}

// ParamCompose is ComposeParam under the name that DRP's manual gives it.
func (d *dot) ParamCompose(name string) (any, error) { return d.ComposeParam(name) }

// StringExpand renders a string as a template.
func (d *dot) StringExpand(text string) (string, error) { return d.s.text("text:expanded", text) }

// CallTemplate renders a template whose name is computed.
func (d *dot) CallTemplate(name string, data any) (string, error) { return d.s.call(name, data) }

// ApiURL is where the API is.
func (d *dot) ApiURL() string { return d.s.c.Server.ApiURL }

// ProvisionerURL is where files are.
func (d *dot) ProvisionerURL() string { return d.s.c.Server.ProvisionerURL }

// ProvisionerAddress is the server's address.
func (d *dot) ProvisionerAddress() string { return d.s.c.Server.Address }

// CAFingerprint identifies the authority that signed the server's certificate.
func (d *dot) CAFingerprint() string { return d.s.c.Server.CAFingerprint }

// GenerateToken makes a token for the machine, or one that can only create and
// find machines; preferences say how long it lives.
func (d *dot) GenerateToken() (string, error) {
	if d.Machine == nil {
		return d.token(TokenUnknown, d.seconds("unknownTokenTimeout", 600))
	}
	return d.token(TokenMachine, d.seconds("knownTokenTimeout", 3600))
}

// GenerateInfiniteToken makes a token for the machine that lives three years.
func (d *dot) GenerateInfiniteToken() (string, error) {
	if d.Machine == nil {
		return d.GenerateToken()
	}
	return d.token(TokenMachine, 3*365*24*time.Hour)
}

func (d *dot) token(kind string, ttl time.Duration) (string, error) {
	if d.s.c.Token == nil {
		return "", fmt.Errorf("no token can be made where this text is rendered")
	}
	return d.s.c.Token(kind, ttl)
}

func (d *dot) seconds(pref string, otherwise int) time.Duration {
	if p, err := api.Preferences.Get(d.s.c.Reader, pref); err == nil {
		if n, err := strconv.Atoi(p.Value); err == nil && n > 0 {
			otherwise = n
		}
	}
	return time.Duration(otherwise) * time.Second
}

// NetmaskToCIDR counts the bits of a mask such as 255.255.255.0.
func (d *dot) NetmaskToCIDR(mask string) (int, error) {
	ip := net.ParseIP(mask).To4()
	if ip == nil {
		return 0, fmt.Errorf("%q is not an IPv4 netmask", mask)
	}
	ones, bits := net.IPMask(ip).Size()
	if bits == 0 {
		return 0, fmt.Errorf("netmask %q has holes", mask)
	}
	return ones, nil
}

// ParseUrl is one part of a URL: scheme, host, hostname, port or path.
func (d *dot) ParseUrl(part, raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	switch strings.ToLower(part) {
	case "scheme":
		return u.Scheme, nil
	case "host":
		return u.Host, nil
	case "hostname":
		return u.Hostname(), nil
	case "port":
		return u.Port(), nil
	case "path":
		return u.Path, nil
	}
	return "", fmt.Errorf("ParseUrl knows no part %q; use scheme, host, hostname, port or path", part)
}
