package trigger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Limits of what a cause may bring along as params.
const (
	maxData = 200 // params
	maxName = 200 // bytes of a param's name
)

// fire makes the orders of a trigger and notes it in f, what it remembers, which
// the caller stores in the same update. data is what the trigger saw. If it
// cannot make any order it says why.
func (x *Triggers) fire(tx *resource.Tx, now time.Time, t *api.Trigger, f *Firing, data map[string]any) (problem string, err error) {
	targets, problem := x.targets(tx, t)
	var made []string
	for _, target := range targets {
		o := order(t, data)
		o.Machine, o.Filter, o.CreateTime = target.machine, target.filter, now
		if err := api.WorkOrders.Create(tx, o); err != nil {
			if resource.CodeOf(err) == "" {
				return "", fmt.Errorf("make a work order of trigger %s: %w", t.Name, err)
			}
			problem = err.Error()
			break
		}
		made = append(made, o.Uuid)
	}
	f.Problem = problem
	if len(made) > 0 {
		f.Fired, f.WorkOrders, f.Problem = now, made, ""
		f.Count++
	}
	return f.Problem, nil
}

// target is where one order goes: to a machine, or to any that a filter fits.
type target struct{ machine, filter string }

// inMode is what the filter of every trigger implies.
const inMode = "WorkOrderMode=true Runnable=true"

// targets chooses the machines: those with the fewest orders first.
func (x *Triggers) targets(r resource.Reader, t *api.Trigger) ([]target, string) {
	if t.QueueMode {
		return []target{{filter: strings.TrimSpace(t.Filter + " " + inMode)}}, ""
	}
	var fit []*api.Machine
	for m := range api.Machines.All(r) {
		if !m.WorkOrderMode || !m.Runnable {
			continue
		}
		ok, err := true, error(nil)
		if t.Filter != "" {
			ok, err = x.Match(r, m, t.Filter)
		}
		if err != nil {
			return nil, fmt.Sprintf("Filter %q: %v", t.Filter, err)
		}
		if ok {
			fit = append(fit, m)
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Sprintf("no runnable machine in WorkOrder mode matches %q", t.Filter)
	}
	slices.SortFunc(fit, func(a, b *api.Machine) int {
		return cmp.Or(cmp.Compare(load(a), load(b)), strings.Compare(a.Name, b.Name))
	})
	if !t.AllInFilter {
		fit = fit[:min(max(t.FilterCount, 1), len(fit))]
	}
	out := make([]target, len(fit))
	for i, m := range fit {
		out[i].machine = m.Uuid
	}
	return out, ""
}

func load(m *api.Machine) int { return m.PendingWorkOrders + m.RunningWorkOrders }

// order is what a trigger asks for. What the trigger itself says goes before
// what it saw.
func order(t *api.Trigger, data map[string]any) *api.WorkOrder {
	o := &api.WorkOrder{Blueprint: t.Blueprint, Params: resource.Params{}, Profiles: slices.Clone(t.WorkOrderProfiles)}
	o.Meta = map[string]string{MetaTrigger: t.Name}
	if t.MergeDataIntoParams {
		for _, name := range slices.Sorted(maps.Keys(data))[:min(len(data), maxData)] {
			o.Params[DataPrefix+paramName(name)] = data[name]
		}
	}
	if t.StoreDataInParameter != "" && data != nil {
		o.Params[t.StoreDataInParameter] = data
	}
	maps.Copy(o.Params, t.WorkOrderParams)
	return o
}

// MetaTrigger names, in an order, the trigger that made it.
const MetaTrigger = "trigger"

// paramName makes a name that a param may have of any text.
func paramName(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < 128 && (c == '-' || c == '_' || c == '.' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return c
		}
		return '_'
	}, s)
	return s[:min(len(s), maxName)]
}
