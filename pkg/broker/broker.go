// Package broker turns "n machines like this" into held machines, all or
// nothing, and gives them back. Its operations run as work orders on a
// ResourceBroker; each decides in one transaction.
package broker

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
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

	ParamType     = "broker/type"        // pool or context, set by the broker's profile
	ParamContext  = "broker/set-context" // of machines that a context broker makes
	ParamPipeline = "broker/set-pipeline"
	ParamIcon     = "broker/set-icon"
	ParamColor    = "broker/set-color"
	ParamGiven    = "broker/given" // on a machine: what it got as a member
)

// Natives are the broker's operations. match is the API's list filter.
func Natives(match func(r resource.Reader, m *api.Machine, filter string) (bool, error)) map[string]engine.Native {
	b := broker{match: match}
	return map[string]engine.Native{
		"broker/allocate": b.allocate,
		"broker/release":  b.release,
		"broker/fill":     b.fill,
	}
}

type broker struct {
	match func(r resource.Reader, m *api.Machine, filter string) (bool, error)
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
	if w.kind == TypeContext {
		return w.create(tx, missing)
	}
	res, err := b.take(tx, now, w, missing)
	if err != nil {
		return res, err
	}
	return res, yield(tx, w.order, !res.Done)
}

// yield notes that an order waits for machines, so that others of its broker go
// first: the machines may be theirs to release.
func yield(tx *resource.Tx, order string, waits bool) error {
	o, err := api.WorkOrders.Get(tx, order)
	if err != nil || o.Yields == waits {
		return err
	}
	return api.WorkOrders.Modify(tx, order, func(o *api.WorkOrder) error { o.Yields = waits; return nil })
}

func shortage(w want, need, free int, why []string) string {
	text := fmt.Sprintf("cluster %s needs %d machines of pool %s at once, %d can be taken", w.cluster.Name, need, w.pool, free)
	if len(why) > 0 {
		text += " (" + strings.Join(why[:min(len(why), 5)], ", ") + ")"
	}
	return text
}

func anys(list iter.Seq[string]) []any {
	out := []any{}
	for _, s := range slices.Sorted(list) {
		out = append(out, s)
	}
	return out
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
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
		if err := guard.Destroy(tx, m, guard.Release); err != nil {
			return engine.Result{}, err
		}
		if m.Pool == ContextPool {
			if err := destroy(tx, now, m.Uuid); err != nil {
				return engine.Result{}, err
			}
			continue
		}
		switch m.PoolStatus {
		case api.InUse, api.Building, api.HoldBuild:
			if err := pool.GiveBack(tx, m.Uuid, given(m, w.cluster.Name)); err != nil {
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
	if w.private() != "" {
		more, err := w.disperse(tx)
		if err != nil {
			return engine.Result{}, err
		}
		left = append(left, more...)
	}
	if len(left) == 0 {
		return engine.Result{Done: true}, nil
	}
	slices.Sort(left)
	return engine.Result{Waiting: "machines on their way back to the pool: " + strings.Join(left, ", ")}, nil
}
