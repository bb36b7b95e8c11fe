package pool

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// What a pool's CreateParameters say, and what the broker is told.
const (
	ParamBroker    = "broker/name"       // the resource broker that makes machines
	ParamFillPool  = "broker/fill-pool"  // in the order: for which pool
	ParamFillCount = "broker/fill-count" // in the order: how many
	FillBlueprint  = "broker-fill"
)

// maxFill bounds how many machines one look moves.
const maxFill = 1000

// FillRule keeps the number of Free machines between MinFree and MaxFree of
// the pools that want it.
func FillRule(match Match) engine.Rule {
	return engine.Rule{Name: "pool fill", Kind: api.Pools, Wake: map[string]engine.Wake{"machines": poolsOf, "work_orders": orderedBy},
		Step: func(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
			return Fill(tx, now, id, match)
		}}
}

// poolsOf finds the pools that a changed machine matters to: those it is in,
// goes to or was in, and those that fill themselves from them.
func poolsOf(r resource.Reader, e resource.Event) []string {
	in := map[string]bool{}
	for _, v := range []any{e.New, e.Old} {
		if m, ok := v.(*api.Machine); ok {
			in[m.Pool] = true
			if m.PoolNext != nil {
				in[m.PoolNext.Pool] = true
			}
		}
	}
	var out []string
	for p := range api.Pools.All(r) {
		if p.AutoFill != nil && p.AutoFill.UseAutoFill && (in[p.Id] || in[p.AutoFill.AcquirePool] || in[p.AutoFill.ReturnPool]) {
			out = append(out, p.Id)
		}
	}
	return out
}

func orderedBy(_ resource.Reader, e resource.Event) []string {
	if o, ok := e.New.(*api.WorkOrder); ok && strings.HasPrefix(o.For, askedFor("")) {
		return []string{strings.TrimPrefix(o.For, askedFor(""))}
	}
	return nil
}

func askedFor(pool string) string { return "pools/" + pool }

// Fill is the step of FillRule.
func Fill(tx *resource.Tx, now time.Time, id string, match Match) (engine.Result, error) {
	p, err := api.Pools.Get(tx, id)
	if err != nil || p.AutoFill == nil || !p.AutoFill.UseAutoFill {
		return engine.Result{}, err
	}
	low, high := int(p.AutoFill.MinFree), int(p.AutoFill.MaxFree)
	if high > 0 && high < low {
		return engine.Result{Waiting: fmt.Sprintf("MaxFree (%d) is below MinFree (%d)", high, low)}, nil
	}
	free, coming := supply(tx, id)
	switch {
	case free+coming < low:
		return fill(tx, now, p, min(low-free-coming, maxFill), match)
	case high > 0 && free > high:
		return drain(tx, p, min(free-high, maxFill), match)
	}
	return engine.Result{}, nil
}

// supply counts the Free machines of a pool, and those on their way to it.
func supply(r resource.Reader, id string) (free, coming int) {
	for m := range api.Machines.By(r, api.ByPool, id) {
		switch m.PoolStatus {
		case api.Free:
			free++
		case api.Joining, api.Destroying:
			coming++
		}
	}
	for m := range api.Machines.By(r, api.ByStatus, string(api.Leaving)) {
		if m.PoolNext != nil && m.PoolNext.Pool == id {
			coming++
		}
	}
	return free, coming
}

