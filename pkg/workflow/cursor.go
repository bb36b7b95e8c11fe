package workflow

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Cursor is a place in a task list: a machine's, or that of the work order
// which the machine runs.
type Cursor struct {
	Kind  *resource.Kind[api.Machine]
	On    *api.Machine
	Order *api.WorkOrder // nil: the machine's own workflow
}

// At finds the cursor that a machine's next job comes from; nil in WorkOrder
// mode while no order runs. An order that yields comes after one that does not.
func At(r resource.Reader, id string) *Cursor {
	k, m := api.Runner(r, id)
	if m == nil {
		return nil
	}
	if !m.WorkOrderMode {
		return &Cursor{Kind: k, On: m}
	}
	var yields *Cursor
	for o := range api.WorkOrders.By(r, "Active", id) {
		if o.State != api.OrderRunning {
			continue
		}
		if !o.Yields {
			return &Cursor{Kind: k, On: m, Order: o}
		}
		yields = &Cursor{Kind: k, On: m, Order: o}
	}
	return yields
}

// refresh reads again what other objects' hooks may have changed.
func (c *Cursor) refresh(tx *resource.Tx) {
	if m, err := c.Kind.Get(tx, c.On.Uuid); err == nil {
		c.On = m
	}
	if c.Order == nil {
		return
	}
	if o, err := api.WorkOrders.Get(tx, c.Order.Uuid); err == nil {
		c.Order = o
	}
}

func (c *Cursor) tasks() []string {
	if c.Order != nil {
		return c.Order.Tasks
	}
	return c.On.Tasks
}

func (c *Cursor) index() int {
	if c.Order != nil {
		return c.Order.CurrentTask
	}
	return c.On.CurrentTask
}

// context is where the tasks of the list run; "" on the machine itself.
func (c *Cursor) context() string {
	if c.Order != nil {
		return c.Order.Context
	}
	return c.On.Context
}

// JobID is the job of the entry at the cursor, or the one before it.
func (c *Cursor) JobID() string { return c.jobID() }

func (c *Cursor) jobID() string {
	if c.Order != nil {
		return c.Order.CurrentJob
	}
	return c.On.CurrentJob
}

// job is the current job, nil if it says nothing about the present list.
func (c *Cursor) job(r resource.Reader) *api.Job {
	if c.Order == nil && c.On.PastJob {
		return nil
	}
	j, err := api.Jobs.Get(r, c.jobID())
	if err != nil {
		return nil
	}
	return j
}

// pass goes on from a finished job.
func (c *Cursor) pass(tx *resource.Tx, j *api.Job) error {
	return c.move(tx, j.CurrentIndex+1, j.Uuid, func(m *api.Machine) { m.RetryTaskAttempt = 0 })
}

// move sets index, job and, for an own workflow, what a stage entry says.
func (c *Cursor) move(tx *resource.Tx, index int, job string, also func(*api.Machine)) error {
	if c.Order != nil {
		err := api.WorkOrders.Modify(tx, c.Order.Uuid, func(o *api.WorkOrder) error {
			o.CurrentTask, o.CurrentJob = index, job
			return nil
		})
		if err == nil {
			c.Order, err = api.WorkOrders.Get(tx, c.Order.Uuid)
		}
		return err
	}
	err := c.Kind.Modify(tx, c.On.Uuid, func(m *api.Machine) error {
		m.PastJob = m.PastJob && m.CurrentJob == job
		m.Moving, m.CurrentTask, m.CurrentJob = true, index, job
		if also != nil {
			also(m)
		}
		return nil
	})
	if err == nil {
		c.On, err = c.Kind.Get(tx, c.On.Uuid)
	}
	return err
}
