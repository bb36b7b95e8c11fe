package guard

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// metaRefers in the Meta of a param's definition names the kind of object that
// the param's value names.
const metaRefers = "refers"

// record says of a kind that its objects come and go by themselves: no life hangs
// on one of them.
func record(kind string) bool {
	return slices.Contains([]string{"jobs", "work_orders", "leases", "boot_records", "bmc_actions", "alerts", "callbacks", "plugin_calls", "media",
		"disk_proofs", "disk_surveys"}, kind)
}

// node is an object by its key, or by its name.
type node struct{ kind, name string }

// lost is what an update deletes or renames.
type lost struct {
	kind  resource.Any
	key   string
	names []string // it was known by
}

// needHooks keep what a live cluster needs: whatever it, its members and its
// orders refer to, by fields, by params that say which kind they name, and so
// on from there. All that an update deletes is looked at together, at its end,
// when what is replaced is there again.
func needHooks() []resource.Hook {
	var of *resource.Tx
	var list []lost
	note := func(tx *resource.Tx, l lost) {
		if tx != of {
			of, list = tx, nil
			tx.After(func() error {
				all := list
				of, list = nil, nil
				return needed(tx, all)
			})
		}
		list = append(list, l)
	}
	var out []resource.Hook
	for _, k := range api.Kinds() {
		if record(k.KindName()) {
			continue
		}
		out = append(out, resource.Hook{Kind: k.KindName(), Save: func(tx *resource.Tx, old, new any) error {
			if l, ok := deleting(k, old, new); ok && !tx.Loading() {
				note(tx, l)
			}
			return nil
		}})
	}
	return out
}

// deleting says whether a save deletes an object, or takes a broker's name.
func deleting(k resource.Any, old, new any) (lost, bool) {
	if old == nil || new != nil && k.KindName() != api.Brokers.Name {
		return lost{}, false
	}
	l := lost{kind: k, key: k.KeyOf(old), names: k.IndexValues(old, api.ByName)}
	if new != nil {
		return lost{kind: k, names: l.names}, !slices.Equal(l.names, k.IndexValues(new, api.ByName))
	}
	l.names = append(l.names, l.key)
	return l, true
}

// needed refuses a loss that a live cluster cannot bear, naming all that cannot.
func needed(tx *resource.Tx, list []lost) error {
	list = slices.DeleteFunc(list, func(l lost) bool { return l.key != "" && l.kind.Has(tx, l.key) })
	users := make([][]string, len(list))
	for c := range api.Clusters.All(tx) {
		if len(list) == 0 || !live(tx, c) {
			continue
		}
		all := needs(tx, c)
		for i, l := range list {
			if slices.ContainsFunc(l.names, func(n string) bool { return all[node{l.kind.KindName(), n}] }) {
				users[i] = append(users[i], c.Name)
			}
		}
	}
	for i, l := range list {
		if len(users[i]) > 0 {
			slices.Sort(users[i])
			return resource.Errorf(resource.Refused, l.kind.KindName(), l.key,
				"%s is needed by live clusters: %s; destroy them first (drpcli clusters destroy %s), or let them use another one", l.names[0], some(users[i]), users[i][0])
		}
	}
	return nil
}

func some(list []string) string {
	const most = 10
	if n := len(list) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), n)
	}
	return strings.Join(list, ", ")
}

// live says whether a cluster holds machines, or is at work to get some.
func live(r resource.Reader, c *api.Machine) bool {
	for range api.Machines.By(r, api.ByOwner, c.Uuid) {
		return true
	}
	return c.Workflow != "" && !c.WorkflowComplete && c.Runnable
}

// needs is all that a cluster needs, by key and, where it is known so, by name.
func needs(tx *resource.Tx, c *api.Machine) map[node]bool {
	out := map[node]bool{}
	todo := []node{{api.Clusters.Name, c.Uuid}}
	for m := range api.Machines.By(tx, api.ByOwner, c.Uuid) {
		todo = append(todo, node{api.Machines.Name, m.Uuid})
	}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		if n.name == "" || out[n] {
			continue
		}
		out[n] = true
		if n.kind == api.Brokers.Name {
			if b := api.Brokers.One(tx, api.ByName, n.name); b != nil {
				todo = append(todo, node{n.kind, b.Uuid})
			}
		}
		for _, r := range tx.RefsOf(n.kind, n.name) {
			todo = append(todo, node{r.Kind, r.Key})
		}
		todo = append(todo, runs(tx, n)...)
	}
	return out
}

// runs is what a machine, cluster or broker needs that is no reference of its
// fields: its context and pool, its orders, and what its params name.
func runs(tx *resource.Tx, n node) []node {
	k, m := api.Runner(tx, n.name)
	if m == nil || k.Name != n.kind {
		return nil
	}
	out := []node{{api.Contexts.Name, m.Context}}
	if k == api.Machines {
		out = append(out, node{api.Pools.Name, m.Pool})
	}
	for o := range api.WorkOrders.By(tx, "Active", m.Uuid) {
		out = append(out, node{api.WorkOrders.Name, o.Uuid}, node{api.Contexts.Name, o.Context})
	}
	for def := range api.ParamDefs.All(tx) {
		kind := def.Meta[metaRefers]
		if kind == "" {
			continue
		}
		switch v, _, _ := param.Get(tx, param.Scope{Machine: m}, def.Name); v := v.(type) {
		case string:
			out = append(out, node{kind, v})
		case []any:
			for _, x := range v {
				if s, ok := x.(string); ok {
					out = append(out, node{kind, s})
				}
			}
		}
	}
	return out
}
