package workflow

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// MaxTasks is how many entries a task list may grow to by insertion.
const MaxTasks = 2000

// Splice puts a list of entries, with their prerequisites, behind the entry of
// a running job of the server, in place of what stands there before the entry
// end. Doing it again changes nothing; without end in reach it only inserts.
func Splice(tx *resource.Tx, j *api.Job, end string, list []string) error {
	c, err := holding(tx, j)
	if err != nil {
		return err
	}
	if err := c.stays(list); err != nil {
		return err
	}
	more, err := ExpandTasks(tx, list)
	if err != nil {
		return err
	}
	tasks, from := c.tasks(), j.CurrentIndex+1
	to := from
	if n := slices.Index(tasks[from:], end); n >= 0 && !slices.Contains(tasks[from:from+n], tasks[j.CurrentIndex]) {
		to = from + n
	}
	return c.setTasks(tx, slices.Concat(tasks[:from], more, tasks[to:]))
}

// stays refuses a list that would move a machine's tasks onto the server: what is
// inserted comes from params. Clusters and brokers have no other place.
func (c *Cursor) stays(list []string) error {
	if c.Kind != api.Machines {
		return nil
	}
	for _, entry := range list {
		if verb, name := api.Entry(entry); verb == "context" && name != "" {
			return resource.Errorf(resource.Refused, c.Kind.Name, c.On.Uuid,
				"%s: a list that a param inserts cannot take a machine's tasks to the server: put the entry into a stage or blueprint", entry)
		}
	}
	return nil
}

// Skip takes stages that are yet to come out of the workflow that a running job
// belongs to.
func Skip(tx *resource.Tx, j *api.Job, stages []string) error {
	c, err := holding(tx, j)
	if err != nil {
		return err
	}
	if c.Order != nil {
		return resource.Errorf(resource.Invalid, "jobs", j.Uuid, "a work order has no stages to skip")
	}
	wf, err := api.Workflows.Get(tx, c.On.Workflow)
	if err != nil {
		return err
	}
	list, err := expandStages(tx, wf.Name, slices.DeleteFunc(slices.Clone(wf.Stages), func(s string) bool {
		return s != j.Stage && slices.Contains(stages, s)
	}))
	if err != nil {
		return err
	}
	past := j.CurrentIndex + 1
	if len(list) < past || !slices.Equal(list[:past], c.On.Tasks[:past]) {
		return resource.Errorf(resource.Invalid, "jobs", j.Uuid, "stages can be skipped only from the first stage of a workflow")
	}
	return c.setTasks(tx, list)
}

// holding is the cursor whose current job is j.
func holding(tx *resource.Tx, j *api.Job) (*Cursor, error) {
	c := At(tx, j.Machine)
	if c == nil || c.jobID() != j.Uuid || j.CurrentIndex >= len(c.tasks()) {
		return nil, resource.Errorf(resource.Conflict, "jobs", j.Uuid, "is not the current job of its machine")
	}
	return c, nil
}

func (c *Cursor) setTasks(tx *resource.Tx, list []string) error {
	switch {
	case len(list) > MaxTasks:
		return resource.Errorf(resource.Invalid, c.Kind.Name, c.On.Uuid, "the task list would have %d entries, %d at most", len(list), MaxTasks)
	case slices.Equal(list, c.tasks()):
		return nil
	case c.Order != nil:
		return api.WorkOrders.Modify(tx, c.Order.Uuid, func(o *api.WorkOrder) error { o.Tasks = list; return nil })
	}
	return c.Kind.Modify(tx, c.On.Uuid, func(m *api.Machine) error {
		m.Moving, m.Tasks = true, list
		return nil
	})
}

// Switch ends a running job of the server as finished and begins another
// workflow on its machine. chained is how the machine has come there; its last
// step is this one.
func Switch(tx *resource.Tx, j *api.Job, chained []api.ChainStep) error {
	workflow := chained[len(chained)-1].To
	c, err := holding(tx, j)
	if err != nil {
		return err
	}
	if c.Order != nil {
		return resource.Errorf(resource.Refused, "jobs", j.Uuid, "a work order cannot begin workflow %s", workflow)
	}
	if !api.Workflows.Has(tx, workflow) {
		return resource.Errorf(resource.Invalid, "workflows", workflow, "does not exist")
	}
	if c.On.Workflow == workflow {
		return nil
	}
	if err := api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { return j.Move(api.JobFinished, tx.Now()) }); err != nil {
		return err
	}
	return c.Kind.Modify(tx, c.On.Uuid, func(m *api.Machine) error { m.Workflow, m.Chained = workflow, chained; return nil })
}
