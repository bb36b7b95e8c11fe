package api

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"drpd/pkg/resource"
)

// TemplateInfo is one script or file: Contents, or the Template named by ID, or
// the served file that Link names. With a Path it is written there, without one
// it is run. Path and Link are templates themselves.
type TemplateInfo struct {
	Name     string
	Path     string
	Link     string
	ID       string
	Contents string
	Meta     map[string]string
}

// Template is a named text for rendering.
type Template struct {
	resource.Common
	Described
	ID       string
	Contents string
}

// Templates by ID.
var Templates = &resource.Kind[Template]{
	Name: "templates", Key: func(o *Template) string { return o.ID },
	Common: func(o *Template) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Template]{keyed("ID", func(o *Template) string { return o.ID })},
	Validate: func(o *Template) []string {
		p := problems{}
		p.name("ID", o.ID, templateID)
		return append(p, parseProblem(o.ID, o.Contents)...)
	},
}

// parseProblem finds syntax errors when a template is saved, long before a
// machine needs it. Function names are checked when it is rendered.
func parseProblem(name, text string) []string {
	t := parse.New(name)
	t.Mode = parse.SkipFuncCheck
	if _, err := t.Parse(text, "", "", map[string]*parse.Tree{}); err != nil {
		return []string{fmt.Sprintf("template %v", err)}
	}
	return nil
}

func fullTemplates(list []TemplateInfo) []TemplateInfo {
	if list == nil {
		return []TemplateInfo{}
	}
	for i := range list {
		if list[i].Meta == nil {
			list[i].Meta = map[string]string{}
		}
	}
	return list
}

func templateRefs(list []TemplateInfo) []resource.Ref {
	var out []resource.Ref
	for _, t := range list {
		if t.ID != "" {
			out = append(out, resource.Ref{Kind: "templates", Key: t.ID, Keep: true})
		}
	}
	return out
}

func templateProblems(list []TemplateInfo) []string {
	p := problems{}
	at := map[string]int{}
	for i, t := range list {
		if t.Name == "" {
			p.add("Template[%d] is missing a Name", i)
		} else if j, ok := at[t.Name]; ok {
			p.add("Template %d and %d have the same name %s", j, i, t.Name)
		}
		at[t.Name] = i
		if t.ID == "" && t.Contents == "" && t.Link == "" {
			p.add("Template[%d] %s must have an ID, a Link or Contents", i, t.Name)
		}
		if t.ID != "" && t.Contents != "" {
			p.add("Template[%d] %s has both an ID and Contents: give one", i, t.Name)
		}
		for _, text := range []string{t.Contents, t.Path, t.Link} {
			p = append(p, parseProblem(t.Name, text)...)
		}
	}
	return p
}

// pathProblems is templateProblems for templates that are served as files.
func pathProblems(list []TemplateInfo) []string {
	p := problems(templateProblems(list))
	for i, t := range list {
		if t.Path == "" {
			p.add("Template[%d] %s is missing a Path", i, t.Name)
		}
	}
	return p
}

// templateOSes are what Meta.OS of a task's template may name.
var templateOSes = []string{"any", "darwin", "esxi", "freebsd", "linux", "netbsd", "openbsd", "solaris", "windows"}

// osProblems checks which operating systems the templates of a task are for:
// all of them say it, or none.
func osProblems(list []TemplateInfo) []string {
	p := problems{}
	marked := 0
	for i, t := range list {
		oses, ok := t.Meta["OS"]
		if !ok {
			continue
		}
		marked++
		for os := range strings.SplitSeq(oses, ",") {
			if !slices.Contains(templateOSes, strings.ToLower(strings.TrimSpace(os))) {
				p.add("Template[%d]: Invalid OS value %s: use %s", i, os, strings.Join(templateOSes, ", "))
			}
		}
	}
	if marked > 0 && marked < len(list) {
		p.add("%d of %d templates have Meta.OS: give it to all or to none", marked, len(list))
	}
	return p
}
