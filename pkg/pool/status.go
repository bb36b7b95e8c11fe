package pool

import (
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Result is what replies say of one machine of a pool.
type Result struct {
	Name      string
	Uuid      string
	Allocated bool
	Status    api.PoolStatus
}

// Results tells how machines stand, in the order given. One that has gone
// meanwhile is left out.
func Results(r resource.Reader, ids []string) []Result {
	out := make([]Result, 0, len(ids))
	for _, id := range ids {
		if m, err := api.Machines.Get(r, id); err == nil {
			out = append(out, result(m))
		}
	}
	return out
}

func result(m *api.Machine) Result { return Result{m.Name, m.Uuid, m.PoolAllocated, m.PoolStatus} }

// Active lists the pools that machines are in, whether they are objects or not.
func Active(r resource.Reader) []string {
	seen := map[string]bool{}
	out := []string{}
	for m := range api.Machines.All(r) {
		if !seen[m.Pool] {
			seen[m.Pool] = true
			out = append(out, m.Pool)
		}
	}
	slices.Sort(out)
	return out
}

// Members tells which machines of a pool are in which state.
func Members(r resource.Reader, pool string) map[api.PoolStatus][]Result {
	out := map[api.PoolStatus][]Result{}
	for m := range api.Machines.By(r, api.ByPool, pool) {
		out[m.PoolStatus] = append(out[m.PoolStatus], result(m))
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b Result) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}
