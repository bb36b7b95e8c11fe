package workflow

import (
	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Hooks run in every save of machines, clusters, brokers and jobs, whoever
// makes it: they keep the derived fields right.
func (f *Flow) Hooks() []resource.Hook {
	var out []resource.Hook
	for _, k := range api.MachineLike() {
		out = append(out, resource.OnSave(k, func(tx *resource.Tx, old, new *api.Machine) error {
			return saveMachine(tx, k, old, new)
		}))
	}
	return append(out, resource.OnSave(api.Jobs, f.saveJob), resource.OnSave(api.WorkOrders, saveOrder))
}

func saveMachine(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	if new == nil {
		return nil
	}
	if old == nil {
		return createMachine(tx, k, new)
	}
	if err := checkEdit(k, old, new); err != nil {
		return err
	}
	if new.Workflow != old.Workflow {
		if err := restart(tx, new); err != nil {
			return err
		}
	}
	if new.Workflow == old.Workflow && new.CurrentTask < 0 && old.CurrentTask >= 0 {
		if err := reset(tx, new, old.CurrentTask); err != nil {
			return err
		}
	}
	if new.WorkOrderMode && !old.WorkOrderMode {
		if err := enterOrderMode(k, new); err != nil {
			return err
		}
	}
	if new.BootEnv != old.BootEnv && k == api.Machines {
		intend(tx, new)
	}
	return nil
}

// checkEdit refuses what the machine's state does not allow.
func checkEdit(k *resource.Kind[api.Machine], old, new *api.Machine) error {
	if old.Locked && new.Locked && !new.SameButOrders(old) {
		return resource.Errorf(resource.Forbidden, k.Name, old.Uuid, "%s is locked; unlock it first", old.Name)
	}
	if new.Workflow != old.Workflow && new.Workflow != "" && new.WorkOrderMode {
		return resource.Errorf(resource.Refused, k.Name, old.Uuid,
			"%s is in WorkOrder mode, where workflows are not run; run a blueprint (drpcli work_orders run), or leave the mode first (drpcli %s work_order %s off)", old.Name, k.Name, old.Name)
	}
	edited := new.Stage != old.Stage || new.BootEnv != old.BootEnv
	moved := new.CurrentTask != old.CurrentTask || new.Workflow != old.Workflow
	if edited && !moved && new.Workflow != "" {
		return resource.Errorf(resource.Refused, k.Name, old.Uuid,
			"Stage and BootEnv of %s are set by its workflow %s; remove the workflow first", old.Name, old.Workflow)
	}
	return nil
}

func createMachine(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) error {
	if k == api.Machines {
		m.Workflow = first(m.Workflow, preference(tx, "defaultWorkflow"))
		m.Stage = first(m.Stage, preference(tx, "defaultStage"))
		m.BootEnv = first(m.BootEnv, preference(tx, "defaultBootEnv"))
	}
	m.Runnable = true
	if m.Workflow == "" {
		m.WorkflowComplete = len(m.Tasks) == 0
		return nil
	}
	if err := restart(tx, m); err != nil {
		return err
	}
	// A machine that its own discovery agent creates is already there.
	if k == api.Machines && (m.Boot == nil || !m.Boot.Home || m.Boot.Env != m.BootEnv) {
		intend(tx, m)
	}
	return nil
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func preference(r resource.Reader, name string) string {
	p, err := api.Preferences.Get(r, name)
	if err != nil {
		return ""
	}
	return p.Value
}

// restart begins the machine's workflow anew, or clears its tasks without one.
func restart(tx *resource.Tx, m *api.Machine) error {
	if err := dropJob(tx, m.CurrentJob, "the workflow was changed"); err != nil {
		return err
	}
	m.CurrentJob, m.RetryTaskAttempt = "", 0
	if m.Workflow == "" {
		m.Tasks, m.CurrentTask, m.WorkflowComplete, m.Stage = []string{}, 0, true, "none"
		return nil
	}
	list, err := Expand(tx, m.Workflow)
	if err != nil {
		return err
	}
	m.Tasks, m.CurrentTask, m.WorkflowComplete, m.Runnable = list, -1, false, true
	// The first stage and its boot environment hold at once.
	if len(list) > 0 {
		_, m.Stage = api.Entry(list[0])
	}
	if len(list) > 1 {
		if verb, env := api.Entry(list[1]); verb == "bootenv" {
			m.BootEnv = env
		}
	}
	return nil
}

// reset is what CurrentTask -1 asks for: the machine goes back to the stage that
// led to its present boot environment, never past it, so that an agent which
// starts again repeats its own part and no installation before that.
func reset(tx *resource.Tx, m *api.Machine, from int) error {
	m.CurrentTask, m.WorkflowComplete = 0, len(m.Tasks) == 0
	changed := false
	for i := min(from, len(m.Tasks)-1); i >= 0; i-- {
		verb, _ := api.Entry(m.Tasks[i])
		if changed = changed || verb == "bootenv"; changed && verb == "stage" {
			m.CurrentTask = i
			break
		}
	}
	return dropJob(tx, m.CurrentJob, "the task list was reset")
}

// dropJob ends an unfinished job of a task list that is given up.
func dropJob(tx *resource.Tx, id, why string) error {
	j, err := api.Jobs.Get(tx, id)
	if err != nil || j.Ended() {
		return nil
	}
	return api.Jobs.Modify(tx, id, func(j *api.Job) error {
		j.State, j.ResultErrors, j.Current = api.JobCancelled, []string{why}, false
		return nil
	})
}

// enterOrderMode needs a machine whose workflow is done.
func enterOrderMode(k *resource.Kind[api.Machine], m *api.Machine) error {
	if !m.WorkflowComplete {
		return resource.Errorf(resource.Refused, k.Name, m.Uuid, "workflow %s of %s is not complete; WorkOrder mode begins after it", m.Workflow, m.Name)
	}
	m.Tasks, m.CurrentTask, m.CurrentJob, m.Runnable = []string{}, -1, "", true
	return nil
}

// intend records the wish to boot the machine into its BootEnv. Until an agent
// calls home from there, no task runs.
func intend(tx *resource.Tx, m *api.Machine) {
	m.Boot = &api.BootState{Intent: uuid.NewString(), Env: m.BootEnv, Since: tx.Now()}
	m.Runnable = false
}
