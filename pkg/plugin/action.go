//go:build linux

package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

const (
	// System is the Model of actions that belong to no object.
	System = "system"
	// Own is the Model of actions on plugins: each is one of its own plugin.
	Own = "plugins"
)

// offer is one action of a running plugin.
type offer struct {
	api.AvailableAction
	plugin string
	by     *instance
}

// offers lists the actions for an object, nil for the system, by the plugins'
// names; of one plugin or provider if it is named.
func (s *Supervisor) offers(o *resource.Object, plugin string) []offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []offer
	for name, svc := range s.serving {
		if svc.running == nil || plugin != "" && plugin != name && plugin != svc.running.provider {
			continue
		}
		for _, a := range svc.running.def.AvailableActions {
			if !fits(a, name, o) {
				continue
			}
			out = append(out, offer{AvailableAction: a, plugin: name, by: svc.running})
		}
	}
	slices.SortFunc(out, func(a, b offer) int {
		return cmp.Or(cmp.Compare(a.plugin, b.plugin), cmp.Compare(a.Command, b.Command))
	})
	return out
}

func fits(a api.AvailableAction, plugin string, o *resource.Object) bool {
	if o == nil {
		return a.Model == System
	}
	return a.Model == o.Kind && (o.Kind != Own || o.Key == plugin)
}

// Available lists the actions of running plugins whose required params the
// object, nil for the system, has.
func (s *Supervisor) Available(o *resource.Object, plugin string) []api.AvailableAction {
	var out []api.AvailableAction
	v := s.cfg.DB.View()
	for _, f := range s.offers(o, plugin) {
		if !slices.ContainsFunc(f.RequiredParams, func(name string) bool {
			_, ok, err := s.cfg.Param(v, o, name)
			return !ok && err == nil
		}) {
			out = append(out, f.AvailableAction)
		}
	}
	return out
}

// Call is a wish to run a plugin's action.
type Call struct {
	Object  *resource.Object // nil: of the system
	Command string
	Plugin  string         // or provider; "": whoever offers the command
	Params  map[string]any // instead of those that apply to the object
}

// Has says whether a running plugin offers the action.
func (s *Supervisor) Has(c Call) bool {
	return slices.ContainsFunc(s.offers(c.Object, c.Plugin), func(f offer) bool { return f.Command == c.Command })
}

// Do lets a plugin carry out an action and returns its answer. What it
// refuses is an *Error.
func (s *Supervisor) Do(ctx context.Context, c Call) (json.RawMessage, error) {
	all := s.offers(c.Object, c.Plugin)
	i := slices.IndexFunc(all, func(f offer) bool { return f.Command == c.Command })
	kind, key, model := System, "", json.RawMessage("null")
	if c.Object != nil {
		kind, key, model = c.Object.Kind, c.Object.Key, c.Object.JSON
	}
	if i < 0 {
		return nil, resource.Errorf(resource.NotFound, kind, key, "no running plugin has an action %q for it", c.Command)
	}
	f := all[i]
	params := map[string]any{}
	v := s.cfg.DB.View()
	for _, name := range slices.Concat(f.RequiredParams, f.OptionalParams) {
		if _, given := c.Params[name]; given {
			continue
		}
		val, ok, err := s.cfg.Param(v, c.Object, name)
		if err != nil {
			return nil, err
		}
		if ok {
			params[name] = val
		} else if slices.Contains(f.RequiredParams, name) {
			return nil, resource.Errorf(resource.Invalid, kind, key, "action %s requires param %s: set it there, or give it to the action", c.Command, name)
		}
	}
	for name, val := range c.Params {
		params[name] = val
	}
	return f.by.post(ctx, "action", struct {
		Model      json.RawMessage
		Plugin     string
		Command    string
		CommandSet string
		Params     map[string]any
	}{model, f.plugin, c.Command, "", params})
}
