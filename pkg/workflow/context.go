package workflow

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// DefaultContext is that of clusters and brokers, which have no machine of
// their own: plain tasks of theirs run on the server. What the server does
// itself ("action:" entries) needs no context.
const DefaultContext = "drpcli-runner"

// processEngine is the Engine of contexts that package runner serves, as is "".
const processEngine = "process"

// maxRetries is how often in a row a task is tried again whose runner died.
const maxRetries = 3

// served says why the server runs no agent for a context, "" if it does.
func served(r resource.Reader, name string) string {
	c, err := api.Contexts.Get(r, name)
	switch {
	case err != nil:
		return "there is no such context; create it"
	case c.Engine != "" && c.Engine != processEngine:
		return fmt.Sprintf("its engine is %q, and this server runs only %q; start an agent for the context yourself", c.Engine, processEngine)
	}
	return ""
}

// Unserved says why no order or task of that context can run on this server, ""
// if it can.
func Unserved(r resource.Reader, name string) string { return served(r, name) }

// ContextWork is the context in which an agent of the server's has something to
// do for a machine: a task to take, to go on with, or to give up; "" if none has.
// In WorkOrder mode it is that of the order, which need not be the machine's.
func ContextWork(r resource.Reader, m *api.Machine) string {
	if !m.Runnable || !m.Available {
		return ""
	}
	c := At(r, m.Uuid)
	if c == nil {
		return queued(r, m)
	}
	index := max(c.index(), 0)
	if c.context() == "" || index >= len(c.tasks()) || served(r, c.context()) != "" {
		return ""
	}
	verb, _ := api.Entry(c.tasks()[index])
	if verb == "chroot" || verb == "" && api.Operation(r, c.tasks()[index]) == "" {
		return c.context()
	}
	return ""
}

// queued is the context of the oldest order that its agent has to begin, which
// it does by asking for work; "" if the agent on the machine begins all.
func queued(r resource.Reader, m *api.Machine) string {
	if k, _ := api.Runner(r, m.Uuid); k != api.Machines {
		return "" // the server begins those of clusters and brokers
	}
	var oldest *api.WorkOrder
	for o := range api.WorkOrders.By(r, "Active", m.Uuid) {
		context := first(o.Context, m.Context)
		if o.State != api.OrderCreated || context == "" || served(r, context) != "" {
			continue
		}
		if oldest == nil || o.CreateTime.Before(oldest.CreateTime) {
			oldest = o
		}
	}
	if oldest == nil {
		return ""
	}
	return first(oldest.Context, m.Context)
}

// Abandon fails the running job of an agent in a context that has died. The
// task is tried again at once, up to maxRetries times in a row; a work order
// fails with it.
func Abandon(tx *resource.Tx, now time.Time, machine, context, cause string) error {
	c := At(tx, machine)
	if c == nil {
		return nil
	}
	j := c.job(tx)
	if j == nil || j.State != api.JobRunning || j.Context != context {
		return nil
	}
	if verb, _ := api.Entry(j.Task); verb != "" || api.Operation(tx, j.Task) != "" {
		return nil
	}
	if !c.On.Runnable || c.On.RetryTaskAttempt >= maxRetries || c.Order != nil {
		return Fail(tx, now, j.Uuid, cause)
	}
	if err := api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { j.Note = resource.Params{api.NoteAgain: true}; return nil }); err != nil {
		return err
	}
	return Fail(tx, now, j.Uuid, cause)
}
