// Package param finds a parameter's value for a machine, work order or task
// through everything that may set it, and keeps secure values sealed.
//
// A value is looked for, nearest first, in: Extra, the work order and its
// profiles, the machine, its profiles (each followed by those it nests, depth
// first), the blueprint and its profiles, the stage and its profiles, the
// profile "global", and last the default in the parameter's schema. A profile
// that is met twice counts where it is met first.
package param

import (
	"iter"
	"maps"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Global is the profile that every machine has.
const Global = "global"

// Scope says for whom a parameter is looked up; every part may be nil.
type Scope struct {
	Order     *api.WorkOrder
	Machine   *api.Machine // or a cluster or broker
	Blueprint *api.Blueprint
	Stage     *api.Stage
	Extra     resource.Params
}

// Source is the object that a value came from: Kind "params" is the schema's
// default, Kind "" is Scope.Extra.
type Source struct{ Kind, Key string }

// String words the source for a user.
func (s Source) String() string {
	switch s.Kind {
	case "":
		return "the caller"
	case api.ParamDefs.Name:
		return "the default of param " + s.Key
	}
	return s.Kind + "/" + s.Key
}

// Get returns the nearest value as it is stored: a secure one is sealed.
func Get(r resource.Reader, s Scope, name string) (any, Source, bool) {
	for src, params := range s.layers(r) {
		if v, ok := params[name]; ok {
			return v, src, true
		}
	}
	if v, ok := defaultOf(r, name); ok {
		return v, Source{api.ParamDefs.Name, name}, true
	}
	return nil, Source{}, false
}

// All returns the nearest value of every parameter that has one, as stored.
func All(r resource.Reader, s Scope) resource.Params {
	out := resource.Params{}
	for def := range api.ParamDefs.All(r) {
		if v, ok := schemaDefault(def); ok {
			out[def.Name] = v
		}
	}
	near := resource.Params{}
	for _, params := range s.layers(r) {
		for name, v := range params {
			if _, ok := near[name]; !ok {
				near[name] = v
			}
		}
	}
	maps.Copy(out, near)
	return out
}

// Compose returns the values of all layers as one: arrays are concatenated,
// nearest first, objects are merged by the same rule at every depth, and of
// anything else the nearest wins. The default counts only if no layer has a
// value. Sealed values do not merge; Resolver.Compose opens them first.
func Compose(r resource.Reader, s Scope, name string) (any, bool) {
	v, ok, _ := Resolver{Reader: r, Scope: s}.Compose(name)
	return v, ok
}

// Layers yields every object that may set parameters and sets some, nearest
// first; schemas' defaults are not among them.
func (s Scope) Layers(r resource.Reader) iter.Seq2[Source, resource.Params] { return s.layers(r) }

// layers yields what may set parameters, nearest first.
func (s Scope) layers(r resource.Reader) iter.Seq2[Source, resource.Params] {
	return func(yield func(Source, resource.Params) bool) {
		w := walker{r: r, yield: yield, seen: map[string]bool{}}
		_ = w.put(Source{}, s.Extra) && w.order(s.Order) && w.machine(s.Machine) &&
			w.blueprint(s.Blueprint) && w.stage(s.Stage) && w.profiles([]string{Global})
	}
}

// walker visits layers until yield has enough; its methods return false then.
type walker struct {
	r     resource.Reader
	yield func(Source, resource.Params) bool
	seen  map[string]bool // profiles
}

func (w *walker) put(src Source, p resource.Params) bool {
	return len(p) == 0 || w.yield(src, p)
}

func (w *walker) order(o *api.WorkOrder) bool {
	return o == nil || w.put(Source{api.WorkOrders.Name, o.Uuid}, o.Params) && w.profiles(o.Profiles)
}

func (w *walker) machine(m *api.Machine) bool {
	return m == nil || w.put(Source{KindOf(w.r, m), m.Uuid}, m.Params) && w.profiles(m.Profiles)
}

func (w *walker) blueprint(b *api.Blueprint) bool {
	return b == nil || w.put(Source{api.Blueprints.Name, b.Name}, b.Params) && w.profiles(b.Profiles)
}

func (w *walker) stage(s *api.Stage) bool {
	return s == nil || w.put(Source{api.Stages.Name, s.Name}, s.Params) && w.profiles(s.Profiles)
}

func (w *walker) profiles(names []string) bool {
	for _, name := range names {
		if w.seen[name] {
			continue
		}
		w.seen[name] = true
		p, err := api.Profiles.Get(w.r, name)
		if err != nil {
			continue // its referrer is not Available and says so
		}
		if !w.put(Source{api.Profiles.Name, name}, p.Params) || !w.profiles(p.Profiles) {
			return false
		}
	}
	return true
}

// KindOf names the kind of a machine, cluster or broker.
func KindOf(r resource.Reader, m *api.Machine) string {
	if k, _ := api.Runner(r, m.Uuid); k != nil {
		return k.Name
	}
	return api.Machines.Name
}

func defaultOf(r resource.Reader, name string) (any, bool) {
	def, err := api.ParamDefs.Get(r, name)
	if err != nil {
		return nil, false
	}
	return schemaDefault(def)
}

func schemaDefault(def *api.Param) (any, bool) {
	schema, _ := def.Schema.(map[string]any)
	v, ok := schema["default"]
	return v, ok
}
