package workflow

import (
	"errors"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// checkEdit refuses what the machine's state does not allow its users.
func checkEdit(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	refuse := func(code resource.Code, format string, args ...any) error {
		return resource.Errorf(code, k.Name, old.Uuid, format, args...)
	}
	switch started := new.Workflow != old.Workflow; {
	case old.Locked && new.Locked && !new.SameButOrders(old):
		return refuse(resource.Forbidden, "%s is locked; unlock it first", old.Name)
	case new.WorkOrderMode && (old.WorkOrderMode || started && new.Workflow != ""):
		if fields := directs(old, new); len(fields) > 0 {
			return refuse(resource.Refused,
				"%s is in WorkOrder mode, where workflows are not run and %s cannot be changed; run a blueprint (drpcli work_orders run), or leave the mode first (drpcli %s work_order %s off)",
				old.Name, strings.Join(fields, ", "), k.Name, old.Name)
		}
	case started:
		return nil
	case new.Workflow != "" && (new.Stage != old.Stage || new.BootEnv != old.BootEnv):
		return refuse(resource.Refused, "Stage and BootEnv of %s are set by its workflow %s; remove the workflow first", old.Name, old.Workflow)
	case new.Stage != old.Stage && !atRest(old) && !tx.Options().Force:
		return refuse(resource.Invalid, "Can not change stages with pending tasks unless forced")
	case new.BootEnv != old.BootEnv && new.Stage == old.Stage && inStage(tx, old) && !tx.Options().Force:
		return refuse(resource.Invalid, "Can not change bootenvs while in stage %s unless forced", old.Stage)
	}
	return nil
}

// directs lists the changed fields by which a user says what a machine does next.
// A list without entries has nowhere to set the cursor to, as an agent does that
// begins anew.
func directs(old, new *api.Machine) []string {
	var out []string
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"Workflow", new.Workflow != old.Workflow}, {"Stage", new.Stage != old.Stage}, {"BootEnv", new.BootEnv != old.BootEnv},
		{"Tasks", !slices.Equal(new.Tasks, old.Tasks)}, {"Context", new.Context != old.Context},
		{"CurrentTask", new.CurrentTask != old.CurrentTask && (len(new.Tasks) > 0 || new.CurrentTask > 0)},
	} {
		if f.changed {
			out = append(out, f.name)
		}
	}
	return out
}

// atRest says that nothing of the machine's task list is left to do.
func atRest(m *api.Machine) bool {
	return len(m.Tasks) == 0 || m.CurrentTask >= len(m.Tasks)
}

// inStage says whether the machine's stage has a say in its boot environment.
func inStage(r resource.Reader, m *api.Machine) bool {
	s, err := api.Stages.Get(r, m.Stage)
	return err == nil && s.BootEnv != ""
}

// applyEdit draws the consequences of what a user changed.
func applyEdit(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	switch {
	case new.Workflow != old.Workflow:
		if slices.Equal(new.Chained, old.Chained) {
			new.Chained = nil // Switch adds to it; whoever else chooses a workflow begins anew
		}
		return restart(tx, k, old, new)
	case new.Stage != old.Stage:
		return enterStage(tx, k, new)
	case !slices.Equal(new.Tasks, old.Tasks):
		return retask(tx, k, old, new)
	case new.CurrentTask < 0 && old.CurrentTask >= 0:
		return reset(tx, new, old.CurrentTask)
	case new.CurrentTask > old.CurrentTask:
		return resource.Errorf(resource.Invalid, k.Name, old.Uuid,
			"Cannot advance CurrentTask from %d to %d without running jobs", old.CurrentTask, new.CurrentTask)
	case new.CurrentTask < old.CurrentTask:
		return stepBack(tx, k, old, new)
	}
	return nil
}

