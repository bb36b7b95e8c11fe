package api

import (
	"strings"

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
	RunnerWait     bool // kept for clients: agents always wait for the last task
	Partial        bool // true only in replies that leave something out
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

// Profile is a named set of params.
type Profile struct {
	resource.Common
	Documented
	Name     string
	Params   resource.Params
	Profiles []string
	Partial  bool // true only in replies that leave something out
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

// GlobalProfile is the profile that every machine has, after all others.
const GlobalProfile = "global"

// The kinds that content packs are made of.
var (
	Workflows = &resource.Kind[Workflow]{
		Name: "workflows", Key: func(o *Workflow) string { return o.Name },
		Common: func(o *Workflow) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Workflow]{keyed(ByName, func(o *Workflow) string { return o.Name }),
			several("Stages", func(o *Workflow) []string { return o.Stages })},
		Default: func(o *Workflow) { o.Stages = full(o.Stages) },
		Validate: func(o *Workflow) []string {
			p := problems(named(o.Name, plainName))
			p.names("Stage Name", o.Stages, plainName)
			return p
		},
		Refs: func(o *Workflow) []resource.Ref { return keep(refs("stages", o.Stages)) },
	}
	Stages = &resource.Kind[Stage]{
		Name: "stages", Key: func(o *Stage) string { return o.Name },
		Common: func(o *Stage) *resource.Common { return &o.Common }, Engine: append([]string{"Partial"}, engineCommon...),
		Indexes: []resource.Index[Stage]{keyed(ByName, func(o *Stage) string { return o.Name }),
			textual(ByBootEnv, func(o *Stage) string { return o.BootEnv }),
			several("Tasks", func(o *Stage) []string { return o.Tasks }),
			several(ByProfile, func(o *Stage) []string { return o.Profiles }),
			paramIndex(func(o *Stage) resource.Params { return o.Params }),
			scan(boolean("Reboot", func(o *Stage) bool { return o.Reboot }))},
		Default:  (*Stage).fill,
		Validate: (*Stage).problems,
		Refs: func(o *Stage) []resource.Ref {
			out := append(TaskRefs(o.Tasks), templateRefs(o.Templates)...)
			out = append(out, refs("profiles", o.Profiles)...)
			return keep(append(out, refs("bootenvs", one(o.BootEnv))...))
		},
		Params: func(o *Stage) *resource.Params { return &o.Params }, Profiles: func(o *Stage) *[]string { return &o.Profiles },
	}
	Tasks = &resource.Kind[Task]{
		Name: "tasks", Key: func(o *Task) string { return o.Name },
		Common: func(o *Task) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Task]{keyed(ByName, func(o *Task) string { return o.Name })},
		Default: func(o *Task) {
			o.RequiredParams, o.OptionalParams, o.Prerequisites = full(o.RequiredParams), full(o.OptionalParams), full(o.Prerequisites)
			o.Templates = fullTemplates(o.Templates)
		},
		Validate: (*Task).problems,
		Refs: func(o *Task) []resource.Ref {
			return keep(append(refs("tasks", o.Prerequisites), templateRefs(o.Templates)...))
		},
	}
	Profiles = &resource.Kind[Profile]{
		Name: "profiles", Key: func(o *Profile) string { return o.Name },
		Common: func(o *Profile) *resource.Common { return &o.Common }, Engine: append([]string{"Partial"}, engineCommon...),
		Indexes: []resource.Index[Profile]{keyed(ByName, func(o *Profile) string { return o.Name }),
			several(ByProfile, func(o *Profile) []string { return o.Profiles }),
			paramIndex(func(o *Profile) resource.Params { return o.Params })},
		Default: func(o *Profile) {
			o.Profiles, o.Params, o.Partial = full(o.Profiles), fullParams(o.Params), false
		},
		Validate: func(o *Profile) []string {
			p := problems(named(o.Name, machineName)) // clusters share a profile of their own name
			p = append(p, paramNames(o.Params)...)
			p.names("Profile Name", o.Profiles, machineName)
			return p
		},
		Stays: func(o *Profile) string {
			if o.Name == GlobalProfile {
				return "it is the global profile"
			}
			return ""
		},
		Refs:   func(o *Profile) []resource.Ref { return keep(refs("profiles", o.Profiles)) },
		Params: func(o *Profile) *resource.Params { return &o.Params }, Profiles: func(o *Profile) *[]string { return &o.Profiles },
	}
	Blueprints = &resource.Kind[Blueprint]{
		Name: "blueprints", Key: func(o *Blueprint) string { return o.Name },
		Common: func(o *Blueprint) *resource.Common { return &o.Common }, Engine: engineCommon,
		Indexes: []resource.Index[Blueprint]{keyed(ByName, func(o *Blueprint) string { return o.Name }),
			scan(several("Tasks", func(o *Blueprint) []string { return o.Tasks })),
			scan(several(ByProfile, func(o *Blueprint) []string { return o.Profiles })),
			paramIndex(func(o *Blueprint) resource.Params { return o.Params })},
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
	o.Templates, o.Partial = fullTemplates(o.Templates), false
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

// keep says that what is referred to may not be deleted meanwhile.
func keep(list []resource.Ref) []resource.Ref {
	for i := range list {
		list[i].Keep = true
	}
	return list
}

// Entry splits one entry of a task list: "stage:x" is ("stage", "x"), a plain
// task name has no verb.
func Entry(s string) (verb, arg string) {
	v, a, ok := strings.Cut(s, ":")
	switch {
	case ok && (v == "stage" || v == "bootenv" || v == "context" || v == "chroot" || v == "action"):
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

func (o *Stage) problems() []string {
	p := problems(named(o.Name, plainName))
	if o.BootEnv != "" {
		p.name("BootEnv", o.BootEnv, plainName)
	}
	p.names("Required Param", o.RequiredParams, paramName)
	p.names("Optional Param", o.OptionalParams, paramName)
	p.names("Profile", o.Profiles, machineName)
	p = append(p, taskProblems(o.Tasks)...)
	p = append(p, paramNames(o.Params)...)
	return append(p, pathProblems(o.Templates)...)
}

func (o *Task) problems() []string {
	p := problems(named(o.Name, plainName))
	p.names("Required Param", o.RequiredParams, paramName)
	p.names("Optional Param", o.OptionalParams, paramName)
	p.names("Prerequisite", o.Prerequisites, plainName)
	p = append(p, templateProblems(o.Templates)...)
	return append(p, osProblems(o.Templates)...)
}

// taskProblems checks the entries of a task list.
func taskProblems(list []string) []string {
	p := problems{}
	for _, s := range list {
		verb, arg := Entry(s)
		switch {
		case verb == "" && strings.Contains(s, ":"):
			p.add("Invalid Task `%s`: use a task's name, or stage:, bootenv:, context:, chroot: or action: and a name", s)
		case verb == "":
			p.name("Task", arg, plainName)
		case verb == "context" || verb == "action" || verb == "chroot":
		default:
			p.name(map[string]string{"stage": "Stage", "bootenv": "BootEnv"}[verb], arg, plainName)
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
	p = append(p, taskProblems(o.Tasks)...)
	p.names("Profile", o.Profiles, machineName)
	return append(p, paramNames(o.Params)...)
}
