package blank

import (
	"fmt"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
)

// Hooks keep what is known of disks true in every save, whoever makes it: a
// machine that is taken, released or installed is not blank and what was proven
// before does not count; an agent's report becomes evidence; and no save leaves
// a machine Free that Decide would hold. They come before those of package
// workflow.
func Hooks() []resource.Hook {
	return []resource.Hook{resource.OnSave(api.Machines, saveMachine), resource.OnSave(api.Jobs, saveJob),
		gone(api.Users, func(u *api.User) Taker { return Taker{User: u.Name} }),
		gone(api.Clusters, func(c *api.Machine) Taker { return Taker{Cluster: c.Uuid} }),
	}
}

func saveMachine(tx *resource.Tx, old, new *api.Machine) error {
	switch {
	case tx.Loading():
		return nil
	case new == nil:
		return forget(tx, old.Uuid)
	case old == nil:
		old = &api.Machine{BootEnv: new.BootEnv}
	}
	begins := new.PoolStatus != old.PoolStatus && (new.PoolStatus == api.Building || new.PoolStatus == api.Destroying && old.PoolStatus != api.HoldDestroy)
	if begins && !new.Virtual {
		new.Uses = old.Uses + 1
	}
	if is := installer(tx, new); is != nil && (installer(tx, old) == nil || old.Boot.Intent != is.Intent) {
		wrote(new, "installer "+is.Env)
	}
	return unproven(tx, old, new)
}

// installer is the boot of a machine that has been handed an installer, or says
// that it runs one; that it shall boot one writes nothing.
func installer(r resource.Reader, m *api.Machine) *api.BootState {
	if m.Boot == nil || !m.Boot.Served && !m.Boot.Home {
		return nil
	}
	if env, err := api.BootEnvs.Get(r, m.Boot.Env); err != nil || !env.OneShot() {
		return nil
	}
	return m.Boot
}

// unproven refuses what Decide would not have: it stands at the effect, whoever
// saves.
func unproven(tx *resource.Tx, old, new *api.Machine) error {
	as := *new
	if as.Unwiped == nil {
		as.Unwiped = old.Unwiped
	}
	v := Verdict{Clean: true}
	if frees, cleans := new.PoolStatus == api.Free && old.PoolStatus != api.Free, new.Unwiped != as.Unwiped; frees || cleans {
		v = Decide(tx, &as)
		if cleans && !v.Clean && v.Held == "" {
			v.Held = "nobody has shown that they are"
		}
	}
	switch {
	case new.Virtual && !old.Virtual && old.Uuid != "":
		return resource.Errorf(resource.Refused, api.Machines.Name, new.Uuid, "%s has hardware", new.Name)
	case v.Held != "":
		return resource.Errorf(resource.Refused, api.Machines.Name, new.Uuid, "the disks of %s do not count as blank: %s", new.Name, v.Held)
	}
	return nil
}

// wrote notes that data comes to the machine's disks.
func wrote(m *api.Machine, why string) {
	if m.Virtual {
		return
	}
	u := api.Unwiped{Owner: m.Owner, Prepared: m.Owner == "" && m.PoolStatus == api.Joining}
	if m.Unwiped != nil {
		u = *m.Unwiped
	}
	u.Wrote, u.Why, u.Prepared = true, why, u.Prepared && m.PoolStatus == api.Joining
	m.Unwiped = &u
	m.Uses++
}

// Write notes that an installation on the machine begins: it comes before the
// first byte.
func Write(tx *resource.Tx, id, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error { wrote(m, why); return nil })
}

func forget(tx *resource.Tx, machine string) error {
	for p := range api.DiskProofs.By(tx, "Machine", machine) {
		if err := api.DiskProofs.Delete(tx, p.Uuid); err != nil {
			return err
		}
	}
	if !api.DiskSurveys.Has(tx, machine) {
		return nil
	}
	return api.DiskSurveys.Delete(tx, machine)
}

func saveJob(tx *resource.Tx, old, new *api.Job) error {
	switch {
	case tx.Loading() || new == nil:
		return nil
	case old == nil:
		return begun(tx, new)
	case old.State == new.State:
		return nil
	case new.State == api.JobRunning && old.State == api.JobIncomplete:
		return begun(tx, new) // it goes on: what it does is not over yet
	case new.Ended() && len(new.Reports) > 0:
		job := *new
		tx.After(func() error { return evidence(tx, &job) })
	}
	return nil
}

