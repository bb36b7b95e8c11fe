package workflow

import (
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Next is the answer to an agent that asks for work.
type Next struct {
	Job     *api.Job // nil: nothing to do now
	Resumed bool     // the same job as before, to be run again
	Waiting string   // why there is nothing to do
}

// NextJob decides and records what the agent of a machine does next. It is a
// Conflict while the machine may not run tasks or has one running. context is
// that of the asking agent, "" for the one on the machine itself.
func (f *Flow) NextJob(tx *resource.Tx, now time.Time, id, context string) (Next, error) {
	k, m := api.Runner(tx, id)
	if m == nil {
		return Next{}, resource.Errorf(resource.Invalid, "jobs", "", "no machine %q", id)
	}
	if b := m.Boot; context == "" && b != nil && !b.Home {
		if why := absent(tx, m); why != "" {
			return Next{}, resource.Errorf(resource.Conflict, k.Name, id, "%s", why)
		}
	}
	if why := notReady(m); why != "" {
		return Next{}, resource.Errorf(resource.Conflict, k.Name, id, "%s", why)
	}
	if !m.WorkOrderMode && m.Context != context {
		return Next{Waiting: otherTurn(m)}, nil
	}
	if b := m.Boot; b != nil && !b.Home && context == "" {
		// Runnable, and asked for work: an agent that does not say where it runs
		// has made the machine runnable, which is how DRP's clients come home.
		if err := Home(tx, id, m.BootEnv); err != nil {
			return Next{}, err
		}
	}
	return f.nextAt(tx, now, k, m, context)
}

// notReady says why the machine may not run tasks, "" if it may.
func notReady(m *api.Machine) string {
	switch b := m.Boot; {
	case !m.Available:
		return fmt.Sprintf("%s is not available: %s", m.Name, strings.Join(m.Errors, "; "))
	case !m.Runnable && m.Context == "" && b != nil && !b.Home:
		return fmt.Sprintf("%s has yet to boot into %s", m.Name, b.Env)
	case !m.Runnable:
		return m.Name + " is not runnable"
	}
	return ""
}

func otherTurn(m *api.Machine) string {
	if m.Context == "" {
		return "it is the turn of the agent on the machine itself"
	}
	return "it is the turn of context " + m.Context
}

func (f *Flow) nextAt(tx *resource.Tx, now time.Time, k *resource.Kind[api.Machine], m *api.Machine, context string) (Next, error) {
	c, err := f.cursor(tx, now, m.Uuid, context)
	if err != nil || c == nil {
		return Next{Waiting: "no work order is queued"}, err
	}
	if c.Order != nil && c.Order.Context != context {
		return Next{Waiting: "a work order of another context runs: " + c.Order.Context}, nil
	}
	s, err := f.Advance(tx, now, c)
	if err != nil {
		return Next{}, err
	}
	switch {
	case s.job != nil && s.job.State == api.JobIncomplete:
		return Next{Job: s.job, Resumed: true}, nil
	case s.job != nil:
		return Next{}, resource.Errorf(resource.Conflict, "jobs", s.job.Uuid, "task %s of %s is still %s", s.job.Task, m.Name, s.job.State)
	case !s.ready:
		return Next{Waiting: first(s.waiting, "nothing to do")}, nil
	}
	return f.takeEntry(tx, now, c, m.Context, s)
}

// takeEntry gives the entry at the cursor to the agent that asked, unless the
// list has led elsewhere meanwhile: to another boot environment or context.
func (f *Flow) takeEntry(tx *resource.Tx, now time.Time, c *Cursor, context string, s step) (Next, error) {
	_, m := api.Runner(tx, c.On.Uuid)
	if !m.Runnable {
		return Next{Waiting: s.waiting}, nil
	}
	if m.Context != context {
		return Next{Waiting: otherTurn(m)}, nil
	}
	index := max(c.index(), 0)
	if verb, _ := api.Entry(c.tasks()[index]); verb == "chroot" {
		// The agent takes it as an order to itself and reports nothing.
		j, err := newJob(tx, now, c, index, api.JobFinished)
		return Next{Job: j, Resumed: true}, err
	}
	j, err := newJob(tx, now, c, index, api.JobCreated)
	return Next{Job: j}, err
}

// cursor is the place to work at; in WorkOrder mode it takes the next order.
func (f *Flow) cursor(tx *resource.Tx, now time.Time, id, context string) (*Cursor, error) {
	if c := At(tx, id); c != nil {
		return c, nil
	}
	if f.Begin == nil {
		return nil, nil
	}
	o, err := f.Begin(tx, now, id, context)
	if err != nil || o == nil {
		return nil, err
	}
	k, m := api.Runner(tx, id)
	return &Cursor{Kind: k, On: m, Order: o}, nil
}

// Rules are the steps that move machines, clusters and brokers along their
// own workflows.
func (f *Flow) Rules() []engine.Rule {
	wakeByJob := func(_ resource.Reader, e resource.Event) []string {
		if j, ok := e.New.(*api.Job); ok {
			return []string{j.Machine}
		}
		return nil
	}
	var out []engine.Rule
	for _, k := range api.MachineLike() {
		wake := map[string]engine.Wake{"jobs": wakeByJob, "callbacks": caller, "plugin_calls": caller, "renderings": caller}
		if k == api.Clusters {
			wake["machines"] = owner
			wake["work_orders"] = asker
		}
		if k == api.Machines {
			wake["bmc_actions"] = bmcMachine
		}
		out = append(out, engine.Rule{Name: "workflow " + k.Name, Kind: k, Wake: wake, Step: f.drive})
	}
	return append(out, retentionRule())
}

// drive advances a machine's own workflow; work orders have their own rule.
func (f *Flow) drive(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
	k, m := api.Runner(tx, id)
	if m == nil || m.WorkOrderMode || (m.AtEnd() && m.WorkflowComplete) {
		return engine.Result{}, nil
	}
	return f.Drive(tx, now, &Cursor{Kind: k, On: m})
}

// Drive is Advance for a rule.
func (f *Flow) Drive(tx *resource.Tx, now time.Time, c *Cursor) (engine.Result, error) {
	s, err := f.Advance(tx, now, c)
	if task := handled(c.On); task != "" && c.Order == nil && s.waiting != "" {
		s.waiting = fmt.Sprintf("task %s failed, which is being handled: %s", task, s.waiting)
	}
	return engine.Result{Waiting: s.waiting, Until: s.until, Brief: s.brief}, err
}

func owner(_ resource.Reader, e resource.Event) []string {
	for _, v := range []any{e.New, e.Old} {
		if m, ok := v.(*api.Machine); ok && m.Owner != "" {
			return []string{m.Owner}
		}
	}
	return nil
}

func asker(_ resource.Reader, e resource.Event) []string {
	if o, ok := e.New.(*api.WorkOrder); ok && o.For != "" {
		return []string{o.For}
	}
	return nil
}

func bmcMachine(_ resource.Reader, e resource.Event) []string {
	if a, ok := e.New.(*api.BMCAction); ok {
		return []string{a.Machine}
	}
	return nil
}

func caller(_ resource.Reader, e resource.Event) []string {
	switch c := e.New.(type) {
	case *api.Callback:
		return []string{c.Machine}
	case *api.PluginCall:
		return []string{c.Machine}
	case interface{ RunsOn() string }:
		return []string{c.RunsOn()}
	}
	return nil
}
