package workflow

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Flow runs task lists. Natives are the server's own operations, by the name
// that follows "action:".
type Flow struct {
	Natives map[string]engine.Native
	// Plugin runs actions that are not among Natives; nil: there are no others.
	Plugin engine.Native
	// Begin picks the next work order of a machine in WorkOrder mode and makes
	// it running; nil if there is none. Package workorder provides it.
	Begin func(tx *resource.Tx, now time.Time, machine, context string) (*api.WorkOrder, error)
	// Handlers are the tasks that handle the failure of a task of a machine's
	// workflow; nil: none ever do.
	Handlers func(r resource.Reader, m *api.Machine, task string) ([]string, error)
}

// DefaultTimeout is how long a task may run before it is overdue, unless its
// Meta "timeout" gives a duration.
const DefaultTimeout = 30 * time.Minute

// step is where a cursor stands after Advance.
type step struct {
	job     *api.Job // current job, if it has not ended
	ready   bool     // the entry at the cursor waits for an agent to ask
	waiting string
	until   time.Time
	brief   bool // an agent at work goes on within moments
}

// Advance moves a cursor over everything that needs no agent: stage, bootenv
// and context entries, and the server's own operations, which become jobs.
func (f *Flow) Advance(tx *resource.Tx, now time.Time, c *Cursor) (step, error) {
	// An entry takes at most three rounds, so the list's length bounds the loop;
	// what natives put into the list counts too.
	// The list changes at most twice: for that which handles a failure, and back.
	stacks := len(c.On.TaskErrorStacks)
	for n := 0; n < 3*len(c.tasks())+3; n++ {
		if c.refresh(tx); stacks != len(c.On.TaskErrorStacks) {
			n, stacks = 0, len(c.On.TaskErrorStacks)
		}
		s, again, err := f.advanceOnce(tx, now, c)
		if err != nil || !again {
			return s, err
		}
	}
	return step{}, fmt.Errorf("task list of %s does not end", c.On.Name)
}

func (f *Flow) advanceOnce(tx *resource.Tx, now time.Time, c *Cursor) (s step, again bool, err error) {
	index := max(c.index(), 0) // -1 is where DRP's clients see a list that has not begun
	if j := c.job(tx); j != nil && j.CurrentIndex == index {
		return f.atJob(tx, now, c, j)
	}
	if index >= len(c.tasks()) {
		return step{}, false, f.complete(tx, now, c)
	}
	return f.atEntry(tx, now, c, index)
}

// atJob looks at the job of the entry at the cursor.
func (f *Flow) atJob(tx *resource.Tx, now time.Time, c *Cursor, j *api.Job) (step, bool, error) {
	switch j.State {
	case api.JobFinished:
		if next := j.CurrentIndex + 1; next < len(c.tasks()) && c.Order == nil && f.atOnce(tx, c.tasks()[next]) {
			return f.atEntry(tx, now, c, next) // its job moves the cursor: one save instead of two
		}
		return step{}, true, c.pass(tx, j)
	case api.JobFailed, api.JobCancelled:
		if c.Order != nil {
			return step{}, false, endOrder(tx, now, c.Order.Uuid, api.OrderFailed, j)
		}
		if !c.On.Runnable {
			return step{waiting: failure(j)}, false, nil
		}
		return f.atEntry(tx, now, c, j.CurrentIndex)
	case api.JobIncomplete:
		return step{job: j, ready: true, waiting: "task " + j.Task + " is incomplete; its agent will run it again"}, false, nil
	}
	if op := api.Operation(tx, j.Task); op != "" {
		return f.native(tx, now, c, j, op)
	}
	return overdue(tx, now, j)
}

// atOnce says whether the server begins an entry in the update that ends the
// one before, so that the cursor need not be stored between them.
func (f *Flow) atOnce(r resource.Reader, entry string) bool {
	if verb, _ := api.Entry(entry); verb == "stage" {
		return true
	}
	return f.operation(api.Operation(r, entry)) != nil
}

func failure(j *api.Job) string {
	why := "see its log"
	if len(j.ResultErrors) > 0 {
		why = j.ResultErrors[len(j.ResultErrors)-1]
	}
	return fmt.Sprintf("task %s failed: %s (drpcli jobs log %s); repair, then set Runnable to try again", j.Task, why, j.Uuid)
}

