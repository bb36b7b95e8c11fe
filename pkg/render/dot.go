package render

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// dot is what templates see as ".". Its fields are copies without secrets; its
// methods are DRP's.
type dot struct {
	s         *session
	Machine   *machine
	Stage     *api.Stage
	Task      *task
	Env       *bootEnv
	Job       *api.Job
	WorkOrder *api.WorkOrder
	Blueprint *api.Blueprint
}

// task is .Task.
type task struct {
	api.Task
	// TargetOS is the system of the agent that asked: linux, darwin, windows or esxi.
	TargetOS string
}

func newDot(s *session) *dot {
	c := s.c
	d := &dot{s: s}
	if c.Task != nil {
		d.Task = &task{Task: *c.Task, TargetOS: c.OS}
	}
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

// ApiURL is where the API is.
func (d *dot) ApiURL() string { return d.s.c.Server.ApiURL }

// ProvisionerURL is where files are.
func (d *dot) ProvisionerURL() string { return d.s.c.Server.ProvisionerURL }

// SecureProvisionerURL is where files are, over HTTPS.
func (d *dot) SecureProvisionerURL() string { return d.s.c.Server.secureURL() }

// ProvisionerAddress is the server's address.
func (d *dot) ProvisionerAddress() string { return d.s.c.Server.Address }

// ApiHostURL is ApiURL with the server's host name.
func (d *dot) ApiHostURL() (string, error) { return d.s.c.Server.byName(d.ApiURL()) }

// ProvisionerHostURL is ProvisionerURL with the server's host name.
func (d *dot) ProvisionerHostURL() (string, error) { return d.s.c.Server.byName(d.ProvisionerURL()) }

// SecureProvisionerHostURL is SecureProvisionerURL with the server's host name.
func (d *dot) SecureProvisionerHostURL() (string, error) {
	return d.s.c.Server.byName(d.SecureProvisionerURL())
}

// CAFingerprint identifies the authority that signed the server's certificate.
func (d *dot) CAFingerprint() string { return d.s.c.Server.CAFingerprint }

func (s Server) secureURL() string {
	if s.SecureURL != "" {
		return s.SecureURL
	}
	return s.ApiURL // serves the same tree
}

// byName replaces the address in a URL of ours by the host name.
func (s Server) byName(raw string) (string, error) {
	if s.HostName == "" {
		return raw, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if port := u.Port(); port != "" {
		u.Host = net.JoinHostPort(s.HostName, port)
	} else {
		u.Host = s.HostName
	}
	return u.String(), nil
}

// Info is what GET /info tells, under its own names and those of DRP's Go
// structure, which templates use: .Info.Version.
func (d *dot) Info() (map[string]any, error) {
	if d.s.c.Info == nil {
		return nil, fmt.Errorf("this server's info is not known where this text is rendered")
	}
	in, err := d.s.c.Info()
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, 2*len(in))
	for name, v := range in {
		out[name], out[goName(name)] = v, v
	}
	return out, nil
}

// goName is the name of a field of DRP's Info for one of its JSON names.
func goName(name string) string {
	switch name {
	case "prov_enabled":
		return "ProvisionerEnabled"
	case "secure_prov_enabled":
		return "SecureProvisionerEnabled"
	}
	var b strings.Builder
	for _, part := range strings.Split(name, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// BootParams are those of .Env.
func (d *dot) BootParams() (string, error) {
	if d.Env == nil {
		return "", fmt.Errorf("no boot environment belongs to this text")
	}
	return d.Env.BootParams()
}

// BootParamsFor are those of .Env for another architecture.
func (d *dot) BootParamsFor(arch string) (string, error) {
	if d.Env == nil {
		return "", fmt.Errorf("no boot environment belongs to this text")
	}
	return d.Env.BootParamsFor(arch)
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

// ParseURL is ParseUrl as DRP's manual spells it.
func (d *dot) ParseURL(part, raw string) (string, error) { return d.ParseUrl(part, raw) }
