package cluster

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// ParamWaitAll makes a cluster wait for all of its members, not for a quorum.
const ParamWaitAll = "cluster/wait-for-members"

// trim gives back the members that the definition no longer names: they leave
// the application first, the last joined before the others.
func trim(x run) (engine.Result, error) {
	want, err := x.wanted()
	if err != nil {
		return engine.Result{}, err
	}
	surplus := func(name string) bool { _, keep := want[name]; return !keep }
	if !slices.ContainsFunc(heldNames(x.tx, x.c), surplus) {
		return engine.Result{Done: true}, nil
	}
	if err := guard.Cluster(x.tx, x.c, guard.Shrink); err != nil {
		return engine.Result{}, err
	}
	if res, err := x.leaveAll(surplus); err != nil || !res.Done {
		return res, err
	}
	if err := x.unseat(surplus); err != nil {
		return engine.Result{}, err
	}
	return x.broker(giveBack, want)
}

func heldNames(r resource.Reader, c *api.Machine) []string {
	var out []string
	for name := range held(r, c) {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// unseat forgets a leader that is no member any more, so that another is elected.
func (x run) unseat(gone func(string) bool) error {
	p, err := api.Profiles.Get(x.tx, x.c.Name)
	if err != nil {
		return err
	}
	leader, _ := p.Params[ParamLeader].(map[string]any)
	if name, ok := leader["Name"].(string); !ok || !gone(name) {
		return nil
	}
	return api.Profiles.Modify(x.tx, x.c.Name, func(p *api.Profile) error { delete(p.Params, ParamLeader); return nil })
}

// waitMembers waits, if the cluster wants that, until every member's own
// workflow is complete. Who clears a member's workflow breaks the wait.
func waitMembers(x run) (engine.Result, error) {
	if v, _ := x.value(ParamWaitAll); v != true {
		return engine.Result{Done: true}, nil
	}
	members, err := Wanted(x.tx, x.c)
	if err != nil {
		return engine.Result{}, err
	}
	have := held(x.tx, x.c)
	var why []string
	for _, w := range members {
		m := have[w.Name]
		switch {
		case m == nil || m.WorkflowComplete || m.Workflow == "":
			if m == nil {
				why = append(why, w.Name+": no machine yet")
			}
		case m.PoolHoldReason != "":
			why = append(why, fmt.Sprintf("%s (%s): %s", w.Name, m.Name, m.PoolHoldReason))
		default:
			why = append(why, fmt.Sprintf("%s (%s): %s at %s", w.Name, m.Name, m.Workflow, at(m)))
		}
	}
	if len(why) == 0 {
		return engine.Result{Done: true}, nil
	}
	return engine.Result{Waiting: fmt.Sprintf("%d of %d members complete; %s", len(members)-len(why), len(members), strings.Join(why, "; "))}, nil
}