// atEntry begins the entry at the cursor.
func (f *Flow) atEntry(tx *resource.Tx, now time.Time, c *Cursor, index int) (step, bool, error) {
	entry := c.tasks()[index]
	if verb, _ := api.Entry(entry); passing(verb) {
		return f.pass(tx, now, c, index)
	}
	if err := guarded(tx, c, entry); err != nil {
		return step{}, false, f.refused(tx, now, c, index, err)
	}
	if op := api.Operation(tx, entry); op != "" {
		if f.operation(op) == nil {
			return step{}, false, f.noSuchAction(tx, now, c, index, op)
		}
		_, err := newJob(tx, now, c, index, api.JobRunning)
		return step{}, true, err
	}
	return step{ready: true, waiting: agentWait(tx, c, entry), brief: c.On.Runnable && c.On.Available && c.context() == ""}, false, nil
}

func (f *Flow) noSuchAction(tx *resource.Tx, now time.Time, c *Cursor, index int, name string) error {
	j, err := newJob(tx, now, c, index, api.JobRunning)
	if err != nil {
		return err
	}
	return Fail(tx, now, j.Uuid, fmt.Sprintf("this server has no action %q", name))
}

// agentWait says why no agent has taken the entry yet.
func agentWait(r resource.Reader, c *Cursor, task string) string {
	switch b := c.On.Boot; {
	case !c.On.Available:
		return fmt.Sprintf("task %s waits until the machine is available: %s", task, strings.Join(c.On.Errors, "; "))
	case b != nil && !b.Home && c.context() == "":
		return fmt.Sprintf("task %s waits for the machine to boot into %s", task, b.Env)
	case !c.On.Runnable:
		return fmt.Sprintf("task %s waits for the machine to be runnable", task)
	case c.context() != "":
		return fmt.Sprintf("task %s waits for the runner of context %s: %s", task, c.context(),
			first(served(r, c.context()), "it is being started, or busy"))
	}
	return fmt.Sprintf("task %s waits for the machine's agent to ask for it", task)
}

// extraClaims are what a task may do beyond its machine's own rights: what it
// says itself, and what its content pack is granted.
func extraClaims(r resource.Reader, kind, key, task string) []api.Claim {
	t, err := api.Tasks.Get(r, task)
	if err != nil {
		return nil
	}
	var out []api.Claim
	for _, name := range t.ExtraRoles {
		if role, err := api.Roles.Get(r, name); err == nil {
			out = append(out, role.Claims...)
		}
	}
	if g, err := api.Grants.Get(r, t.Bundle); err == nil && t.ReadOnly {
		out = append(out, g.Claims(kind, key)...)
	}
	return append(out, t.ExtraClaims...)
}

// newJob records a try at the entry at index and moves the cursor there.
func newJob(tx *resource.Tx, now time.Time, c *Cursor, index int, state api.JobState) (*api.Job, error) {
	j := &api.Job{Machine: c.On.Uuid, Previous: previous(c.On), Task: c.tasks()[index],
		Stage: c.On.Stage, BootEnv: c.On.BootEnv, Workflow: c.On.Workflow, Context: c.On.Context,
		State: state, StartTime: now, Current: true, CurrentIndex: index, NextIndex: index + 1, ExtraClaims: extraClaims(tx, c.Kind.Name, c.On.Uuid, c.tasks()[index])}
	if j.Ended() {
		j.EndTime, j.ExitState = now, "complete"
	}
	if c.Order != nil {
		j.WorkOrder, j.Workflow, j.Stage, j.Context = c.Order.Uuid, "", "", c.Order.Context
	}
	was := c.job(tx)
	if err := uncurrent(tx, c.jobID()); err != nil {
		return nil, err
	}
	if err := api.Jobs.Create(tx, j); err != nil {
		return nil, err
	}
	return j, c.move(tx, index, j.Uuid, func(m *api.Machine) {
		if m.RetryTaskAttempt++; was == nil || was.CurrentIndex != index || was.State != api.JobFailed {
			m.RetryTaskAttempt = 0
		}
	})
}

func uncurrent(tx *resource.Tx, id string) error {
	if !api.Jobs.Has(tx, id) {
		return nil
	}
	return api.Jobs.Modify(tx, id, func(j *api.Job) error { j.Current = false; return nil })
}

// operation is what carries out an operation, nil if nothing does.
func (f *Flow) operation(name string) engine.Native {
	if n := f.Natives[name]; n != nil || name == "" {
		return n
	}
	return f.Plugin
}

