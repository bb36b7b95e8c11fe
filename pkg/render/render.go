// Package render expands templates for one machine: text/template with sprig's
// functions and DRP's names for what belongs to the machine.
//
// Every stored Template can be called by its ID; only those that a text calls
// are parsed. Rendering does no I/O: functions that would tell of the server's
// environment, the time or the network are left out. What one rendering may
// produce and how long it may loop is bounded, see the limits below.
package render

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Limits of one rendering.
const (
	MaxOutput = 16 << 20 // bytes, also of each string that a function makes
	MaxDepth  = 50       // nested calls of templates and expansions
	MaxSteps  = 200_000  // template calls and turns of loops together
)

// Context is for whom and with what a template is rendered. Reader is
// required; the objects are read only and may be nil. Stage and Env default to
// those of the machine.
type Context struct {
	Ctx       context.Context // ends the rendering; nil: only its own limit does
	Reader    resource.Reader
	Machine   *api.Machine // or a cluster or broker
	MAC       string       // which address of Machine .MacAddr means; "" is the first
	Path      string       // of the file that is rendered, if it is one
	OS        string       // of the agent that asks: linux, darwin, windows, esxi; "": any
	Stage     *api.Stage
	Task      *api.Task
	Env       *api.BootEnv
	Job       *api.Job
	Order     *api.WorkOrder
	Blueprint *api.Blueprint
	Extra     resource.Params
	Vault     *param.Vault // opens secure params; nil: they stay sealed
	Server    Server
	Token     TokenFunc                      // nil: none can be made
	Info      func() (map[string]any, error) // GET /info; nil: not known
	Has       func(path string) bool         // is that file in the static tree? nil: none
	Cache     *Cache                         // nil: nothing is kept between renderings

	budget *budget // set once rendering has begun
}

// Server is this server as the machine can reach it: at the address by which
// the machine's request came.
type Server struct {
	ApiURL         string // https://address:port
	ProvisionerURL string // http://address:port
	SecureURL      string // https://address:port of the same files; "": ApiURL
	Address        string
	HostName       string // for the HostURLs; "": they have the address too
	CAFingerprint  string
}

// Text renders one text. name says in errors what it is; give it a form that
// no template ID has, such as "task x: script".
func Text(c Context, name, text string) (string, error) {
	c, end := c.filled().start()
	defer end()
	s := newSession(c, nil)
	out, err := s.text(rootName(c, name), text)
	if err != nil {
		return "", c.fail(name, err)
	}
	return out, nil
}

// rootName keeps a text from being taken for a stored template of its name.
func rootName(c Context, name string) string {
	if name == "" || api.Templates.Has(c.Reader, name) {
		return "text:" + name
	}
	return name
}

// Actions renders the templates of a task for its agent, in order, without
// those for other systems than c.OS. They may call each other by Name. All
// required params of the task must have values.
func Actions(c Context, templates []api.TemplateInfo) ([]api.JobAction, error) {
	c, end := c.filled().start()
	defer end()
	if c.Task != nil {
		if err := Required(c, "task "+c.Task.Name, c.Task.RequiredParams); err != nil {
			return nil, err
		}
	}
	out := make([]api.JobAction, 0, len(templates))
	for _, t := range templates {
		if !forOS(t.Meta["OS"], c.OS) {
			continue
		}
		a, err := c.action(t, templates)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// forOS says whether a template with that Meta.OS, a comma list, is for an
// agent on os.
func forOS(list, os string) bool {
	if strings.TrimSpace(list) == "" || os == "" {
		return true
	}
	for _, name := range strings.Split(list, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "any" || name == strings.ToLower(os) {
			return true
		}
	}
	return false
}

func (c Context) action(t api.TemplateInfo, all []api.TemplateInfo) (api.JobAction, error) {
	name := "template " + t.Name
	if c.Task != nil {
		name = fmt.Sprintf("task %s: template %s", c.Task.Name, t.Name)
	}
	s := newSession(c, all)
	path, err := s.text(name+": path", t.Path)
	if err != nil {
		return api.JobAction{}, c.fail(name, err)
	}
	var content string
	switch {
	case t.ID != "":
		content, err = s.call(t.ID, s.dot)
	case t.Contents == "" && t.Link != "":
		err = errors.New("a Link has no contents that an agent could run or write: give ID or Contents")
	default:
		content, err = s.text(name, t.Contents)
	}
	if err != nil {
		return api.JobAction{}, c.fail(name, err)
	}
	return api.JobAction{Name: t.Name, Path: path, Content: content, Meta: maps.Clone(t.Meta)}, nil
}

// Required refuses to render what lacks params, and names them all. name is
// what needs them.
func Required(c Context, name string, params []string) error {
	c = c.filled()
	var missing []string
	for _, p := range params {
		if _, _, ok := param.Get(c.Reader, c.scope(), p); !ok {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return c.fail(name, fmt.Errorf("required params have no value: %s", strings.Join(missing, ", ")))
}

// filled adds the machine's stage and boot environment.
func (c Context) filled() Context {
	if c.Machine == nil {
		return c
	}
	if c.Stage == nil {
		c.Stage, _ = api.Stages.Get(c.Reader, c.Machine.Stage)
	}
	if c.Env == nil {
		c.Env, _ = api.BootEnvs.Get(c.Reader, c.Machine.BootEnv)
	}
	return c
}

func (c Context) scope() param.Scope {
	return param.Scope{Order: c.Order, Machine: c.Machine, Blueprint: c.Blueprint, Stage: c.Stage, Extra: c.Extra}
}

func (c Context) resolver() param.Resolver {
	return param.Resolver{Reader: c.Reader, Scope: c.scope(), Vault: c.Vault}
}
