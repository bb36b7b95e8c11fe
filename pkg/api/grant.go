package api

import (
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// Grant widens what the jobs of one content pack's tasks may write of their own
// machine, cluster or broker. Agents may not write what steers the server; some
// packs are made to, as those that classify machines. It counts for jobs that
// begin from now on; without it such a task is refused what it wants to write.
type Grant struct {
	resource.Common
	Documented
	Name   string   // of the content pack
	Fields []string // of the object, such as Profiles or Workflow
	Params []string // names, or * for all but those that say where secrets go
}

// grantable are the fields that a grant may open.
var grantable = []string{"Name", "Profiles", "Workflow", "Stage", "Tasks", "BootEnv", "Context", "Locked", "Pipeline"}

// Grants by pack.
var Grants = &resource.Kind[Grant]{
	Name: "grants", Key: func(o *Grant) string { return o.Name },
	Common: func(o *Grant) *resource.Common { return &o.Common }, Engine: engineCommon,
	Indexes: []resource.Index[Grant]{keyed(ByName, func(o *Grant) string { return o.Name })},
	Default: func(o *Grant) { o.Fields, o.Params = full(o.Fields), full(o.Params) },
	Validate: func(o *Grant) []string {
		p := problems(named(o.Name, plainName))
		for _, f := range o.Fields {
			if !slices.Contains(grantable, f) {
				p.add("field %q cannot be granted: %s can", f, strings.Join(grantable, ", "))
			}
		}
		for _, name := range o.Params {
			if RoutesSecrets(name) {
				p.add("param %s cannot be granted: it says where a secret is sent", name)
			}
		}
		return p
	},
}

// Claims are what the grant adds to a job of the object.
func (o *Grant) Claims(kind, key string) []Claim {
	var may []string
	for _, f := range o.Fields {
		may = append(may, "update:/"+f)
	}
	for _, name := range o.Params {
		if name == "*" {
			may = append(may, "update:/Params")
			continue
		}
		may = append(may, "update:/Params/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	if len(may) == 0 {
		return nil
	}
	return []Claim{{Scope: kind, Action: strings.Join(may, ","), Specific: key}}
}

// Says is the grant in words, for whoever uploads the pack.
func (o *Grant) Says() string {
	return "jobs of its tasks may write " + strings.Join(append(slices.Clone(o.Fields), o.Params...), ", ") +
		" of their machine (drpcli grants show " + o.Name + ")"
}

// PublicGrants are those that public packs of Digital Rebar's community need:
// their tasks classify machines and extend task lists.
func PublicGrants() []*Grant {
	var out []*Grant
	for _, name := range []string{"drp-community-content", "drp-community-contrib", "task-library", "flexiflow", "classification"} {
		g := &Grant{Name: name, Fields: []string{"Profiles", "Workflow", "Stage", "Tasks"}, Params: []string{"*"}}
		g.Description = "what the tasks of this public pack write"
		out = append(out, g)
	}
	return out
}