// stepBack moves the cursor to an earlier entry, never over a boot.
func stepBack(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	if bound := lastBoot(old.Tasks, old.CurrentTask); new.CurrentTask < bound {
		return resource.Errorf(resource.Invalid, k.Name, old.Uuid,
			"Cannot move CurrentTask from %d to %d: the machine booted into %s at %d", old.CurrentTask, new.CurrentTask, old.BootEnv, bound)
	}
	new.WorkflowComplete, new.PastJob = false, true
	return dropJob(tx, new.CurrentJob, "the task list was reset")
}

// enterStage gives a machine without a workflow the tasks of its stage. A stage
// that is missing has none; the machine is not available then.
func enterStage(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) error {
	if err := dropJob(tx, m.CurrentJob, "the stage was changed"); err != nil {
		return err
	}
	list := []string{}
	if s, err := api.Stages.Get(tx, m.Stage); err == nil {
		if list, err = ExpandTasks(tx, s.Tasks); err != nil {
			return unusable(k, m, "Stage "+m.Stage, err)
		}
		m.BootEnv = first(s.BootEnv, m.BootEnv)
	}
	begin(m, list)
	return nil
}

// unusable says in DRP's words that the tasks of what the machine wants cannot
// be listed.
func unusable(k *resource.Kind[api.Machine], m *api.Machine, what string, err error) error {
	e, ok := errors.AsType[*resource.Error](err)
	if !ok || e.Code != resource.Invalid {
		return err
	}
	return resource.Errorf(resource.Invalid, k.Name, m.Uuid, "Machine %s wants %s, which is not available: %s/%s: %s",
		m.Uuid, what, e.Kind, e.Key, strings.Join(e.Msgs, "; "))
}

// begin puts the cursor before a new list.
func begin(m *api.Machine, list []string) {
	m.Tasks, m.CurrentTask, m.WorkflowComplete = list, -1, len(list) == 0
	m.RetryTaskAttempt, m.TaskErrorStacks, m.PastJob = 0, []api.TaskStack{}, m.CurrentJob != ""
	if len(list) == 0 {
		m.CurrentTask = 0
	}
}

// retask lets a user edit the list: what has run stays as it was, and without
// force nothing changes beyond the next stage.
func retask(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	new.CurrentTask = old.CurrentTask
	refuse := func(text string) error { return resource.Errorf(resource.Invalid, k.Name, old.Uuid, "%s", text) }
	past := done(tx, old)
	switch {
	case len(new.Tasks) < past:
		return refuse("Cannot remove tasks that have already executed or are already executing")
	case !slices.Equal(new.Tasks[:past], old.Tasks[:past]):
		return refuse("Cannot change tasks that have already executed or are executing")
	case !tx.Options().Force && !sameFuture(old.Tasks[past:], new.Tasks[past:]):
		return refuse("Cannot change tasks beyond the current stage, or insert stages, unless forced")
	}
	if past == 0 {
		begin(new, new.Tasks)
		if len(old.TaskErrorStacks) > 0 { // it ends when nothing is left to handle
			new.TaskErrorStacks, new.WorkflowComplete = old.TaskErrorStacks, false
		}
		return nil
	}
	new.WorkflowComplete = old.WorkflowComplete && new.CurrentTask >= len(new.Tasks)
	return nil
}

// done is how many entries have run or are running: the past that no edit
// changes.
func done(r resource.Reader, m *api.Machine) int {
	j, err := api.Jobs.Get(r, m.CurrentJob)
	if err == nil && !m.PastJob && j.CurrentIndex == m.CurrentTask {
		return min(m.CurrentTask+1, len(m.Tasks))
	}
	return min(max(m.CurrentTask, 0), len(m.Tasks))
}

// sameFuture says that two lists of what is yet to run differ only before the
// next stage: nothing after it, and no other stage comes in.
func sameFuture(old, new []string) bool {
	isStage := func(s string) bool { verb, _ := api.Entry(s); return verb == "stage" }
	at := slices.IndexFunc(old, isStage)
	to := slices.IndexFunc(new, isStage)
	if at < 0 || to < 0 {
		return at == to
	}
	return slices.Equal(old[at:], new[to:])
}
