// Package inproc is a simulated rack that lives in the test's process: machines
// with simulated power, disks and agents that call drpd's core directly, with
// no network. They outlive the core, so a test can crash it at any commit and
// start it again over the same store.
package inproc

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/bmc"
	"drpd/pkg/daemon"
	"drpd/pkg/engine"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Machine is one simulated server.
type Machine struct {
	Name, MAC string
	System    string // system UUID that its firmware and its BMC tell, if any

	mu        sync.Mutex // guards all below
	Disks     []*Disk
	on        bool
	boot      api.BMCWant // from where the next power-on boots
	env       string      // what it runs: "", "discovery" or "local"
	ticket    string      // that its boot script held, one for each boot
	intent    string      // that the ticket was made for
	boots     int
	installed bool
	Installs  int
	Wipes     int
	Cuts      int               // power presses while a task ran on its agent
	fail      map[string]string // task -> cause: fails once
	BMCFails  int               // so many BMC calls fail
	BMCLies   bool              // the BMC says on and leaves the machine off
	noBoot    bool              // powered on, it never reaches an agent
	diesIn    string            // task in which its agent ends, once
	due       *outcome          // done but not reported yet
}

// Rack is a set of simulated machines around whatever core runs now.
type Rack struct {
	Machines []*Machine
	Poll     time.Duration      // how often agents ask, default 1 ms
	Packs    []*api.ContentPack // the core's built-in packs, read once for many starts; nil: each start reads them

	mu   sync.Mutex // guards core
	core *daemon.Core
}

// New makes n machines named n1, n2, ...
func New(n int) *Rack {
	r := &Rack{}
	for i := 1; i <= n; i++ {
		r.Machines = append(r.Machines, &Machine{Name: fmt.Sprintf("n%d", i), MAC: fmt.Sprintf("52:54:00:00:00:%02x", i),
			Disks: []*Disk{newDisk(fmt.Sprintf("DISK%d", i), 4<<30), newDisk(fmt.Sprintf("DATA%d", i), 100<<30)}, fail: map[string]string{}})
	}
	return r
}

// FailOnce makes the machine's agent fail a task, once, with a cause.
func (m *Machine) FailOnce(task, cause string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail[task] = cause
}

// Hang makes the machine never boot as far as an agent, or boot again.
func (m *Machine) Hang(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noBoot = on
}

// DieIn makes the machine's agent end, once, in the middle of a task; "" ends
// it at once. The power stays on.
func (m *Machine) DieIn(task string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.diesIn = task; task == "" {
		m.env = ""
	}
}

// On says whether the machine has power.
func (m *Machine) On() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

// Serve lets the rack talk to this core from now on.
func (r *Rack) Serve(c *daemon.Core) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.core = c
}

func (r *Rack) served() *daemon.Core {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core
}

// BMC is the engine's action on the rack's management controllers: drpd's own
// but for the wire.
func (r *Rack) BMC(db *resource.DB) []engine.Runner {
	do := func(_ context.Context, a *api.BMCAction) (string, error) {
		if err := r.press(db, a); err != nil {
			return "", err
		}
		if a.Want == api.BMCOff {
			return "off", nil
		}
		return "on", nil
	}
	return []engine.Runner{bmc.ActionBy(do, time.Now)}
}

func (r *Rack) press(db *resource.DB, a *api.BMCAction) error {
	o, err := api.Machines.Get(db.View(), a.Machine)
	if err != nil {
		return err
	}
	for _, m := range r.Machines {
		if m.Name == o.Name {
			m.script(o)
			return m.press(a.Want, taken(db.View(), o.Uuid))
		}
	}
	return fmt.Errorf("no simulated machine %s", o.Name)
}

// script is what the machine's next boot gets to read.
func (m *Machine) script(o *api.Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boots++
	if m.ticket, m.intent = fmt.Sprintf("%s boot %d", m.MAC, m.boots), ""; o.Boot != nil {
		m.intent = o.Boot.Intent
	}
}

func (m *Machine) press(want api.BMCWant, job *api.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if job != nil && job.State == api.JobRunning {
		m.Cuts++
	}
	if m.BMCFails > 0 {
		m.BMCFails--
		return fmt.Errorf("BMC of %s does not answer", m.Name)
	}
	if m.BMCLies {
		return fmt.Errorf("BMC of %s accepted %s but power stays as it was", m.Name, want)
	}
	m.on, m.env = false, ""
	switch want {
	case api.BMCOff:
		return nil
	case api.BMCBootPXE, api.BMCBootDisk:
		m.boot = want
	}
	m.on = true
	switch {
	case m.noBoot:
	case m.boot == api.BMCBootPXE:
		m.env = "discovery"
	case m.installed:
		m.env = "local"
	}
	return nil
}

// Run plays every machine's agent until ctx ends.
func (r *Rack) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, m := range r.Machines {
		wg.Go(func() {
			for ctx.Err() == nil {
				if !r.turn(ctx, m) {
					select {
					case <-ctx.Done():
					case <-time.After(r.poll()):
					}
				}
			}
		})
	}
	wg.Wait()
}

