package workflow

import (
	"strings"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/proof"
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
	switch {
	case new == nil:
		return dropJob(tx, old.CurrentJob, "its machine was deleted")
	case old == nil:
		return createMachine(tx, k, new)
	}
	if moving := new.Moving; moving {
		new.Moving = false
	} else if err := saveEdit(tx, k, old, new); err != nil {
		return err
	}
	switch {
	case k != api.Machines:
	case new.BootEnv != old.BootEnv:
		installs(tx, new)
		intend(tx, new)
	case proof.Retaken(tx, old, new), goesBack(old, new) && new.Boot != nil && new.Boot.Error != "":
		intend(tx, new) // a boot that was given up is wanted anew
	}
	return nil
}

// goesBack says that the machine begins to be taken back.
func goesBack(old, new *api.Machine) bool {
	return new.PoolStatus == api.Destroying && old.PoolStatus != api.Destroying && !new.Virtual
}

// saveEdit is for saves by whoever is not the workflow itself.
func saveEdit(tx *resource.Tx, k *resource.Kind[api.Machine], old, new *api.Machine) error {
	if err := checkEdit(tx, k, old, new); err != nil {
		return err
	}
	if err := applyEdit(tx, k, old, new); err != nil {
		return err
	}
	if new.WorkOrderMode && !old.WorkOrderMode {
		return enterOrderMode(k, new)
	}
	return nil
}

// installs notes the system that an installation leaves behind.
func installs(r resource.Reader, m *api.Machine) {
	if env, err := api.BootEnvs.Get(r, m.BootEnv); err == nil && strings.HasSuffix(env.Name, "-install") {
		m.OS = env.OS.Name
	}
}

func createMachine(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) error {
	if k == api.Machines {
		m.Workflow = first(m.Workflow, preference(tx, "defaultWorkflow"))
		m.Stage = first(m.Stage, preference(tx, "defaultStage"))
		m.BootEnv = first(m.BootEnv, preference(tx, "defaultBootEnv"))
	}
	if k != api.Machines {
		m.Context = first(m.Context, DefaultContext)
	}
	m.Runnable = true
	if m.Workflow == "" {
		return createIdle(tx, k, m)
	}
	if err := restart(tx, k, nil, m); err != nil {
		return err
	}
	// A machine that its own discovery agent creates is already there.
	if k == api.Machines && (m.Boot == nil || !m.Boot.Home || m.Boot.Env != m.BootEnv) {
		intend(tx, m)
	}
	return nil
}

// createIdle is for a machine without a workflow: it has the tasks given, or
// those of its stage.
func createIdle(tx *resource.Tx, k *resource.Kind[api.Machine], m *api.Machine) error {
	if len(m.Tasks) == 0 {
		return enterStage(tx, k, m)
	}
	begin(m, m.Tasks)
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
func restart(tx *resource.Tx, k *resource.Kind[api.Machine], old, m *api.Machine) error {
	if err := dropJob(tx, m.CurrentJob, "the workflow was changed"); err != nil {
		return err
	}
	m.CurrentJob = ""
	if m.Workflow == "" {
		if old == nil || m.Stage == old.Stage {
			m.Stage = "none"
		}
		return enterStage(tx, k, m)
	}
	list, err := Expand(tx, m.Workflow)
	if err != nil {
		return unusable(k, m, "Workflow "+m.Workflow, err)
	}
	begin(m, list)
	m.CurrentTask, m.WorkflowComplete, m.Runnable = -1, false, true
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
	if len(m.TaskErrorStacks) > 0 { // the agent starts anew: so does the list, not the handling
		from = m.TaskErrorStacks[0].CurrentTask
		job := m.CurrentJob
		restore(m)
		m.Moving, m.CurrentJob = false, job
	}
	m.CurrentTask = lastBoot(m.Tasks, from)
	if len(m.Tasks) == 0 {
		m.CurrentTask = 0
	}
	m.WorkflowComplete, m.RetryTaskAttempt, m.PastJob = len(m.Tasks) == 0, 0, m.CurrentJob != ""
	return dropJob(tx, m.CurrentJob, "the task list was reset")
}

// lastBoot is the stage entry that led to the boot environment at from; where
// the list names none, its begin: 0 if that is a stage, else -1.
func lastBoot(list []string, from int) int {
	changed := false
	for i := min(from, len(list)-1); i >= 0; i-- {
		verb, _ := api.Entry(list[i])
		if changed = changed || verb == "bootenv"; changed && verb == "stage" {
			return i
		}
	}
	if len(list) > 0 && strings.HasPrefix(list[0], "stage:") {
		return 0
	}
	return -1
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
		return resource.Errorf(resource.Refused, k.Name, m.Uuid, "%s: %s; WorkOrder mode begins after that", m.Name, m.Unfinished())
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
