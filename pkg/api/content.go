package api

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drpd/pkg/resource"
)

// common fields that only the server sets, on every kind with a Common.
var engineCommon = []string{"Validated", "Available", "Errors", "ReadOnly", "Bundle"}

// Workflow is an ordered list of stages.
type Workflow struct {
	resource.Common
	Documented
	Name   string
	Stages []string
}

// Stage is a boot environment and the tasks to run in it.
type Stage struct {
	resource.Common
	Documented
	Name           string
	BootEnv        string
	Tasks          []string
	Templates      []TemplateInfo
	Params         resource.Params
	Profiles       []string
	RequiredParams []string
	OptionalParams []string
	Reboot         bool
	RunnerWait     bool
}

// Task is a unit of work: templates that are rendered for one machine and run
// or written by its agent.
type Task struct {
	resource.Common
	Documented
	Name           string
	Templates      []TemplateInfo
	RequiredParams []string
	OptionalParams []string
	Prerequisites  []string
	ExtraRoles     []string `json:",omitempty"`
	ExtraClaims    []Claim  `json:",omitempty"`
}

// TemplateInfo is one script or file: Contents, or the Template named by ID.
// With a Path it is written there, without one it is run.
type TemplateInfo struct {
	Name     string
	Path     string            `json:",omitempty"`
	Link     string            `json:",omitempty"`
	ID       string            `json:",omitempty"`
	Contents string            `json:",omitempty"`
	Meta     map[string]string `json:",omitempty"`
}

// Template is a named text for rendering.
type Template struct {
	resource.Common
	Described
	ID       string
	Contents string
}

// Profile is a named set of params.
type Profile struct {
	resource.Common
	Documented
	Name     string
	Params   resource.Params
	Profiles []string
}

// Param gives a parameter its type, its default and its secrecy.
type Param struct {
	resource.Common
	Documented
	Name   string
	Schema any
	Secure bool
}

// Blueprint is what a work order does.
type Blueprint struct {
	resource.Common
	Documented
	Name     string
	Tasks    []string
	Params   resource.Params
	Profiles []string
}

// The kinds that content packs are made of.
var (
	Workflows = &resource.Kind[Workflow]{
		Name: "workflows", Key: func(o *Workflow) string { return o.Name },
		Common: func(o *Workflow) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Workflow]{{Name: ByName, Of: func(o *Workflow) []string { return one(o.Name) }, Unique: true},
			{Name: "Stages", Of: func(o *Workflow) []string { return o.Stages }}},
		Default:  func(o *Workflow) { o.Stages = full(o.Stages) },
		Validate: func(o *Workflow) []string { return named(o.Name, plainName) },
		Refs:     func(o *Workflow) []resource.Ref { return refs("stages", o.Stages) },
	}
	Stages = &resource.Kind[Stage]{
		Name: "stages", Key: func(o *Stage) string { return o.Name },
		Common: func(o *Stage) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Stage]{{Name: ByName, Of: func(o *Stage) []string { return one(o.Name) }, Unique: true},
			{Name: ByBootEnv, Of: func(o *Stage) []string { return one(o.BootEnv) }}},
		Default:  (*Stage).fill,
		Validate: func(o *Stage) []string { return append(named(o.Name, plainName), templateProblems(o.Templates)...) },
		Refs: func(o *Stage) []resource.Ref {
			out := append(TaskRefs(o.Tasks), templateRefs(o.Templates)...)
			out = append(out, refs("profiles", o.Profiles)...)
			return append(out, refs("bootenvs", one(o.BootEnv))...)
		},
		Params: func(o *Stage) *resource.Params { return &o.Params }, Profiles: func(o *Stage) *[]string { return &o.Profiles },
	}
	Tasks = &resource.Kind[Task]{
		Name: "tasks", Key: func(o *Task) string { return o.Name },
		Common: func(o *Task) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Task]{{Name: ByName, Of: func(o *Task) []string { return one(o.Name) }, Unique: true}},
		Default: func(o *Task) {
			o.RequiredParams, o.OptionalParams, o.Prerequisites = full(o.RequiredParams), full(o.OptionalParams), full(o.Prerequisites)
			if o.Templates == nil {
				o.Templates = []TemplateInfo{}
			}
		},
		Validate: func(o *Task) []string { return append(named(o.Name, plainName), templateProblems(o.Templates)...) },
		Refs: func(o *Task) []resource.Ref {
			return append(refs("tasks", o.Prerequisites), templateRefs(o.Templates)...)
		},
	}
	Templates = &resource.Kind[Template]{
		Name: "templates", Key: func(o *Template) string { return o.ID },
		Common: func(o *Template) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Template]{{Name: "ID", Of: func(o *Template) []string { return one(o.ID) }, Unique: true}},
		Validate: func(o *Template) []string {
			p := problems{}
			p.name("ID", o.ID, templateID)
			return append(p, parseProblem(o.ID, o.Contents)...)
		},
	}
	Profiles = &resource.Kind[Profile]{
		Name: "profiles", Key: func(o *Profile) string { return o.Name },
		Common: func(o *Profile) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Profile]{{Name: ByName, Of: func(o *Profile) []string { return one(o.Name) }, Unique: true}},
		Default: func(o *Profile) {
			o.Profiles = full(o.Profiles)
			o.Params = fullParams(o.Params)
		},
		Validate: func(o *Profile) []string { return named(o.Name, machineName) },
		Refs:     func(o *Profile) []resource.Ref { return refs("profiles", o.Profiles) },
		Params:   func(o *Profile) *resource.Params { return &o.Params }, Profiles: func(o *Profile) *[]string { return &o.Profiles },
	}
	ParamDefs = &resource.Kind[Param]{
		Name: "params", Key: func(o *Param) string { return o.Name },
		Common: func(o *Param) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes:  []resource.Index[Param]{{Name: ByName, Of: func(o *Param) []string { return one(o.Name) }, Unique: true}},
		Default:  func(o *Param) {},
		Validate: (*Param).problems,
	}
	Blueprints = &resource.Kind[Blueprint]{
		Name: "blueprints", Key: func(o *Blueprint) string { return o.Name },
		Common: func(o *Blueprint) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Blueprint]{{Name: ByName, Of: func(o *Blueprint) []string { return one(o.Name) }, Unique: true}},
		Default: func(o *Blueprint) {
			o.Tasks, o.Profiles, o.Params = full(o.Tasks), full(o.Profiles), fullParams(o.Params)
		},
		Validate: (*Blueprint).problems,
		Refs: func(o *Blueprint) []resource.Ref {
			return append(TaskRefs(o.Tasks), refs("profiles", o.Profiles)...)
		},
		Params: func(o *Blueprint) *resource.Params { return &o.Params }, Profiles: func(o *Blueprint) *[]string { return &o.Profiles },
	}
)