// turn does one thing that the agent of a machine would do; false if there is
// nothing to do. Errors of the core are what an agent sees of a dead server:
// it tries again.
func (r *Rack) turn(ctx context.Context, m *Machine) bool {
	c := r.served()
	env, due := m.state()
	if c == nil || env == "" {
		return false
	}
	if due != nil {
		return m.settle(ctx, c, due)
	}
	o := api.Machines.One(c.DB.View(), api.ByMAC, m.MAC)
	if o == nil || o.BootEnv != env {
		return false
	}
	if o.Boot != nil && !o.Boot.Home {
		return m.home(ctx, c, o.Uuid, env)
	}
	return m.work(ctx, c, o)
}

// home says who it is, as an agent does: from the network with what the boot
// script held, from the disk with the token that was left there.
func (m *Machine) home(ctx context.Context, c *daemon.Core, id, env string) bool {
	m.mu.Lock()
	who := proof.Claimant{Address: netip.AddrFrom4([4]byte{10, 0, 0, m.MAC[len(m.MAC)-1]}), Ticket: m.ticket, Intent: m.intent, System: m.System}
	m.mu.Unlock()
	err := c.DB.Update(ctx, func(tx *resource.Tx) error {
		o, err := api.Machines.Get(tx, id)
		if err != nil {
			return err
		}
		if env == "discovery" {
			if who.Intent == "" && o.Boot != nil { // behind a controller of its own
				who.Intent = o.Boot.Intent
			}
			if claim, _, err := proof.Take(tx, tx.Now(), o, who); claim == nil || err != nil {
				return err
			}
		}
		return workflow.Home(tx, id, env)
	})
	o, gone := api.Machines.Get(c.DB.View(), id)
	return err == nil && gone == nil && o.Boot != nil && o.Boot.Home
}

func (r *Rack) poll() time.Duration {
	if r.Poll == 0 {
		return time.Millisecond
	}
	return r.Poll
}

func (m *Machine) state() (env string, due *outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.env, m.due
}

// outcome is what an agent has done and must report before anything else.
type outcome struct {
	job, task string
	state     api.JobState
	cause     string
	reports   []api.DiskReport
}

// work asks for a job, says that it runs, and does it.
func (m *Machine) work(ctx context.Context, c *daemon.Core, o *api.Machine) bool {
	var job *api.Job
	err := c.DB.Update(ctx, func(tx *resource.Tx) error {
		n, err := c.Flow.NextJob(tx, tx.Now(), o.Uuid, "")
		job = n.Job
		return err
	})
	if err != nil {
		// The reply may have been lost: a created job of this machine is its own.
		job = taken(c.DB.View(), o.Uuid)
	}
	if job == nil || report(ctx, c, outcome{job: job.Uuid, state: api.JobRunning}) != nil {
		return false
	}
	// As it is now: the agent renders its templates when the job has begun.
	v := c.DB.View()
	if now, err := api.Machines.Get(v, o.Uuid); err == nil {
		o = now
	}
	done := m.do(v, job, o)
	if done.job == "" {
		return false
	}
	if done.task == "inventory" && done.cause == "" && m.inventory(ctx, c, o.Uuid) != nil {
		return false
	}
	return m.settle(ctx, c, &done)
}

// settle reports an outcome; it is kept until the server has it.
func (m *Machine) settle(ctx context.Context, c *daemon.Core, done *outcome) bool {
	err := report(ctx, c, *done)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = done
	if err == nil || resource.CodeOf(err) == resource.Conflict || resource.CodeOf(err) == resource.NotFound {
		m.due = nil
	}
	return m.due == nil
}

// taken is the machine's own job that it took and has not begun, or was
// running when the server died.
func taken(v *resource.View, machine string) *api.Job {
	c := workflow.At(v, machine)
	if c == nil {
		return nil
	}
	j, err := api.Jobs.Get(v, c.JobID())
	if err != nil || j.Ended() {
		return nil
	}
	if verb, _ := api.Entry(j.Task); verb != "" || api.Operation(v, j.Task) != "" {
		return nil
	}
	return j
}

func report(ctx context.Context, c *daemon.Core, d outcome) error {
	return c.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Jobs.Modify(tx, d.job, func(j *api.Job) error {
			if j.State == d.state {
				return nil
			}
			if d.cause != "" {
				j.ResultErrors = []string{d.cause}
			}
			j.Reports = d.reports
			return j.Move(d.state, tx.Now())
		})
	})
}

// do is the effect of a task on the simulated hardware.
func (m *Machine) do(v *resource.View, job *api.Job, o *api.Machine) outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.diesIn == job.Task {
		m.diesIn, m.env = "", ""
		return outcome{}
	}
	done := outcome{job: job.Uuid, task: job.Task, state: api.JobFinished}
	if cause := m.fail[job.Task]; cause != "" {
		delete(m.fail, job.Task)
		done.state, done.cause = api.JobFailed, cause
		return done
	}
	var err error
	if done.reports, err = m.onDisks(v, job.Task, o); err != nil {
		done.state, done.cause = api.JobFailed, err.Error()
	}
	if job.Task == "os-online" {
		m.Disks[len(m.Disks)-1].Fill("data of " + o.Owner)
	}
	return done
}

func (m *Machine) inventory(ctx context.Context, c *daemon.Core, id string) error {
	m.mu.Lock()
	disks := []any{}
	for _, d := range m.facts() {
		disks = append(disks, map[string]any{"Name": d.Name, "Serial": d.Serial, "Size": d.Size})
	}
	m.mu.Unlock()
	return c.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, id, func(o *api.Machine) error {
			o.Params["inventory/data"] = map[string]any{"Disks": disks}
			return nil
		})
	})
}
