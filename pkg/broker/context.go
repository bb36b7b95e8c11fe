package broker

import (
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/param"
	"drpd/pkg/pool"
	"drpd/pkg/resource"
)

// ContextPool is the pool of machines that a context broker makes.
const ContextPool = "contexts"

const defaultContext = "drpcli-runner"

// create makes the machines that are missing: they have no hardware, only a
// context in which the server runs their tasks.
func (w want) create(tx *resource.Tx, missing []string) (engine.Result, error) {
	for _, name := range missing {
		if other := api.Machines.One(tx, api.ByName, name); other != nil {
			return engine.Result{}, resource.Errorf(resource.Conflict, "machines", other.Uuid, "a machine named %s exists already: rename the member", name)
		}
		if err := w.createOne(tx, name); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}

func (w want) createOne(tx *resource.Tx, name string) error {
	c := w.claim(name)
	m := &api.Machine{Name: name, Context: w.context, Workflow: c.Workflow, Profiles: c.Profiles, Params: c.Params,
		Owner: c.Owner, Pool: ContextPool, PoolAllocated: true, PoolStatus: api.Building}
	m.Meta, m.Description = c.Meta, "runs in context "+w.context+" for cluster "+w.cluster.Name
	return made(tx, m)
}

// made stores a machine that has no hardware.
func made(tx *resource.Tx, m *api.Machine) error {
	flow := m.Workflow
	m.Virtual = true
	if err := api.Machines.Create(tx, m); err != nil {
		return err
	}
	// The preferences are for hardware: they may have set a workflow.
	err := api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Workflow = flow; return nil })
	if err != nil {
		return err
	}
	// There is nothing to boot: its runner is always there.
	return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.Boot = &api.BootState{Env: m.BootEnv, Since: tx.Now(), Home: true}
		m.Runnable = true
		return nil
	})
}

// destroy deletes a machine that was only a context.
func destroy(tx *resource.Tx, now time.Time, id string) error {
	if err := guard.Destroy(tx, &api.Machine{Uuid: id}, guard.Delete); err != nil {
		return err
	}
	err := api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Owner, m.PoolAllocated, m.WorkOrderMode = "", false, false; return nil })
	if err != nil {
		return err
	}
	for j := range api.Jobs.By(tx, "Machine", id) {
		if j.Ended() {
			continue
		}
		if err := api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error {
			j.ResultErrors = []string{"its machine was released"}
			return j.Move(api.JobCancelled, now)
		}); err != nil {
			return err
		}
	}
	return api.Machines.Delete(tx, id)
}

// fill makes machines that are only contexts, Free in a pool that asks for them.
func (b broker) fill(tx *resource.Tx, _ time.Time, job string) (engine.Result, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	o, err := api.WorkOrders.Get(tx, j.WorkOrder)
	if err != nil {
		return engine.Result{}, resource.Errorf(resource.Invalid, "jobs", job, "runs only in a work order on a broker")
	}
	s := param.Scope{Order: o}
	if s.Machine, err = api.Brokers.Get(tx, o.Machine); err != nil {
		return engine.Result{}, err
	}
	if kind, _ := param.String(tx, s, ParamType); kind != TypeContext {
		return engine.Result{}, resource.Errorf(resource.Invalid, "resource_brokers", o.Machine, "param %s is %q: only a broker of type %s makes machines", ParamType, kind, TypeContext)
	}
	n, err := param.Int(tx, s, pool.ParamFillCount)
	if err != nil {
		return engine.Result{}, err
	}
	to, err := param.String(tx, s, pool.ParamFillPool)
	if err != nil {
		return engine.Result{}, err
	}
	flow, _ := param.String(tx, s, ParamWorkflow)
	context, err := param.String(tx, s, ParamContext)
	if err != nil {
		context = defaultContext
	}
	for range n {
		m := &api.Machine{Uuid: uuid.NewString(), Context: context, Workflow: flow, Pool: to, PoolStatus: api.Joining}
		m.Name = to + "-" + m.Uuid[:8]
		m.Meta, m.Description = map[string]string{}, "runs in context "+context
		if err := made(tx, m); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Done: true}, nil
}