// begun looks at what a job may do to the machine's disks.
func begun(tx *resource.Tx, j *api.Job) error {
	m, err := api.Machines.Get(tx, j.Machine)
	if err != nil {
		return nil
	}
	if j.Release = m.Uses; j.Ended() || m.Virtual || api.Operation(tx, j.Task) != "" {
		return nil
	}
	if verb, _ := api.Entry(j.Task); verb != "" {
		return nil
	}
	id, uses := m.Uuid, m.Uses+1
	switch effect(tx, j.Task) {
	case installs:
		j.Release = uses
		tx.After(func() error { return Write(tx, id, "task "+j.Task) })
	case anything:
		// What a script does nobody knows: proof comes after the last of them.
		if m.Unwiped == nil || m.PoolStatus == api.InUse || m.PoolStatus == api.Building {
			return nil
		}
		j.Release = uses
		tx.After(func() error {
			return api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Uses++; return nil })
		})
	}
	return nil
}

// What a task of an agent may do to disks.
type effects int

const (
	harmless effects = iota // it reads, or makes blank
	installs
	anything
)

// effect reads a task's templates: operations of the agent say what they do.
func effect(r resource.Reader, task string) effects {
	t, err := api.Tasks.Get(r, task)
	if err != nil {
		return anything
	}
	out := harmless
	for _, x := range t.Templates {
		out = max(out, effectOf(x))
	}
	if len(t.Templates) == 0 {
		return harmless
	}
	return out
}

func effectOf(x api.TemplateInfo) effects {
	if x.Meta["Interpreter"] != "drp-agent" {
		return anything
	}
	for line := range strings.Lines(x.Contents) {
		if op, ok := strings.CutPrefix(strings.TrimSpace(line), "op:"); ok {
			switch strings.TrimSpace(op) {
			case "inventory", "wipe", "verify-blank", "reboot", "poweroff":
				return harmless
			case "deploy":
				return installs
			}
		}
	}
	return anything
}

// evidence keeps what a job's report shows, if it comes from the discovery
// environment and from the present release.
func evidence(tx *resource.Tx, j *api.Job) error {
	m, err := api.Machines.Get(tx, j.Machine)
	if err != nil || j.Release != m.Uses || m.Virtual || !discovery(tx, m, j) {
		return nil
	}
	for _, rep := range j.Reports {
		if err := survey(tx, m, j, rep.Disks); err != nil {
			return err
		}
		if err := done(tx, m, j, rep); err != nil {
			return err
		}
	}
	return nil
}