func (o *Stage) fill() {
	o.Tasks, o.Profiles = full(o.Tasks), full(o.Profiles)
	o.RequiredParams, o.OptionalParams = full(o.RequiredParams), full(o.OptionalParams)
	o.Params = fullParams(o.Params)
	if o.Templates == nil {
		o.Templates = []TemplateInfo{}
	}
}

func fullParams(p resource.Params) resource.Params {
	if p == nil {
		return resource.Params{}
	}
	return p
}

func named(name string, g grammar) []string {
	p := problems{}
	p.name("Name", name, g)
	return p
}

func refs(kind string, keys []string) []resource.Ref {
	out := make([]resource.Ref, 0, len(keys))
	for _, k := range keys {
		out = append(out, resource.Ref{Kind: kind, Key: k})
	}
	return out
}

// Entry splits one entry of a task list: "stage:x" is ("stage", "x"), a plain
// task name has no verb.
func Entry(s string) (verb, arg string) {
	v, a, ok := strings.Cut(s, ":")
	switch {
	case ok && (v == "stage" || v == "bootenv" || v == "context" || v == "action"):
		return v, a
	default:
		return "", s
	}
}

// TaskRefs is what a task list needs.
func TaskRefs(list []string) []resource.Ref {
	var out []resource.Ref
	for _, s := range list {
		switch verb, arg := Entry(s); verb {
		case "":
			out = append(out, resource.Ref{Kind: "tasks", Key: arg})
		case "stage":
			out = append(out, resource.Ref{Kind: "stages", Key: arg})
		case "bootenv":
			out = append(out, resource.Ref{Kind: "bootenvs", Key: arg})
		}
	}
	return out
}

func templateRefs(list []TemplateInfo) []resource.Ref {
	var out []resource.Ref
	for _, t := range list {
		if t.ID != "" {
			out = append(out, resource.Ref{Kind: "templates", Key: t.ID})
		}
	}
	return out
}

func templateProblems(list []TemplateInfo) []string {
	p := problems{}
	for i, t := range list {
		if t.Name == "" {
			p.add("Templates[%d].Name is empty", i)
		}
		if t.ID != "" && t.Contents != "" {
			p.add("template %s has both ID and Contents; give one", t.Name)
		}
		for _, text := range []string{t.Contents, t.Path, t.Link} {
			p = append(p, parseProblem(t.Name, text)...)
		}
	}
	return p
}

func (o *Blueprint) problems() []string {
	p := problems(named(o.Name, plainName))
	for _, s := range o.Tasks {
		if verb, _ := Entry(s); verb == "bootenv" || verb == "context" {
			p.add("a blueprint cannot hold %q: it may not change the %s", s, verb)
		}
	}
	return p
}

func (o *Param) problems() []string {
	p := problems{}
	p.name("Name", o.Name, paramName)
	if o.Schema != nil {
		if _, err := compileSchema(o.Name, o.Schema); err != nil {
			p.add("Schema: %v", err)
		}
	}
	return p
}

// Check says why a value does not fit the parameter, "" if it does.
func (o *Param) Check(value any) string {
	if o.Schema == nil {
		return ""
	}
	s, err := compileSchema(o.Name, o.Schema)
	if err != nil {
		return err.Error()
	}
	if err := s.Validate(value); err != nil {
		return fmt.Sprintf("param %s: %v", o.Name, err)
	}
	return ""
}

func compileSchema(name string, schema any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///param", schema); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	return c.Compile("mem:///param")
}

func fullTemplates(list []TemplateInfo) []TemplateInfo {
	if list == nil {
		return []TemplateInfo{}
	}
	return list
}
