package main

import "slices"

// mutations are the decisions that nobody may break unnoticed. Those of one test
// binary stand together: what it is linked of is then built already.
//
// That every caller asks package guard, a test reads in the source, which an
// overlay does not reach.
func mutations() []Mutation {
	return slices.Concat(clusters(), disks(), guards(), machines(), claims(), rights(), boots(), calls(), directories())
}

func clusters() []Mutation {
	const pkg = "pkg/cluster"
	return []Mutation{
		{"cluster: a quorum of one", "pkg/cluster/natives.go", `quorum := len(members)/2 + 1`, `quorum := 1`, pkg, ""},
		{"cluster: the leader of an earlier generation stays", "pkg/cluster/natives.go", `ok && fmt.Sprint(was["Generation"]) == fmt.Sprint(x.c.Generation)`, `ok && was != nil`, pkg, ""},
		{"cluster: a live one is forgotten", "pkg/cluster/hook.go", `if n := len(held(tx, c)); n > 0 {`, `if n := len(held(tx, c)); n > 99 {`, pkg, ""},
		{"cluster: rolling without a check of health", "pkg/cluster/rolling.go", `if health != "" {`, `if false {`, pkg, ""},
		{"cluster: a member's machine is deleted", "pkg/cluster/hook.go", `if old.Owner != "" {`, `if false {`, pkg, ""},
		{"cluster: who is not ready counts for the quorum", "pkg/cluster/members.go", `	case m.PoolStatus != api.InUse:`, `	case false:`, pkg, ""},
		{"cluster: a member that does not leave is waited for", "pkg/cluster/rolling.go", `if err == nil && x.now.Before(limit) {`, `if err == nil {`, pkg, ""},
		{"cluster: members are rolled at once", "pkg/cluster/rolling.go", `		if res, err := x.onMember("roll "+j.Name, m, blueprint, nil); err != nil || !res.Done {
			return res, err
		}`, `		if _, err := x.onMember("roll "+j.Name, m, blueprint, nil); err != nil {
			return engine.Result{}, err
		}`, pkg, ""},
		{"cluster: those that stay are trimmed", "pkg/cluster/resize.go", `surplus := func(name string) bool { _, keep := want[name]; return !keep }`, `surplus := func(name string) bool { return name != "" }`, pkg, ""},
		{"cluster: a param looks as if it lifts protection", "pkg/cluster/protect.go", `	case c.Protected && v != true:`, `	case false:`, pkg, ""},
		{"cluster: a definition does not protect", "pkg/cluster/protect.go", `c.Protected || on == true, "definition"`, `c.Protected || on == ".", "definition"`, pkg, ""},
		{"cluster: what it asked for goes on without it", "pkg/cluster/giveup.go", `	return withdraw(tx, new, why)`, `	return withdraw(tx, &api.Job{}, why)`, "pkg/sim/inproc", "TestAClusterThatIsGivenUp"},
	}
}