func done(tx *resource.Tx, m *api.Machine, j *api.Job, rep api.DiskReport) (err error) {
	for _, d := range rep.Done {
		switch {
		case d.Error != "":
			continue
		case rep.Op == "wipe":
			err = wiped(tx, m, j, d)
		case rep.Op == "verify-blank":
			err = readBack(tx, m, j, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// discovery says whether the job ran where only our own agent runs: in an
// environment from the network.
func discovery(r resource.Reader, m *api.Machine, j *api.Job) bool {
	env, err := api.BootEnvs.Get(r, j.BootEnv)
	return err == nil && env.NetBoots() && !env.OneShot() && m.BootEnv == j.BootEnv && m.Boot != nil && m.Boot.Home && m.Boot.Env == j.BootEnv && j.Context == "" &&
		proof.Vouched(r, m)
}

// survey keeps the inventory of a report.
func survey(tx *resource.Tx, m *api.Machine, j *api.Job, disks []api.DiskFact) error {
	s := &api.DiskSurvey{Machine: m.Uuid, Release: m.Uses, Job: j.Uuid, Taken: tx.Now()}
	s.Proof, _ = proof.Basis(tx, m)
	was, err := api.DiskSurveys.Get(tx, m.Uuid)
	if err != nil {
		was = &api.DiskSurvey{}
	}
	ours := m.Unwiped != nil && m.Unwiped.Wrote
	for _, d := range disks {
		n := api.SurveyDisk{DiskFact: d}
		i := slices.IndexFunc(was.Disks, func(o api.SurveyDisk) bool { return o.Key() == d.Key() })
		if i >= 0 {
			n.Foreign, n.Approved = was.Disks[i].Foreign, was.Disks[i].Approved
		}
		switch {
		case len(d.Content) == 0:
			n.Foreign, n.Approved = false, ""
		case !ours && Exempt(d) == "":
			n.Foreign = true
		}
		s.Disks = append(s.Disks, n)
	}
	for _, o := range was.Disks {
		gone := !slices.ContainsFunc(s.Disks, func(n api.SurveyDisk) bool { return n.Key() == o.Key() })
		if gone && Exempt(o.DiskFact) == "" && (m.Unwiped != nil || o.Foreign) {
			o.Absent = true
			s.Disks = append(s.Disks, o)
		}
	}
	return api.DiskSurveys.Put(tx, s)
}

// keptProofs is how many older proofs of one disk are kept.
const keptProofs = 3

// wiped keeps that a disk was overwritten or erased; that alone proves nothing.
func wiped(tx *resource.Tx, m *api.Machine, j *api.Job, d api.DiskDone) error {
	if !slices.Contains([]string{api.MethodOverwrite, api.MethodSanitize, api.MethodCrypto}, d.Method) {
		return nil
	}
	var old []*api.DiskProof
	for p := range api.DiskProofs.By(tx, "Machine", m.Uuid) {
		if p.Disk.Key() == d.Key() && p.Method != api.MethodExempt {
			old = append(old, p)
		}
	}
	slices.SortFunc(old, func(a, b *api.DiskProof) int { return b.Release - a.Release })
	for i, p := range old {
		if i >= keptProofs || p.Release == m.Uses {
			if err := api.DiskProofs.Delete(tx, p.Uuid); err != nil {
				return err
			}
		}
	}
	p := &api.DiskProof{Machine: m.Uuid, Disk: d.DiskID, Release: m.Uses, Method: d.Method, Bytes: d.Bytes, Record: d.Record, WipeJob: j.Uuid, Wiped: tx.Now()}
	p.Proof, p.Claim = proof.Basis(tx, m)
	if m.Unwiped != nil {
		p.Owner = m.Unwiped.Owner
	}
	return api.DiskProofs.Create(tx, p)
}

// readBack completes the evidence of a disk that was wiped.
func readBack(tx *resource.Tx, m *api.Machine, j *api.Job, d api.DiskDone) error {
	p := proofsOf(tx, m)[d.Key()]
	if p == nil || p.Method == api.MethodExempt {
		return nil
	}
	kind, claim := proof.Basis(tx, m)
	return api.DiskProofs.Modify(tx, p.Uuid, func(p *api.DiskProof) error {
		p.ReadProof, p.ReadClaim = kind, claim
		p.Samples, p.Read, p.ReadJob, p.Proven = d.Samples, d.Bytes, j.Uuid, tx.Now()
		return nil
	})
}

// Approve notes that what is nobody's on the machine's disks may be overwritten.
func Approve(tx *resource.Tx, id, who string) error {
	s, err := api.DiskSurveys.Get(tx, id)
	m, merr := api.Machines.Get(tx, id)
	if merr != nil {
		return merr
	}
	if err != nil || len(Foreign(tx, m)) == 0 {
		return resource.Errorf(resource.Refused, api.Machines.Name, id, "the disks of %s hold nothing that waits for an approval", m.Name)
	}
	n := *s
	n.Disks = slices.Clone(s.Disks)
	for i := range n.Disks {
		if n.Disks[i].Foreign && n.Disks[i].Approved == "" {
			n.Disks[i].Approved = fmt.Sprintf("%s at %s", who, tx.Now().UTC().Format("2006-01-02 15:04:05Z"))
		}
	}
	return api.DiskSurveys.Put(tx, &n)
}

// ExemptDisk notes a person's word that a disk of the machine, by serial, WWN
// or name, or all of none, needs no wipe in its present release.
func ExemptDisk(tx *resource.Tx, id, disk, who, reason string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return err
	}
	refuse := func(text string) error {
		return resource.Errorf(resource.Refused, api.Machines.Name, id, "%s: %s", m.Name, text)
	}
	s, why := Survey(tx, m)
	if s == nil {
		return refuse(why)
	}
	if reason == "" {
		return refuse("say why the disk needs no wipe")
	}
	p := &api.DiskProof{Machine: id, Release: m.Uses, Method: api.MethodExempt, Proven: tx.Now(), By: who, Reason: reason}
	if m.Unwiped != nil {
		p.Owner = m.Unwiped.Owner
	}
	if disk == "none" && len(s.Disks) == 0 {
		return api.DiskProofs.Create(tx, p)
	}
	for _, d := range s.Disks {
		if disk != "" && (d.Serial == disk || d.WWN == disk || d.Name == disk) {
			p.Disk = d.DiskID
			return api.DiskProofs.Create(tx, p)
		}
	}
	return refuse(fmt.Sprintf("no disk %q in the inventory of %s", disk, s.Taken.UTC().Format("2006-01-02 15:04:05Z")))
}
