package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// plan says once and for all which orders the batch has.
func (s step) plan(setup *api.WorkOrder) error {
	t := s.b.WorkOrderTemplate
	parts, err := s.parts(t, setup)
	if err != nil {
		return err
	}
	if len(parts) > maxParts {
		return resource.Errorf(resource.Invalid, "batches", s.b.Id, "the batch would have %d work orders, %d at most", len(parts), maxParts)
	}
	if _, err := parallel(s.b); err != nil {
		return err
	}
	return s.move(api.BatchRunning, "", func(b *api.Batch) { b.Parts = parts })
}

func (s step) parts(t *api.WorkOrderTemplate, setup *api.WorkOrder) ([]api.BatchPart, error) {
	items, given := t.Params[ParamItems]
	if setup != nil {
		if v, ok := setup.Params[ParamItems]; ok {
			items, given = v, true
		}
	}
	if !given && t.Machine != "" {
		return []api.BatchPart{{Machine: t.Machine}}, nil
	}
	if !given {
		return s.machines(t.Filter)
	}
	list, ok := items.([]any)
	if !ok {
		return nil, resource.Errorf(resource.Invalid, "batches", s.b.Id, "param %s is not a list", ParamItems)
	}
	out := make([]api.BatchPart, len(list))
	for i, item := range list {
		out[i] = api.BatchPart{Machine: t.Machine, Filter: t.Filter, Item: item}
	}
	return out, nil
}

// machines makes one part for each machine in WorkOrder mode that fits now.
func (s step) machines(filter string) ([]api.BatchPart, error) {
	var fit []*api.Machine
	for m := range api.Machines.All(s.tx) {
		if !m.WorkOrderMode {
			continue
		}
		ok, err := s.match(s.tx, m, filter)
		if err != nil {
			return nil, resource.Errorf(resource.Invalid, "batches", s.b.Id, "Filter %q: %v", filter, err)
		}
		if ok {
			fit = append(fit, m)
		}
	}
	slices.SortFunc(fit, func(a, b *api.Machine) int { return strings.Compare(a.Name, b.Name) })
	out := make([]api.BatchPart, len(fit))
	for i, m := range fit {
		out[i].Machine = m.Uuid
	}
	return out, nil
}

// parallel is how many orders may run at a time.
func parallel(b *api.Batch) (int, error) {
	v, ok := b.WorkOrderTemplate.Params[ParamParallel]
	if text, inMeta := b.Meta[ParamParallel]; inMeta {
		v, ok = text, true
	}
	if !ok {
		return DefaultParallel, nil
	}
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil || n < 1 || n > maxParallel {
		return 0, resource.Errorf(resource.Invalid, "batches", b.Id, "%s is %v: wanted is a number between 1 and %d", ParamParallel, v, maxParallel)
	}
	return n, nil
}
