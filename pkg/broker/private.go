package broker

import (
	"fmt"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// With broker-pool/allocate false a cluster gets a pool of its own, named like
// it: members are moved there from the source pool, and back to where they
// came from. A machine remembers the way, so that pools may nest.
const (
	ParamAllocate = "broker-pool/allocate"
	ParamStack    = "broker-pool/pool-stack"
)

// private is the cluster's own pool, "" if it takes from a shared one.
func (w want) private() string {
	if w.shared {
		return ""
	}
	return w.cluster.Name
}

// gather moves what is missing into the cluster's own pool, all of it or
// nothing, and says what is on its way; "" once all can be taken.
func (b broker) gather(tx *resource.Tx, w want, missing int) (waiting string, err error) {
	here := 0
	var coming []string
	for m := range api.Machines.By(tx, api.ByPool, w.private()) {
		switch {
		case m.Owner != "":
		case m.PoolStatus == api.Free:
			here++
		default:
			coming = append(coming, m.Name+": "+string(m.PoolStatus))
		}
	}
	for m := range api.Machines.By(tx, api.ByStatus, string(api.Leaving)) {
		if m.PoolNext != nil && m.PoolNext.Pool == w.private() {
			coming = append(coming, m.Name+": "+string(m.PoolStatus))
		}
	}
	if need := missing - here - len(coming); need > 0 {
		free, why, err := pool.Candidates(tx, w.pool, w.cluster.Uuid, func(m *api.Machine) (bool, error) { return b.fits(tx, w, m) })
		if err != nil || len(free) < need {
			return shortage(w, need, len(free), why), err
		}
		for _, m := range free[:need] {
			stack, _ := m.Params[ParamStack].([]any)
			over := api.PoolActions{AddParameters: resource.Params{ParamStack: append([]any{w.pool}, stack...)}}
			if err := pool.Move(tx, m.Uuid, w.private(), over); err != nil {
				return "", err
			}
		}
		return b.gather(tx, w, missing)
	}
	if here < missing {
		slices.Sort(coming)
		return fmt.Sprintf("machines on their way into pool %s: %v", w.private(), coming), nil
	}
	return "", nil
}

// disperse returns the machines of the cluster's own pool that nobody uses to
// the pools they came from, and lists those that cannot go yet.
func (w want) disperse(tx *resource.Tx) (left []string, err error) {
	for m := range api.Machines.By(tx, api.ByPool, w.private()) {
		if m.Owner != "" || m.PoolStatus == api.HoldDestroy {
			continue
		}
		if m.PoolStatus != api.Free || !m.WorkflowComplete || m.Locked {
			left = append(left, fmt.Sprintf("%s %s", m.Name, m.PoolStatus))
			continue
		}
		to, over := pool.Default, api.PoolActions{RemoveParameters: []string{ParamStack}}
		if stack, _ := m.Params[ParamStack].([]any); len(stack) > 0 {
			to = fmt.Sprint(stack[0])
			if rest := stack[1:]; len(rest) > 0 {
				over = api.PoolActions{AddParameters: resource.Params{ParamStack: rest}}
			}
		}
		if err := pool.Move(tx, m.Uuid, to, over); err != nil {
			return nil, err
		}
		if now, err := api.Machines.Get(tx, m.Uuid); err == nil && now.Pool == w.private() {
			left = append(left, fmt.Sprintf("%s %s", now.Name, now.PoolStatus))
		}
	}
	return left, nil
}

func (b broker) fits(r resource.Reader, w want, m *api.Machine) (bool, error) {
	if w.filter == "" {
		return true, nil
	}
	ok, err := b.match(r, m, w.filter)
	if err != nil {
		return false, resource.Errorf(resource.Invalid, "work_orders", "", "param %s: %v", ParamFilter, err)
	}
	return ok, nil
}

// take holds the machines that are missing: all of them or none.
func (b broker) take(tx *resource.Tx, now time.Time, w want, missing []string) (engine.Result, error) {
	from := w.pool
	if own := w.private(); own != "" && len(missing) > 0 {
		if own == w.pool {
			return engine.Result{}, resource.Errorf(resource.Invalid, "clusters", w.cluster.Uuid, "param %s names the cluster's own pool %s", ParamPool, own)
		}
		waiting, err := b.gather(tx, w, len(missing))
		if err != nil || waiting != "" {
			return engine.Result{Waiting: waiting, Until: now.Add(time.Minute)}, err
		}
		from = own
	}
	free, why, err := pool.Candidates(tx, from, w.cluster.Uuid, func(m *api.Machine) (bool, error) { return b.fits(tx, w, m) })
	if err != nil {
		return engine.Result{}, err
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