func disks() []Mutation {
	const plan, blank = "pkg/diskplan", "pkg/blank"
	return []Mutation{
		{"diskplan: an empty plan to wipe", "pkg/diskplan/diskplan.go", `	if len(plan) == 0 {`, `	if false {`, plan, ""},
		{"diskplan: a wipe does not ask", "pkg/diskplan/diskplan.go", `guard.Destroy(tx, p.m, guard.Wipe)`, `error(nil)`, plan, ""},
		{"diskplan: an installation does not ask", "pkg/diskplan/diskplan.go", `guard.Destroy(tx, p.m, guard.Install)`, `error(nil)`, plan, ""},
		{"diskplan: a wipe of what is protected", "pkg/diskplan/diskplan.go", `		if isProtected(all[i], p.protected()) {`, `		if false {`, plan, ""},
		{"diskplan: a wipe of what is apart", "pkg/diskplan/diskplan.go", `		if why == "" && !asked {`, `		if asked && !asked {`, plan, ""},
		{"diskplan: a wipe of what is exempt", "pkg/diskplan/diskplan.go", `		why := blank.Exempt(d.DiskFact)`, `		why := ""`, plan, ""},
		{"diskplan: a wipe of strangers' data", "pkg/diskplan/diskplan.go", `		if why := blank.Refuse(p.tx, p.m, d); why != "" {`, `		if why := ""; why != "" {`, plan, ""},
		{"guard: an installation over strangers' data", "pkg/guard/guard.go", `	if why := blank.Spared(r, was, what == Wipe); why != "" {`, `	if why := blank.Spared(r, was, what == Wipe); false {`, plan, ""},
		{"guard: an installer over strangers' data", "pkg/guard/guard.go", `	if why := blank.Spared(r, was, what == Wipe); why != "" {`, `	if why := blank.Spared(r, was, what == Wipe); false {`, "pkg/pxe", ""},
		{"guard: a document names a stranger's disk", "pkg/guard/actions.go", `		if err := foreign(r, m, t, effect(d.Op)); err != nil {`, `		if err := foreign(r, m, disk{}, effect(d.Op)); err != nil {`, "pkg/guard", ""},
		{"blank: what nobody looked at is installed", "pkg/blank/blank.go", `		if m.Unwiped != nil && m.Unwiped.Wrote {
			return ""
		}
		return "no inventory`, `		return ""
		return "no inventory`, "pkg/pxe", ""},
		{"diskplan: an installation on what is apart", "pkg/diskplan/diskplan.go", `			if why := blank.Apart(p.tx, p.m, x.DiskFact); why != "" {`, `			if why := ""; why != "" {`, plan, ""},
		{"diskplan: a wipe before what cannot follow", "pkg/diskplan/diskplan.go", `	if err := p.installable(); err != nil {`, `	if err := error(nil); err != nil {`, plan, ""},
		{"diskplan: two disks of one serial", "pkg/diskplan/diskplan.go", `	case len(found) > 1:`, `	case false:`, plan, ""},
		{"diskplan: the machine's word is its inventory", "pkg/diskplan/diskplan.go", `!blank.Overwrites(p.tx, p.m) || !p.read`, `!p.read`, plan, ""},
		{"diskplan: the agent does not look again", "pkg/diskplan/diskplan.go", `image.Check = !blank.Overwrites(p.tx, p.m) && (p.m.Unwiped == nil || !p.m.Unwiped.Wrote)`, ``, plan, ""},

		{"blank: Free needs no proof", "pkg/blank/blank.go", `	missing := Missing(r, m)
	switch {`, `	missing := []string(nil)
	switch {`, blank, ""},
		{"blank: what was proven before counts", "pkg/blank/blank.go", `		if p.Release != m.Uses {
			continue
		}
		key`, `		key`, blank, ""},
		{"blank: an older inventory counts", "pkg/blank/blank.go", `	case s.Release != m.Uses:`, `	case false:`, blank, ""},
		{"blank: what was wiped need not be read back", "pkg/blank/blank.go", `	case p.Proven.IsZero():`, `	case false:`, blank, ""},
		{"blank: samples of the front are enough", "pkg/blank/rules.go", `	return len(in) == parts`, `	return len(in) > 0`, blank, ""},
		{"blank: half an overwriting is enough", "pkg/blank/blank.go", `p.Method == api.MethodOverwrite && p.Bytes < d.Size`, `false`, blank, ""},
		{"blank: an erasure without the drive's record", "pkg/blank/blank.go", `p.Method != api.MethodOverwrite && p.Record == ""`, `false`, blank, ""},
		{"blank: a disk that is gone is forgotten", "pkg/blank/blank.go", `		case d.Absent:`, `		case false:`, blank, ""},
		{"blank: a read-only disk needs no proof", "pkg/blank/rules.go", `	case d.Removable:`, `	case d.Removable, d.ReadOnly:`, blank, ""},
		{"blank: whoever says that they have a disk holds its machine", "pkg/blank/rules.go", `strong && s.Proof != "" && !`, `strong && false && !`, blank, ""},
		{"blank: an inventory does not say what it rests on", "pkg/blank/note.go", `	s.Proof, _ = proof.Basis(tx, m)`, ``, blank, ""},
		{"blank: a disk that is gone from another machine is there", "pkg/blank/rules.go", `return !o.Absent && (o.Serial`, `return (o.Serial`, blank, "TestApart"},
		{"blank: a disk of another size is the same", "pkg/blank/rules.go", ` && o.Size == d.Size })`, ` })`, blank, "TestApart"},
		{"blank: a disk has no WWN", "pkg/blank/rules.go", `range []string{d.Serial, d.WWN} {`, `range []string{d.Serial} {`, blank, "TestApart"},
		{"blank: what all virtual disks are called names one", "pkg/blank/rules.go", `placeholder.MatchString(strings.TrimSpace(id))`, `placeholder.MatchString(strings.TrimSpace(""))`, blank, "TestApart"},
		{"blank: a disk that is gone stands against an installation", "pkg/blank/blank.go", `why != "" && !d.Absent && !(own`, `why != "" && !(own`, blank, "TestSpared"},
		{"blank: an installation leaves disks alone as a wipe does", "pkg/blank/blank.go", `!(own && (Exempt`, `!((Exempt`, blank, "TestSpared"},
		{"blank: a disk that a wipe leaves alone stands against it", "pkg/blank/blank.go", ` || Alone(r, m, d.DiskFact) != "")) {`, `)) {`, blank, "TestSpared"},
		{"blank: a disk that is empty since is a stranger's", "pkg/blank/note.go", `		case len(d.Content) == 0:`, `		case false:`, blank, "TestWhatADiskWas"},
		{"blank: a stranger's disk that is gone is forgotten", "pkg/blank/note.go", `(m.Unwiped != nil || o.Foreign)`, `m.Unwiped != nil`, blank, "TestWhatADiskWas"},
		{"blank: somebody's disk that is gone is forgotten", "pkg/blank/note.go", `(m.Unwiped != nil || o.Foreign)`, `o.Foreign`, blank, "TestWhatADiskWas"},
		{"blank: an approval is for one inventory", "pkg/blank/note.go", `n.Foreign, n.Approved = was.Disks[i].Foreign, was.Disks[i].Approved`, `n.Foreign = was.Disks[i].Foreign`, blank, "TestWhatADiskWas"},
		{"blank: two disks of one name are one", "pkg/blank/blank.go", `		case seen[d.Key()] > 1:`, `		case false:`, blank, ""},
		{"blank: a machine without disks is blank", "pkg/blank/blank.go", `len(s.Disks) == 0 && proofs[""] == nil`, `false`, blank, ""},
		{"blank: strangers' data is no hindrance", "pkg/blank/blank.go", `	foreign := Foreign(r, m)`, `	foreign := Foreign(r, m)[:0]`, blank, ""},
		{"blank: a save frees without Decide", "pkg/blank/note.go", `	case v.Held != "":`, `	case false:`, blank, ""},
		{"blank: hardware becomes none", "pkg/blank/note.go", `	case new.Virtual && !old.Virtual && old.Uuid != "":`, `	case false:`, blank, ""},
		{"blank: what was not wiped is anybody's", "pkg/blank/blank.go", `	case v.Clean, m.Unwiped == nil, m.Unwiped.Prepared, to.had(r, m.Unwiped):`, `	case true:`, blank, ""},
		{"blank: two of whom nothing is known are one", "pkg/blank/blank.go", `	return u.User != "" && u.User == t.User`, `	return u.User == t.User`, blank, ""},
		{"blank: a later one of a name is the first", "pkg/blank/blank.go", `	case u.Parted:`, `	case false:`, blank, ""},
		{"blank: what is used in place was prepared", "pkg/blank/note.go", `u.Prepared && m.PoolStatus == api.Joining`, `u.Prepared`, blank, ""},
		{"blank: the installed system's report counts", "pkg/blank/note.go", `env.NetBoots() && !env.OneShot() && m.BootEnv == j.BootEnv`, `env.Name != ""`, blank, ""},
		{"blank: a report of an agent that is not home", "pkg/blank/note.go", ` && m.Boot.Home && m.Boot.Env`, ` && m.Boot.Env`, blank, ""},
		{"blank: a report from before the release", "pkg/blank/note.go", `j.Release != m.Uses || m.Virtual`, `m.Virtual`, blank, ""},
		{"blank: a script changes nothing", "pkg/blank/note.go", `	case anything:
`, `	case 99:
`, blank, ""},
		{"blank: an installer changes nothing", "pkg/blank/note.go", `is != nil && (installer(tx, old)`, `is != nil && false && (installer(tx, old)`, blank, ""},
		{"blank: an installer that nobody was given has written", "pkg/blank/note.go", `m.Boot == nil || !m.Boot.Served && !m.Boot.Home`, `m.Boot == nil`, blank, ""},
		{"blank: a failed wipe is one", "pkg/blank/note.go", `		case d.Error != "":`, `		case false:`, blank, ""},
		{"blank: a discard is a wipe", "pkg/blank/note.go", `	if !slices.Contains([]string{api.MethodOverwrite, api.MethodSanitize, api.MethodCrypto}, d.Method) {`, `	if false && slices.Contains([]string{""}, d.Method) {`, blank, ""},
		{"blank: an exemption without a reason", "pkg/blank/note.go", `	if reason == "" {`, `	if false {`, blank, ""},
		{"blank: a stranger's disk is one of ours", "pkg/blank/note.go", `		case !ours && Exempt(d) == "":`, `		case ours && !ours:`, "pkg/sim/inproc", "TestStrangersDataStays/discovered"},
	}
}

