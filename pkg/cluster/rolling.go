package cluster

import (
	"fmt"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// LeaveLimit is how long a member may take to leave the application before it
// is released all the same.
const LeaveLimit = 2 * time.Minute

// join lets the members join the application: the elected one first, then one
// at a time, each when its blueprint, which ends with a check of health, has
// succeeded.
func join(x run) (engine.Result, error) {
	blueprint := x.text(ParamJoin)
	if blueprint == "" {
		return engine.Result{Done: true}, nil
	}
	names, err := x.inOrder()
	if err != nil {
		return engine.Result{}, err
	}
	for i, name := range names {
		done := joined(x.tx, x.c)
		if slices.ContainsFunc(done, func(j Joined) bool { return j.Name == name }) {
			continue
		}
		m := held(x.tx, x.c)[name]
		if why := notReady(x.tx, name, m); why != "" {
			return engine.Result{Waiting: fmt.Sprintf("%d of %d members joined; %s", i, len(names), why)}, nil
		}
		res, err := x.onMember("join "+name, m, blueprint, nil)
		if err != nil || !res.Done {
			return res, err
		}
		if err := setJoined(x.tx, x.c, append(done, Joined{name, m.Uuid, m.Address})); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}

// inOrder lists the members' names, the elected one first.
func (x run) inOrder() ([]string, error) {
	members, err := Wanted(x.tx, x.c)
	if err != nil {
		return nil, err
	}
	p, err := api.Profiles.Get(x.tx, x.c.Name)
	if err != nil {
		return nil, err
	}
	leader, _ := p.Params[ParamLeader].(map[string]any)
	var names []string
	for _, m := range members {
		if m.Name == leader["Name"] {
			names = append([]string{m.Name}, names...)
			continue
		}
		names = append(names, m.Name)
	}
	return names, nil
}

// onMember runs a blueprint on one member, which is put into WorkOrder mode.
func (x *run) onMember(label string, m *api.Machine, blueprint string, params resource.Params) (engine.Result, error) {
	if !m.WorkOrderMode {
		if err := api.Machines.Modify(x.tx, m.Uuid, func(m *api.Machine) error { m.WorkOrderMode = true; return nil }); err != nil {
			return engine.Result{}, err
		}
	}
	o, err := x.order(label, m.Uuid, blueprint, params)
	if err != nil {
		return engine.Result{}, err
	}
	switch o.State {
	case api.OrderFinished:
		return engine.Result{Done: true}, nil
	case api.OrderFailed, api.OrderCancelled:
		return engine.Result{}, resource.Errorf(resource.Refused, "work_orders", o.Uuid, "%s on %s: %s", o.Blueprint, m.Name, o.Status)
	}
	return engine.Result{Waiting: fmt.Sprintf("%s: work order %s is %s", label, o.Blueprint, o.State)}, nil
}

// rolling runs a blueprint on one member after the other. Before each, the
// health blueprint must succeed on it, so that the cluster can spare a member.
func rolling(x run) (engine.Result, error) {
	blueprint, health := x.text(ParamRolling), x.text(ParamHealth)
	if blueprint == "" {
		return engine.Result{}, resource.Errorf(resource.Invalid, "clusters", x.c.Uuid, "param %s is not set: name the blueprint to roll", ParamRolling)
	}
	for _, j := range joined(x.tx, x.c) {
		m, err := api.Machines.Get(x.tx, j.Uuid)
		if err != nil {
			return engine.Result{}, err
		}
		if health != "" {
			if res, err := x.onMember("check "+j.Name, m, health, nil); err != nil || !res.Done {
				return res, err
			}
		}
		if res, err := x.onMember("roll "+j.Name, m, blueprint, nil); err != nil || !res.Done {
			return res, err
		}
	}
	return engine.Result{Done: true}, nil
}

// leave takes the members out of the application, the last joined first. One
// that does not answer is left behind after LeaveLimit: its disks are wiped
// anyway before anybody gets the machine.
func leave(x run) (engine.Result, error) {
	if err := guard.Cluster(x.tx, x.c, guard.End); err != nil {
		return engine.Result{}, err
	}
	return x.leaveAll(func(string) bool { return true })
}

// leaveAll is leave for the members that go.
func (x *run) leaveAll(goes func(name string) bool) (engine.Result, error) {
	blueprint := x.text(ParamLeave)
	list := joined(x.tx, x.c)
	for i := len(list) - 1; i >= 0; i-- {
		last := list[i]
		if !goes(last.Name) {
			continue
		}
		if blueprint != "" {
			if res, err := x.leaveOne(last, blueprint); err != nil || !res.Done {
				return res, err
			}
		}
		list = slices.Delete(list, i, i+1)
		if err := setJoined(x.tx, x.c, list); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}

func (x *run) leaveOne(j Joined, blueprint string) (engine.Result, error) {
	m, err := api.Machines.Get(x.tx, j.Uuid)
	if err != nil || m.Owner != x.c.Uuid {
		return engine.Result{Done: true}, nil
	}
	label := "leave " + j.Name
	res, err := x.onMember(label, m, blueprint, nil)
	if err == nil && res.Done {
		return res, nil
	}
	o, getErr := api.WorkOrders.Get(x.tx, x.note(label))
	if getErr != nil {
		return engine.Result{}, getErr
	}
	limit := o.CreateTime.Add(LeaveLimit)
	if err == nil && x.now.Before(limit) {
		res.Until = limit
		return res, nil
	}
	if !o.Ended() {
		if err := api.WorkOrders.Modify(x.tx, o.Uuid, func(o *api.WorkOrder) error { return o.Move(api.OrderCancelled, x.now) }); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}
