// Package broker turns "n machines like this" into held machines, all or
// nothing, and gives them back. Its operations run as work orders on a
// ResourceBroker; each decides in one transaction.
package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// Request is what a work order on a broker asks for, in its Params.
const (
	ParamCluster  = "broker/cluster"   // uuid of the cluster
	ParamMembers  = "broker/members"   // []Member wanted
	ParamPool     = "broker-pool/pool" // source pool, default "default"
	ParamFilter   = "broker-pool/filter"
	ParamWorkflow = "broker/set-workflow"
	ParamMember   = "cluster/member" // on a machine: its name in the cluster
	ParamTags     = "cluster/tags"
	ParamHostname = "hostname"
)

// Natives are the broker's operations. match is the API's list filter.
func Natives(match func(r resource.Reader, m *api.Machine, filter string) (bool, error)) map[string]engine.Native {
	b := broker{match: match}
	return map[string]engine.Native{
		"broker/allocate": b.allocate,
		"broker/release":  b.release,
	}
}

type broker struct {
	match func(r resource.Reader, m *api.Machine, filter string) (bool, error)
}

// want is a decoded request.
type want struct {
	cluster *api.Machine
	members map[string][]string // name -> tags
	pool    string
	filter  string
	flow    string
}

// request reads the order behind a job.
func request(tx *resource.Tx, job string) (want, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return want{}, err
	}
	o, err := api.WorkOrders.Get(tx, j.WorkOrder)
	if err != nil {
		return want{}, resource.Errorf(resource.Invalid, "jobs", job, "runs only in a work order on a broker")
	}
	text := func(name, def string) string {
		if s, ok := o.Params[name].(string); ok && s != "" {
			return s
		}
		return def
	}
	id := text(ParamCluster, "")
	c, err := api.Clusters.Get(tx, id)
	if err != nil {
		return want{}, resource.Errorf(resource.Invalid, "work_orders", o.Uuid, "param %s: no cluster %q", ParamCluster, id)
	}
	w := want{cluster: c, members: map[string][]string{}, pool: text(ParamPool, "default"), filter: text(ParamFilter, ""), flow: text(ParamWorkflow, "")}
	members, _ := o.Params[ParamMembers].(map[string]any)
	for name, v := range members {
		tags := []string{}
		list, _ := v.([]any)
		for _, t := range list {
			tags = append(tags, fmt.Sprint(t))
		}
		w.members[name] = tags
	}
	return w, nil
}

// Held lists the machines that a cluster holds, by their name in it.
func Held(r resource.Reader, cluster string) map[string]*api.Machine {
	out := map[string]*api.Machine{}
	for m := range api.Machines.By(r, api.ByOwner, cluster) {
		name, _ := m.Params[ParamMember].(string)
		if name == "" {
			name = m.Uuid
		}
		out[name] = m
	}
	return out
}

// allocate compares the names wanted with those held and takes what is
// missing: all of it in this transaction, or nothing while it waits.
func (b broker) allocate(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
	w, err := request(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	held := Held(tx, w.cluster.Uuid)
	var missing []string
	for name := range w.members {
		if held[name] == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	free, why, err := pool.Candidates(tx, w.pool, func(m *api.Machine) (bool, error) {
		if w.filter == "" {
			return true, nil
		}
		return b.match(tx, m, w.filter)
	})
	if err != nil {
		return engine.Result{}, resource.Errorf(resource.Invalid, "work_orders", "", "param %s: %v", ParamFilter, err)
	}
	if len(free) < len(missing) {
		return engine.Result{Waiting: shortage(w, len(missing), len(free), why), Until: now.Add(time.Minute)}, nil
	}
	for i, name := range missing {
		if err := pool.Take(tx, free[i].Uuid, w.claim(name)); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}

func shortage(w want, need, free int, why []string) string {
	text := fmt.Sprintf("cluster %s needs %d machines of pool %s at once, %d can be taken", w.cluster.Name, need, w.pool, free)
	if len(why) > 0 {
		text += " (" + strings.Join(why[:min(len(why), 5)], ", ") + ")"
	}
	return text
}

func (w want) claim(name string) pool.Claim {
	return pool.Claim{Owner: w.cluster.Uuid, Workflow: w.flow, Profiles: []string{w.cluster.Name},
		Params: resource.Params{ParamMember: name, ParamTags: tags(w.members[name]), ParamHostname: name}}
}

func tags(list []string) []any {
	out := make([]any, len(list))
	for i, t := range list {
		out[i] = t
	}
	return out
}

// release gives back every machine that the cluster holds beyond what the
// order wants, and is done when the pool has them, or holds them with a cause.
func (b broker) release(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
	w, err := request(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	var left []string
	for name, m := range Held(tx, w.cluster.Uuid) {
		if _, keep := w.members[name]; keep {
			continue
		}
		switch m.PoolStatus {
		case api.InUse, api.Building, api.HoldBuild:
			if err := pool.GiveBack(tx, m.Uuid, w.claim(name)); err != nil {
				return engine.Result{}, err
			}
			left = append(left, m.Name+" begins")
		case api.HoldDestroy:
			// It stays out of the pool until a person has repaired it; the
			// cluster need not wait for that.
			if err := api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Owner = ""; return nil }); err != nil {
				return engine.Result{}, err
			}
		default:
			left = append(left, fmt.Sprintf("%s %s", m.Name, m.PoolStatus))
		}
	}
	if len(left) == 0 {
		return engine.Result{Done: true}, nil
	}
	slices.Sort(left)
	return engine.Result{Waiting: "machines on their way back to the pool: " + strings.Join(left, ", ")}, nil
}
