package cluster

import (
	"fmt"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Member is one place in a cluster: its name and tags are the definition's,
// the machine is whoever fills it now.
type Member struct {
	Name string
	Tags []string
	Type map[string]any // what its type in cluster/machines says, for the broker
}

// Wanted reads the members from the definition: cluster/machines if it is set,
// else cluster/count members named <cluster>-<n>.
func Wanted(r resource.Reader, c *api.Machine) ([]Member, error) {
	s := param.Scope{Machine: c}
	if v, _, ok := param.Get(r, s, ParamMachines); ok {
		return fromMachines(c, v)
	}
	n, err := param.Int(r, s, ParamCount)
	if err != nil {
		return nil, resource.Errorf(resource.Invalid, "clusters", c.Uuid, "%v", err)
	}
	tags, err := param.Strings(r, s, ParamTags)
	if err != nil || len(tags) == 0 {
		tags = []string{c.Name}
	}
	out := make([]Member, n)
	for i := range out {
		out[i] = Member{Name: fmt.Sprintf("%s-%d", c.Name, i+1), Tags: tags}
	}
	return out, nil
}

func fromMachines(c *api.Machine, v any) ([]Member, error) {
	types, ok := v.(map[string]any)
	if !ok {
		return nil, resource.Errorf(resource.Invalid, "clusters", c.Uuid, "param %s must map a type's name to {names, tags}", ParamMachines)
	}
	var out []Member
	for kind, t := range types {
		spec, _ := t.(map[string]any)
		names := texts(spec["names"])
		if len(names) == 0 {
			return nil, resource.Errorf(resource.Invalid, "clusters", c.Uuid, "param %s: type %s lists no names", ParamMachines, kind)
		}
		for _, n := range names {
			out = append(out, Member{Name: n, Tags: append([]string{c.Name}, texts(spec["tags"])...), Type: spec})
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return compare(a.Name, b.Name) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			return nil, resource.Errorf(resource.Invalid, "clusters", c.Uuid, "param %s names %s twice", ParamMachines, out[i].Name)
		}
	}
	return out, nil
}

func compare(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b) // so that x-10 follows x-9
	}
	if a < b {
		return -1
	}
	return 1
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// held lists the machines that the cluster holds, by member name.
func held(r resource.Reader, c *api.Machine) map[string]*api.Machine {
	out := map[string]*api.Machine{}
	for m := range api.Machines.By(r, api.ByOwner, c.Uuid) {
		name, _ := m.Params["cluster/member"].(string)
		if name == "" {
			name = m.Uuid
		}
		out[name] = m
	}
	return out
}

// notReady says why a member cannot be worked with yet, "" if it can.
func notReady(r resource.Reader, name string, m *api.Machine) string {
	switch {
	case m == nil:
		return name + ": no machine yet"
	case m.PoolStatus != api.InUse:
		why := fmt.Sprintf("%s (%s): %s", name, m.Name, m.PoolStatus)
		if m.PoolHoldReason != "" {
			return why + ": " + m.PoolHoldReason
		}
		return why + ", " + m.Workflow + " at " + at(m)
	case m.Boot != nil && !m.Boot.Home:
		return fmt.Sprintf("%s (%s): its agent has not called home from %s", name, m.Name, m.Boot.Env)
	}
	return ""
}

func at(m *api.Machine) string {
	if i := max(m.CurrentTask, 0); i < len(m.Tasks) {
		return m.Tasks[i]
	}
	return "the end"
}

// Joined is one entry of cluster/members.
type Joined struct{ Name, Uuid, Address string }

func joined(r resource.Reader, c *api.Machine) []Joined {
	p, err := api.Profiles.Get(r, c.Name)
	if err != nil {
		return nil
	}
	list, _ := p.Params[ParamJoined].([]any)
	var out []Joined
	for _, v := range list {
		m, _ := v.(map[string]any)
		out = append(out, Joined{Name: fmt.Sprint(m["Name"]), Uuid: fmt.Sprint(m["Uuid"]), Address: fmt.Sprint(m["Address"])})
	}
	return out
}

func setJoined(tx *resource.Tx, c *api.Machine, list []Joined) error {
	out := make([]any, len(list))
	for i, j := range list {
		out[i] = map[string]any{"Name": j.Name, "Uuid": j.Uuid, "Address": j.Address}
	}
	return api.Profiles.Modify(tx, c.Name, func(p *api.Profile) error { p.Params[ParamJoined] = out; return nil })
}
