package cluster

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Natives are the cluster's operations in task lists.
func Natives() map[string]engine.Native {
	return map[string]engine.Native{
		"cluster/gather":           native(gather),
		"cluster/wait-quorum":      native(waitQuorum),
		"cluster/wait-for-members": native(waitMembers),
		"cluster/trim":             native(trim),
		"cluster/elect":            native(elect),
		"cluster/join":             native(join),
		"cluster/rolling":          native(rolling),
		"cluster/leave":            native(leave),
		"cluster/release":          native(release),
	}
}

// run is one native operation at work: its job and cluster.
type run struct {
	tx  *resource.Tx
	now time.Time
	job *api.Job
	c   *api.Machine
}

func native(fn func(run) (engine.Result, error)) engine.Native {
	return func(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
		j, err := api.Jobs.Get(tx, job)
		if err != nil {
			return engine.Result{}, err
		}
		c, err := api.Clusters.Get(tx, j.Machine)
		if err != nil {
			return engine.Result{}, resource.Errorf(resource.Invalid, "jobs", job, "%s runs only on clusters", j.Task)
		}
		return fn(run{tx, now, j, c})
	}
}

// scope finds params for the operation: the work order's first.
func (x run) scope() param.Scope {
	s := param.Scope{Machine: x.c}
	if o, err := api.WorkOrders.Get(x.tx, x.job.WorkOrder); err == nil {
		s.Order = o
	}
	return s
}

func (x run) value(name string) (any, bool) {
	v, _, ok := param.Get(x.tx, x.scope(), name)
	return v, ok
}

func (x run) text(name string) string {
	v, _ := x.value(name)
	s, _ := v.(string)
	return s
}

func (x run) note(key string) string { s, _ := x.job.Note[key].(string); return s }

// remember keeps a fact with the job, for the steps after this one.
func (x *run) remember(key, value string) error {
	err := api.Jobs.Modify(x.tx, x.job.Uuid, func(j *api.Job) error {
		if j.Note == nil {
			j.Note = resource.Params{}
		}
		j.Note[key] = value
		return nil
	})
	if err == nil {
		x.job, err = api.Jobs.Get(x.tx, x.job.Uuid)
	}
	return err
}

// order runs one blueprint for this job, once for each label, and returns the
// work order as it stands.
func (x *run) order(label, on, blueprint string, params resource.Params) (*api.WorkOrder, error) {
	if id := x.note(label); id != "" {
		return api.WorkOrders.Get(x.tx, id)
	}
	o := &api.WorkOrder{Blueprint: blueprint, Machine: on, Params: params, CreateTime: x.now, For: x.c.Uuid}
	if err := api.WorkOrders.Create(x.tx, o); err != nil {
		return nil, err
	}
	return o, x.remember(label, o.Uuid)
}

// gather asks the broker for the members that the definition names.
func gather(x run) (engine.Result, error) {
	want, err := x.wanted()
	if err != nil {
		return engine.Result{}, err
	}
	return x.broker(askFor, want)
}

// wanted is the definition as a broker's order has it: members by name.
func (x run) wanted() (map[string]any, error) {
	members, err := Wanted(x.tx, x.c)
	if err != nil {
		return nil, err
	}
	want := map[string]any{}
	for _, m := range members {
		tags := make([]any, len(m.Tags))
		for i, t := range m.Tags {
			tags[i] = t
		}
		spec := map[string]any{}
		maps.Copy(spec, m.Type)
		delete(spec, "names")
		spec["tags"] = tags
		want[m.Name] = spec
	}
	return want, nil
}

// release gives every member back, through the broker.
func release(x run) (engine.Result, error) {
	if err := guard.Cluster(x.tx, x.c, guard.End); err != nil {
		return engine.Result{}, err
	}
	return x.broker(giveBack, map[string]any{})
}

