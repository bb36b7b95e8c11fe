package pool

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/blank"
	"drpd/pkg/resource"
)

// Operate carries out a request: all of it in this transaction, or nothing. It
// returns the keys of the machines that it moved, in the order of their names.
func Operate(tx *resource.Tx, q Request, match Match) ([]string, error) {
	if err := q.known(tx); err != nil {
		return nil, err
	}
	chosen, err := q.choose(tx, match)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(chosen))
	for _, m := range chosen {
		if err := q.apply(tx, m); err != nil {
			return nil, fmt.Errorf("%s of pool %s: machine %s: %w", q.Verb, q.Pool, m.Name, err)
		}
		out = append(out, m.Uuid)
	}
	return out, nil
}

// known refuses what would leave a machine half moved.
func (q Request) known(r resource.Reader) error {
	if w := q.Actions.Workflow; w != "" && !api.Workflows.Has(r, w) {
		return resource.Errorf(resource.Invalid, "pools", q.Pool, "pool/workflow: there is no workflow %q", w)
	}
	for _, p := range q.Actions.AddProfiles {
		if !api.Profiles.Has(r, p) {
			return resource.Errorf(resource.Invalid, "pools", q.Pool, "pool/add-profiles: there is no profile %q", p)
		}
	}
	if q.Verb == Remove && q.parent(r) == q.Pool {
		return resource.Errorf(resource.Refused, "pools", q.Pool, "pool %s has no ParentPool that its machines could go to: set one, or add them to another pool", q.Pool)
	}
	return nil
}

// parent is where removed machines go.
func (q Request) parent(r resource.Reader) string {
	if p, err := api.Pools.Get(r, q.Pool); err == nil && p.ParentPool != "" {
		return p.ParentPool
	}
	return Default
}

// from is the pool that the machines are in before.
func (q Request) from() string {
	if q.Verb == Add {
		return q.Source
	}
	return q.Pool
}

// choose picks the machines. Those that cannot be moved now are passed over;
// if that leaves fewer than the minimum it is an error that says why.
func (q Request) choose(tx *resource.Tx, match Match) ([]*api.Machine, error) {
	fits := func(m *api.Machine) (bool, error) { return q.fits(tx, m, match) }
	if len(q.List) > 0 {
		listed, err := q.listed(tx)
		if err != nil {
			return nil, err
		}
		fits = func(m *api.Machine) (bool, error) {
			ok, err := q.fits(tx, m, match)
			return ok && slices.Contains(listed, m.Uuid), err
		}
	}
	fit, why, err := candidates(tx, choice{pool: q.from(), to: blank.Taker{User: q.User}, verb: q.Verb, force: q.Force}, fits)
	if err != nil {
		return nil, err
	}
	if len(fit) < q.Minimum {
		return nil, q.short(len(fit), why)
	}
	if q.Count > 0 {
		fit = fit[:min(q.Count, len(fit))]
	}
	return fit, nil
}

func (q Request) fits(r resource.Reader, m *api.Machine, match Match) (bool, error) {
	for _, f := range q.Filter {
		ok, err := match(r, m, f)
		if err != nil {
			return false, fmt.Errorf("pool/filter: %w", err)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// listed resolves the machines that the request names.
func (q Request) listed(r resource.Reader) ([]string, error) {
	var out []string
	for _, ref := range q.List {
		o, err := api.Machines.Lookup(r, ref)
		if err != nil {
			return nil, resource.Errorf(resource.Invalid, "pools", q.Pool, "pool/machine-list: there is no machine %q", ref)
		}
		if m := o.Val.(*api.Machine); m.Pool != q.from() {
			return nil, resource.Errorf(resource.Refused, "pools", q.Pool, "pool/machine-list: %s is in pool %s, not %s", m.Name, m.Pool, q.from())
		}
		out = append(out, o.Key)
	}
	return out, nil
}

func (q Request) short(found int, why []string) error {
	text := fmt.Sprintf("%s: at least %d machines of pool %s are wanted, %d can be had; nothing was changed", q.Verb, q.Minimum, q.from(), found)
	if len(q.List) > 0 {
		why = slices.DeleteFunc(why, func(s string) bool { return strings.HasSuffix(s, ": does not match") })
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why[:min(len(why), 5)], ", ") + ")"
	}
	return resource.Errorf(resource.Refused, "pools", q.Pool, "%s", text)
}

func (q Request) apply(tx *resource.Tx, m *api.Machine) error {
	switch q.Verb {
	case Add:
		return leave(tx, m.Uuid, actionsOf(tx, q.Source, Remove), api.PoolNext{Pool: q.Pool, Actions: q.Actions})
	case Remove:
		return leave(tx, m.Uuid, merge(actionsOf(tx, q.Pool, Remove), q.Actions), api.PoolNext{Pool: q.parent(tx)})
	case Allocate:
		return allocate(tx, m, q.Actions, blank.Taker{User: q.User}, func(*api.Machine) {})
	case Release:
		return release(tx, m, q.Actions, func(*api.Machine) {})
	}
	return resource.Errorf(resource.NotFound, "pools", q.Pool, "there is no operation %q", q.Verb)
}