func guards() []Mutation {
	const pkg = "pkg/guard"
	return []Mutation{
		{"guard: protection is not asked of machines", "pkg/guard/guard.go", `	if err != nil || !c.Protected || built(was, what) {`, `	if true || err != nil || !c.Protected || built(was, what) {`, pkg, ""},
		{"guard: protection is not asked of clusters", "pkg/guard/guard.go", `	if err != nil || !was.Protected {`, `	if true || err != nil || !was.Protected {`, pkg, ""},
		{"guard: the caller says what the machine is", "pkg/guard/guard.go", `; err == nil {
		return was`, `; false {
		return was`, pkg, ""},
		{"guard: a built member may be built again", "pkg/guard/guard.go", `	return first && (what`, `	return first || (what`, pkg, ""},
		{"guard: names of disks are compared as written", "pkg/guard/disks.go", `	a, b = bare(a), bare(b)`, ``, pkg, ""},
		{"guard: only the machine's own list counts", "pkg/guard/disks.go", `	for _, g := range m.ProtectedDisks {
		s := source(g.Source)`, `	for _, g := range m.ProtectedDisks[:0] {
		s := source(g.Source)`, pkg, ""},
		{"guard: what is rendered is not looked at", "pkg/guard/actions.go", `		if err := Disk(r, m, t.Serial, t.WWN, effect(d.Op)); err != nil {`, `		if err := Disk(r, m, t.Serial, t.WWN, effect(d.Op)); false {`, pkg, ""},
		{"guard: the agent is not told", "pkg/guard/actions.go", `	if len(missing) == 0 {`, `	if true {`, pkg, ""},
		{"guard: an unknown operation is harmless", "pkg/guard/tasks.go", `	return slices.Contains([]string{"inventory", "verify-blank", "reboot", "poweroff"}, op)`, `	return op != "wipe" && op != "deploy"`, pkg, ""},
		{"guard: a save lets a member go", "pkg/guard/hooks.go", `	case new.Owner != old.Owner || leaves(old.PoolStatus, new.PoolStatus):`, `	case false:`, pkg, ""},
		{"guard: a list that ends the cluster", "pkg/guard/hooks.go", ` && ends(tx, new):`, ` && false:`, pkg, ""},
		{"guard: protection goes with its object", "pkg/guard/remember.go", `Disks, m.ProtectedDisks[i].Gone = inForce(tx, g), true`, `Disks, m.ProtectedDisks[i].Gone = nil, true`, pkg, ""},
		{"guard: a machine goes with its protection", "pkg/guard/hooks.go", `	if list := kept(tx, m); list != "" {`, `	if list := ""; list != "" {`, pkg, ""},
	}
}

