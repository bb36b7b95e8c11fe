package broker

import (
	"fmt"
	"maps"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// The types of brokers, as param broker/type names them.
const (
	TypePool    = "pool"
	TypeContext = "context"
)

// want is a decoded request.
type want struct {
	order   string // uuid of the work order
	cluster *api.Machine
	members map[string]member
	kind    string // broker/type
	pool    string
	filter  string
	context string
	shared  bool // broker-pool/allocate: take from the pool, not move out of it
}

// member is what one machine becomes.
type member struct {
	tags     []any
	workflow string
	profiles []string
	params   resource.Params
	meta     map[string]string
}

// request reads the order behind a job: its own params go before the broker's.
func request(tx *resource.Tx, job string) (want, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return want{}, err
	}
	o, err := api.WorkOrders.Get(tx, j.WorkOrder)
	if err != nil {
		return want{}, resource.Errorf(resource.Invalid, "jobs", job, "runs only in a work order on a broker")
	}
	b, err := api.Brokers.Get(tx, o.Machine)
	if err != nil {
		return want{}, resource.Errorf(resource.Invalid, "work_orders", o.Uuid, "runs only on a resource broker")
	}
	text := func(name, def string) string {
		v, _, _ := param.Get(tx, param.Scope{Order: o, Machine: b}, name)
		if s, ok := v.(string); ok && s != "" {
			return s
		}
		return def
	}
	id := text(ParamCluster, "")
	c, err := api.Clusters.Get(tx, id)
	if err != nil {
		return want{}, resource.Errorf(resource.Invalid, "work_orders", o.Uuid, "param %s: no cluster %q", ParamCluster, id)
	}
	w := want{order: o.Uuid, cluster: c, members: map[string]member{}, kind: text(ParamType, TypePool), pool: text(ParamPool, pool.Default),
		filter: text(ParamFilter, ""), context: text(ParamContext, defaultContext)}
	if w.kind != TypePool && w.kind != TypeContext {
		return want{}, resource.Errorf(resource.Invalid, "resource_brokers", b.Uuid, "param %s is %q: this server has brokers of type %s and %s", ParamType, w.kind, TypePool, TypeContext)
	}
	shared, _, said := param.Get(tx, param.Scope{Order: o, Machine: b}, ParamAllocate)
	w.shared = !said || shared != false
	return w, w.read(o.Params[ParamMembers], text)
}

// read decodes the members: each name maps to its tags, or to what its machine
// type says. What a type leaves open the broker/set-… params say.
func (w want) read(v any, text func(name, def string) string) error {
	members, _ := v.(map[string]any)
	for name, v := range members {
		spec, ok := v.(map[string]any)
		if !ok {
			spec = map[string]any{"tags": v}
		}
		say := func(key, paramName string) string {
			if s, ok := spec[key].(string); ok && s != "" {
				return s
			}
			return text(paramName, "")
		}
		m := member{workflow: say("workflow", ParamWorkflow), profiles: []string{w.cluster.Name}, params: resource.Params{}, meta: map[string]string{}}
		m.tags, _ = spec["tags"].([]any)
		if p := say("pipeline", ParamPipeline); p != "" {
			m.profiles = append(m.profiles, "universal-application-"+p)
		}
		if more, ok := spec["Profiles"].([]any); ok {
			for _, p := range more {
				m.profiles = append(m.profiles, fmt.Sprint(p))
			}
		}
		if more, ok := spec["meta"].(map[string]any); ok {
			for k, v := range more {
				m.meta[k] = fmt.Sprint(v)
			}
		}
		for key, p := range map[string]string{"icon": ParamIcon, "color": ParamColor} {
			if s := say(key, p); s != "" {
				m.meta[key] = s
			}
		}
		if more, ok := spec["Params"].(map[string]any); ok {
			maps.Copy(m.params, more)
		}
		w.members[name] = m
	}
	return nil
}

// claim is what a machine becomes as a member. What it is given is noted on
// it, so that all of it can be taken away again.
func (w want) claim(name string) pool.Claim {
	m := w.members[name]
	c := pool.Claim{Owner: w.cluster.Uuid, Workflow: m.workflow, Profiles: m.profiles, Meta: m.meta, Params: maps.Clone(m.params)}
	tags := m.tags
	if tags == nil {
		tags = []any{}
	}
	maps.Copy(c.Params, resource.Params{ParamMember: name, ParamTags: tags, ParamHostname: name})
	c.Params[ParamGiven] = map[string]any{"Profiles": anys(slices.Values(c.Profiles)), "Params": anys(maps.Keys(c.Params)), "Meta": anys(maps.Keys(c.Meta))}
	return c
}

// given is the claim that a member was taken with, as far as its machine knows.
func given(m *api.Machine, cluster string) pool.Claim {
	c := pool.Claim{Profiles: []string{cluster}, Params: resource.Params{ParamMember: nil, ParamTags: nil, ParamHostname: nil, ParamGiven: nil}, Meta: map[string]string{}}
	note, _ := m.Params[ParamGiven].(map[string]any)
	for _, p := range texts(note["Profiles"]) {
		if p != cluster {
			c.Profiles = append(c.Profiles, p)
		}
	}
	for _, p := range texts(note["Params"]) {
		c.Params[p] = nil
	}
	for _, k := range texts(note["Meta"]) {
		c.Meta[k] = ""
	}
	return c
}