// fill takes what is missing from AcquirePool, without bringing that below its
// own minimum; what then is missing a broker makes.
func fill(tx *resource.Tx, now time.Time, p *api.Pool, missing int, match Match) (engine.Result, error) {
	f := p.AutoFill
	why := fmt.Sprintf("%d Free machines are missing", missing)
	if f.AcquirePool != "" && f.AcquirePool != p.Id {
		fit, _, err := candidates(tx, choice{pool: f.AcquirePool, verb: Add}, nil)
		if err != nil {
			return engine.Result{}, err
		}
		n := min(missing, max(len(fit)-reserve(tx, f.AcquirePool), 0))
		if n > 0 {
			if _, err := Operate(tx, Request{Verb: Add, Pool: p.Id, Source: f.AcquirePool, Count: n}, match); err != nil {
				return engine.Result{}, err
			}
			missing -= n
		}
		why = fmt.Sprintf("%d Free machines are missing: pool %s has no more to spare", missing, f.AcquirePool)
	}
	if missing == 0 {
		return engine.Result{}, nil
	}
	if len(f.CreateParameters) == 0 {
		return engine.Result{Waiting: why}, nil
	}
	return order(tx, now, p, missing)
}

// reserve is how many Free machines a pool keeps for itself.
func reserve(r resource.Reader, id string) int {
	p, err := api.Pools.Get(r, id)
	if err != nil || p.AutoFill == nil || !p.AutoFill.UseAutoFill {
		return 0
	}
	return int(p.AutoFill.MinFree)
}

// order asks a broker for machines, by one work order at a time.
func order(tx *resource.Tx, now time.Time, p *api.Pool, missing int) (engine.Result, error) {
	var last *api.WorkOrder
	for o := range api.WorkOrders.By(tx, "For", askedFor(p.Id)) {
		if !o.Ended() {
			return engine.Result{Waiting: "a broker makes machines: " + cmp.Or(o.Status, string(o.State))}, nil
		}
		if last == nil || o.EndTime.After(last.EndTime) {
			last = o
		}
	}
	if last != nil && last.State != api.OrderFinished && now.Before(last.EndTime.Add(retryFill)) {
		return engine.Result{Waiting: "the broker made no machines: " + last.Status, Until: last.EndTime.Add(retryFill)}, nil
	}
	name, _ := p.AutoFill.CreateParameters[ParamBroker].(string)
	b := api.Brokers.One(tx, api.ByName, name)
	if b == nil {
		return engine.Result{Waiting: fmt.Sprintf("CreateParameters: %s names no resource broker: %q", ParamBroker, name)}, nil
	}
	o := &api.WorkOrder{Blueprint: FillBlueprint, Machine: b.Uuid, CreateTime: now, For: askedFor(p.Id), Params: maps.Clone(p.AutoFill.CreateParameters)}
	o.Params[ParamFillPool], o.Params[ParamFillCount] = p.Id, float64(missing)
	return engine.Result{Waiting: "a broker is asked for machines"}, api.WorkOrders.Create(tx, o)
}

// retryFill is how long a broker that failed is left alone.
const retryFill = 5 * time.Minute

// drain gives back the surplus, unless the pool that would get it has enough.
func drain(tx *resource.Tx, p *api.Pool, surplus int, match Match) (engine.Result, error) {
	to := cmp.Or(p.AutoFill.ReturnPool, p.ParentPool, Default)
	if to == p.Id {
		return engine.Result{Waiting: fmt.Sprintf("%d Free machines too many: set ReturnPool", surplus)}, nil
	}
	if back, err := api.Pools.Get(tx, to); err == nil && back.AutoFill != nil && back.AutoFill.UseAutoFill && back.AutoFill.MaxFree > 0 {
		free, coming := supply(tx, to)
		if surplus = min(surplus, max(int(back.AutoFill.MaxFree)-free-coming, 0)); surplus == 0 {
			return engine.Result{Waiting: "more Free machines than MaxFree: pool " + to + " has enough"}, nil
		}
	}
	fit, why, err := candidates(tx, choice{pool: p.Id, verb: Remove}, nil)
	if err != nil {
		return engine.Result{}, err
	}
	if len(fit) == 0 {
		return engine.Result{Waiting: "more Free machines than MaxFree: none can be returned: " + strings.Join(why[:min(len(why), 5)], ", ")}, nil
	}
	_, err = Operate(tx, Request{Verb: Add, Pool: to, Source: p.Id, Count: min(surplus, len(fit))}, match)
	return engine.Result{}, err
}