func machines() []Mutation {
	const pool, bmc = "pkg/pool", "pkg/bmc"
	return []Mutation{
		{"pool: a release without a workflow is no wipe", "pkg/pool/pool.go", `		a.Workflow = blank.Decommission
	}`, `		a.Workflow = ""
	}`, pool, ""},
		{"pool: who asks is not noted", "pkg/pool/operate.go", `q.Actions, blank.Taker{User: q.User}, func`, `q.Actions, blank.Taker{}, func`, pool, ""},
		{"pool: an owned machine is taken", "pkg/pool/pool.go", `	case m.Owner != "":`, `	case false:`, pool, ""},
		{"pool: a locked machine is taken", "pkg/pool/pool.go", `	case m.Locked:`, `	case false:`, pool, ""},
		{"pool: force takes what is not wiped", "pkg/pool/pool.go", `	case c.uncertain(r, m) != "":`, `	case c.uncertain(r, m) != "" && !c.force:`, pool, ""},
		{"pool: what another has is wiped", "pkg/pool/pool.go", ` || m.Locked || m.Owner != "" {`, ` {`, pool, ""},
		{"pool: what is in use is wiped", "pkg/pool/pool.go", `	if (m.PoolStatus != api.HoldDestroy && m.PoolStatus != api.Free) || `, `	if `, pool, ""},
		{"pool: a pool that wants proof takes what has none", "pkg/pool/actions.go", `	if v := blank.Decide(tx, &there); v.Held != "" {`, `	if v := blank.Decide(tx, &there); false {`, pool, ""},
		{"pool: a release that is over is Free", "pkg/pool/transition.go", `	v := blank.Decide(tx, m)
	if v.Held == "" {
		return api.Machines.Modify(tx, id, func(m *api.Machine) error {
			m.PoolStatus`, `	v := blank.Decide(tx, m)
	if true {
		return api.Machines.Modify(tx, id, func(m *api.Machine) error {
			m.PoolStatus`, pool, ""},
		{"bmc: power is cut before the boot order is taken", "pkg/bmc/action.go", `	if err := s.BootOnce(ctx, d, uefi); err != nil {
		return err
	}
	if state != driver.StateOff {`, `	if state != driver.StateOff {`, bmc, "TestNoPowerCut"},
		{"bmc: held machines stay on", "pkg/bmc/fence.go", `	if err != nil || !m.Fenced() || m.Virtual {`, `	if true || err != nil || !m.Fenced() || m.Virtual {`, bmc, "TestFence"},
		{"bmc: what is done is off", "pkg/bmc/fence.go", `	case a.State == "done" && a.Power == "off":`, `	case a.State == "done":`, bmc, "TestFence"},
		{"bmc: a spared machine is switched off", "pkg/bmc/fence.go", `	case f.Off || f.Spared:`, `	case f.Off:`, bmc, "TestFence"},
		{"bmc: a silent BMC is asked once", "pkg/bmc/fence.go", `	case !now.Before(a.Ended.Add(fenceAgain)):`, `	case false:`, bmc, "TestFence"},
	}
}