// broker sends a request to the cluster's broker and waits for its end.
func (x run) broker(blueprint string, members map[string]any) (engine.Result, error) {
	name := x.text(ParamBroker)
	b := api.Brokers.One(x.tx, api.ByName, name)
	if b == nil {
		return engine.Result{}, resource.Errorf(resource.Invalid, "clusters", x.c.Uuid, "param %s: no resource broker %q", ParamBroker, name)
	}
	params := x.wishes(b)
	params["broker/cluster"], params["broker/members"] = x.c.Uuid, members
	o, err := x.order("order", b.Uuid, blueprint, params)
	if err != nil {
		return engine.Result{}, err
	}
	switch o.State {
	case api.OrderFinished:
		return engine.Result{Done: true}, nil
	case api.OrderFailed, api.OrderCancelled:
		return engine.Result{}, resource.Errorf(resource.Refused, "work_orders", o.Uuid, "broker %s: %s", b.Name, o.Status)
	}
	return engine.Result{Waiting: fmt.Sprintf("broker %s: %s", b.Name, x.orderWait(o))}, nil
}

// wishes are what the cluster's own layers say of its members. What holds for
// everybody, by profile global or the default of a schema, is no wish: the
// broker's own word goes before it.
func (x run) wishes(b *api.Machine) resource.Params {
	out := resource.Params{}
	for _, name := range []string{"broker-pool/pool", "broker-pool/filter", "broker-pool/allocate",
		"broker/set-pipeline", "broker/set-icon", "broker/set-color", "broker/set-context"} {
		if v, src, ok := param.Get(x.tx, x.scope(), name); ok && v != "" && own(src) {
			out[name] = v
		}
	}
	flow, src, _ := param.Get(x.tx, x.scope(), ParamFlow)
	if _, says, ok := param.Get(x.tx, param.Scope{Machine: b}, "broker/set-workflow"); !ok || !own(says) || own(src) {
		if s, isText := flow.(string); isText && s != "" {
			out["broker/set-workflow"] = s
		}
	}
	return out
}

func own(src param.Source) bool {
	return src.Kind != api.ParamDefs.Name && src != param.Source{Kind: api.Profiles.Name, Key: param.Global}
}

// orderWait says what an order waits for: its job's reason if it has one.
func (x run) orderWait(o *api.WorkOrder) string {
	if j, err := api.Jobs.Get(x.tx, o.CurrentJob); err == nil && j.Waiting != "" {
		return j.Waiting
	}
	if o.State == api.OrderCreated && o.Status != "" {
		return fmt.Sprintf("work order %s is %s", o.Blueprint, o.Status)
	}
	return fmt.Sprintf("work order %s is %s", o.Blueprint, o.State)
}

// waitQuorum waits until a majority of the members is ready for work.
func waitQuorum(x run) (engine.Result, error) {
	members, err := Wanted(x.tx, x.c)
	if err != nil {
		return engine.Result{}, err
	}
	have, ready := held(x.tx, x.c), 0
	var why []string
	for _, m := range members {
		if r := notReady(x.tx, m.Name, have[m.Name]); r != "" {
			why = append(why, r)
			continue
		}
		ready++
	}
	quorum := len(members)/2 + 1
	if ready >= quorum || len(members) == 0 {
		return engine.Result{Done: true}, nil
	}
	return engine.Result{Waiting: fmt.Sprintf("%d of %d members ready, quorum is %d; %s", ready, len(members), quorum, strings.Join(why, "; "))}, nil
}

// elect chooses the first member, once for each generation: only it may found
// the application. The param is compared and set in one transaction.
func elect(x run) (engine.Result, error) {
	p, err := api.Profiles.Get(x.tx, x.c.Name)
	if err != nil {
		return engine.Result{}, err
	}
	if was, ok := p.Params[ParamLeader].(map[string]any); ok && fmt.Sprint(was["Generation"]) == fmt.Sprint(x.c.Generation) {
		return engine.Result{Done: true}, nil
	}
	members, err := Wanted(x.tx, x.c)
	if err != nil {
		return engine.Result{}, err
	}
	have := held(x.tx, x.c)
	for _, m := range members {
		if notReady(x.tx, m.Name, have[m.Name]) != "" {
			continue
		}
		leader := map[string]any{"Name": m.Name, "Uuid": have[m.Name].Uuid, "Generation": x.c.Generation}
		return engine.Result{Done: true}, api.Profiles.Modify(x.tx, x.c.Name, func(p *api.Profile) error {
			p.Params[ParamLeader] = leader
			return nil
		})
	}
	if len(members) == 0 {
		return engine.Result{Done: true}, nil
	}
	return engine.Result{Waiting: "no member is ready to be elected"}, nil
}
