package auth

import (
	"sync/atomic"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// pointers knows the params that others name (api.Pointers), as of the newest
// content: made anew when one of the kinds changes that name them.
type pointers struct{ now atomic.Pointer[pointed] }

type pointed struct {
	stages, profiles, blueprints, params resource.Stamp
	names                                map[string]bool
}

func (p *pointers) at(v *resource.View) map[string]bool {
	is := &pointed{api.Stages.Stamp(v), api.Profiles.Stamp(v), api.Blueprints.Stamp(v), api.ParamDefs.Stamp(v), map[string]bool{}}
	if was := p.now.Load(); was != nil && was.stages == is.stages && was.profiles == is.profiles && was.blueprints == is.blueprints && was.params == is.params {
		return was.names
	}
	for o := range api.Stages.All(v) {
		note(is.names, o.Params)
	}
	for o := range api.Profiles.All(v) {
		note(is.names, o.Params)
	}
	for o := range api.Blueprints.All(v) {
		note(is.names, o.Params)
	}
	for _, name := range api.Pointers() {
		if def, err := api.ParamDefs.Get(v, name); err == nil {
			schema, _ := def.Schema.(map[string]any)
			note(is.names, resource.Params{name: schema["default"]})
		}
	}
	p.now.Store(is)
	return is.names
}

// note adds the names that params point to.
func note(names map[string]bool, params resource.Params) {
	for _, pointer := range api.Pointers() {
		if name, ok := params[pointer].(string); ok {
			names[name] = true
		}
	}
}

// steers says whether a param decides what the server does for the caller's
// machine: by its own name, or because a param says so that some content, the
// machine or one of its work orders carries.
func (i Identity) steers(param string) bool {
	if api.Steers(param) || i.g == nil || i.view == nil {
		return true
	}
	if i.g.pointers.at(i.view)[param] {
		return true
	}
	own := map[string]bool{}
	if _, m := api.Runner(i.view, i.g.machine); m != nil {
		note(own, m.Params)
		for o := range api.WorkOrders.By(i.view, "Active", m.Uuid) {
			note(own, o.Params)
		}
	}
	return own[param]
}