// native runs one step of a server operation.
func (f *Flow) native(tx *resource.Tx, now time.Time, c *Cursor, j *api.Job, op string) (step, bool, error) {
	run := f.operation(op)
	if run == nil {
		return step{}, true, Fail(tx, now, j.Uuid, fmt.Sprintf("this server has no action %q", op))
	}
	res, err := run(tx, now, j.Uuid)
	if code := resource.CodeOf(err); err != nil && code != "" {
		return step{}, true, Fail(tx, now, j.Uuid, err.Error())
	}
	if err != nil {
		return step{}, false, err
	}
	if now, err := api.Jobs.Get(tx, j.Uuid); err == nil && now.Ended() {
		return step{}, false, nil // it began another workflow, which has its own turn
	}
	if res.Done {
		return step{}, true, api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { return j.Move(api.JobFinished, now) })
	}
	if err := api.Jobs.Modify(tx, j.Uuid, func(j *api.Job) error { j.Waiting = res.Waiting; return nil }); err != nil {
		return step{}, false, err
	}
	return step{waiting: j.Task + ": " + res.Waiting, until: res.Until}, false, nil
}

// overdue fails a job whose agent has been silent for too long.
func overdue(tx *resource.Tx, now time.Time, j *api.Job) (step, bool, error) {
	limit := DefaultTimeout
	if t, err := api.Tasks.Get(tx, j.Task); err == nil {
		if d, err := time.ParseDuration(t.Meta["timeout"]); err == nil {
			limit = d
		}
	}
	since := j.StartTime
	if j.Progressed.After(since) {
		since = j.Progressed
	}
	deadline := since.Add(limit)
	if now.Before(deadline) {
		return step{job: j, waiting: fmt.Sprintf("task %s runs on the agent since %s", j.Task, j.StartTime.UTC().Format(time.TimeOnly)),
			until: deadline, brief: true}, false, nil
	}
	return step{}, true, Fail(tx, now, j.Uuid, fmt.Sprintf("overdue: no result within %s", limit))
}

// metaProgress in the Meta of a task says that its timeout counts from its last
// progress, which "log" tells: its log grows only while it gets on. How long the
// work takes depends on how much there is, as of a disk that is overwritten.
const metaProgress = "progress"

// progressEvery bounds how often progress is noted.
const progressEvery = time.Minute

// Progressed notes that the log of a job has grown, if its task says that this
// is progress.
func Progressed(tx *resource.Tx, now time.Time, id string) error {
	j, err := api.Jobs.Get(tx, id)
	if err != nil || j.State != api.JobRunning || now.Sub(j.StartTime) < progressEvery || now.Sub(j.Progressed) < progressEvery {
		return nil
	}
	if t, err := api.Tasks.Get(tx, j.Task); err != nil || t.Meta[metaProgress] != "log" {
		return nil
	}
	return api.Jobs.Modify(tx, id, func(j *api.Job) error { j.Progressed = now; return nil })
}

// Fail ends a job with its cause.
func Fail(tx *resource.Tx, now time.Time, id, cause string) error {
	return api.Jobs.Modify(tx, id, func(j *api.Job) error {
		j.ResultErrors = append(j.ResultErrors, cause)
		return j.Move(api.JobFailed, now)
	})
}

// complete marks the end of the list.
func (f *Flow) complete(tx *resource.Tx, now time.Time, c *Cursor) error {
	if c.Order != nil {
		return endOrder(tx, now, c.Order.Uuid, api.OrderFinished, nil)
	}
	if len(c.On.TaskErrorStacks) > 0 {
		return c.handledAll(tx)
	}
	if c.On.WorkflowComplete && c.On.CurrentTask == len(c.On.Tasks) {
		return nil
	}
	return c.move(tx, len(c.On.Tasks), c.On.CurrentJob, func(m *api.Machine) { m.WorkflowComplete = true })
}

func endOrder(tx *resource.Tx, now time.Time, id string, to api.OrderState, j *api.Job) error {
	return api.WorkOrders.Modify(tx, id, func(o *api.WorkOrder) error {
		if err := o.Move(to, now); err != nil {
			return err
		}
		if j != nil {
			o.JobState, o.JobExitState, o.JobResultErrors = j.State, j.ExitState, j.ResultErrors
			o.Status = failure(j)
		}
		return nil
	})
}
