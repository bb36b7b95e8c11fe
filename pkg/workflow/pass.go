package workflow

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// NoteLog is the note of a job that the server made and ended by itself: what
// it did, as the text of its log.
const NoteLog = "log"

// place is what stage, bootenv and context entries set.
type place struct{ stage, env, context string }

func placeOf(m *api.Machine) place { return place{m.Stage, m.BootEnv, m.Context} }

// enter applies one entry and says what it changed, "" if nothing.
func (p *place) enter(verb, arg string) string {
	at := map[string]*string{"stage": &p.stage, "bootenv": &p.env, "context": &p.context}[verb]
	if *at == arg {
		return ""
	}
	text := fmt.Sprintf("%s changed from %q to %q\n", verb, *at, arg)
	*at = arg
	return text
}

func passing(verb string) bool { return verb == "stage" || verb == "bootenv" || verb == "context" }

// pass moves the cursor over the stage, bootenv and context entries that follow
// each other at index. What they change is recorded as one finished job.
func (f *Flow) pass(tx *resource.Tx, now time.Time, c *Cursor, index int) (step, bool, error) {
	list, p := c.tasks(), placeOf(c.On)
	log, changed, i := "", -1, index
	for ; i < len(list); i++ {
		verb, arg := api.Entry(list[i])
		if !passing(verb) || verb == "bootenv" && arg != p.env && mustBoot(tx, c, p, i) || i > index && guarded(tx, c, list[i]) != nil {
			break
		}
		if text := p.enter(verb, arg); text != "" {
			if log += text; changed < 0 {
				changed = i
			}
		}
	}
	switch {
	case i == index:
		return step{waiting: fmt.Sprintf("the machine boots into %s before it goes on to %s", p.env, list[i])}, false, nil
	case changed < 0 || c.Order != nil:
		return step{}, true, c.move(tx, i, c.jobID(), func(m *api.Machine) { m.RetryTaskAttempt = 0 })
	}
	return step{}, true, f.enter(tx, now, c, [2]int{changed, i}, p, log)
}

// mustBoot says whether the machine has yet to boot into the environment that
// it is in, before the bootenv entry at i: without a task between them, nothing
// else would make it go there, and an installation would be left out.
func mustBoot(r resource.Reader, c *Cursor, p place, i int) bool {
	if c.Order != nil || c.Kind != api.Machines {
		return false
	}
	if p.env != c.On.BootEnv {
		return true
	}
	for i--; i >= 0; i-- {
		verb, _ := api.Entry(c.tasks()[i])
		if !passing(verb) && (verb != "" || api.Operation(r, c.tasks()[i]) == "") {
			return false // tasks that the server carries out need no boot
		}
		if verb == "bootenv" {
			return c.On.Boot != nil && !c.On.Boot.Home
		}
	}
	return false
}

// enter puts the machine in its new place, with a job that says so.
func (f *Flow) enter(tx *resource.Tx, now time.Time, c *Cursor, span [2]int, p place, log string) error {
	j := &api.Job{Machine: c.On.Uuid, Previous: previous(c.On), Task: c.tasks()[span[0]], Stage: p.stage, BootEnv: p.env,
		Workflow: c.On.Workflow, Context: c.On.Context, State: api.JobFinished, ExitState: "complete", StartTime: now, EndTime: now,
		Current: true, CurrentIndex: span[0], NextIndex: span[1], Note: resource.Params{NoteLog: log}}
	if err := uncurrent(tx, c.jobID()); err != nil {
		return err
	}
	if err := api.Jobs.Create(tx, j); err != nil {
		return err
	}
	return c.move(tx, span[1], j.Uuid, func(m *api.Machine) {
		m.Stage, m.BootEnv, m.Context, m.RetryTaskAttempt = p.stage, p.env, p.context, 0
	})
}

// nobody is what the first job of a machine has as its previous one.
const nobody = "00000000-0000-0000-0000-000000000000"

func previous(m *api.Machine) string { return first(m.CurrentJob, nobody) }
