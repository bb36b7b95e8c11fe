package main

// mutations are the decisions that nobody may break unnoticed.
var mutations = []Mutation{
	// These went unnoticed once.
	{"cluster: a quorum of one", "pkg/cluster/natives.go", `quorum := len(members)/2 + 1`, `quorum := 1`, "pkg/cluster", ""},
	{"cluster: the leader of an earlier generation stays", "pkg/cluster/natives.go", `ok && fmt.Sprint(was["Generation"]) == fmt.Sprint(x.c.Generation)`, `ok && was != nil`, "pkg/cluster", ""},
	{"cluster: a live one is forgotten", "pkg/cluster/hook.go", `if n := len(held(tx, c)); n > 0 {`, `if n := len(held(tx, c)); n > 99 {`, "pkg/cluster", ""},
	{"cluster: rolling without a check of health", "pkg/cluster/rolling.go", `if health != "" {`, `if false {`, "pkg/cluster", ""},
	{"cluster: a member's machine is deleted", "pkg/cluster/hook.go", `if old.Owner != "" {`, `if false {`, "pkg/cluster", ""},
	{"diskplan: an empty plan to wipe", "pkg/diskplan/diskplan.go", `	return engine.Result{Done: true}, p.set(ParamWipe, plan)`, `	return engine.Result{Done: true}, p.set(ParamWipe, []Disk{})`, "pkg/sim/inproc", "TestFreeIsProven|TestClusterThereAndBack"},

	{"blank: Free needs no proof", "pkg/blank/blank.go", `	missing := Missing(r, m)
	switch {`, `	missing := []string(nil)
	switch {`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"blank: what was proven before an installation counts", "pkg/blank/blank.go", `		if p.Release != m.Uses {
			continue
		}
		key`, `		key`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"blank: an older inventory counts", "pkg/blank/blank.go", `	case s.Release != m.Uses:`, `	case false:`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"blank: what was wiped need not be read back", "pkg/blank/blank.go", `	case p.Proven.IsZero():`, `	case false:`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"blank: a disk that is gone is forgotten", "pkg/blank/blank.go", `		case d.Absent:`, `		case false:`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"blank: strangers' data is overwritten", "pkg/blank/blank.go", `	if !d.Foreign || d.Approved != "" || Overwrites(r, m) {`, `	if true || !d.Foreign || d.Approved != "" || Overwrites(r, m) {`, "pkg/sim/inproc", "TestStrangersDataStays"},
	{"pool: a release without a workflow is no wipe", "pkg/pool/pool.go", `		a.Workflow = blank.Decommission
	}`, `		a.Workflow = ""
	}`, "pkg/sim/inproc", "TestFreeIsProven"},
	{"pool: a machine of another owner is taken unwiped", "pkg/blank/blank.go", `	case v.Clean, m.Unwiped == nil, m.Unwiped.Owner == owner:`, `	case true:`, "pkg/sim/inproc", "TestFreeIsProven|TestHeldIsRepaired"},
	{"pool: an owned machine is taken", "pkg/pool/pool.go", `	case m.Owner != "":`, `	case false:`, "pkg/pool", ""},
	{"bmc: power is cut before the boot order is taken", "pkg/bmc/action.go", `	if err := s.BootOnce(ctx, d, uefi); err != nil {
		return err
	}
	if state != driver.StateOff {`, `	if state != driver.StateOff {`, "pkg/bmc", "TestNoPowerCut"},
	{"bmc: held machines stay on", "pkg/bmc/fence.go", `	if err != nil || !m.Fenced() || m.Virtual {`, `	if true || err != nil || !m.Fenced() || m.Virtual {`, "pkg/sim/inproc", "TestFreeIsProven|TestHeldIsRepaired|TestDestroyLeaves"},

	{"guard: protection is not asked of machines", "pkg/guard/guard.go", `	if err != nil || !c.Protected || built(was, what) {`, `	if true || err != nil || !c.Protected || built(was, what) {`, "pkg/guard", ""},
	{"guard: protection is not asked of clusters", "pkg/guard/guard.go", `	if err != nil || !was.Protected {`, `	if true || err != nil || !was.Protected {`, "pkg/guard", ""},
	// That every caller asks, a test of package guard reads in the source, which
	// an overlay does not reach.
	{"guard: names of disks are compared as written", "pkg/guard/disks.go", `	a, b = bare(a), bare(b)`, ``, "pkg/guard", ""},
	{"guard: only the machine's own list counts", "pkg/guard/disks.go", `	for _, g := range m.ProtectedDisks {
		s := source(g.Source)`, `	for _, g := range m.ProtectedDisks[:0] {
		s := source(g.Source)`, "pkg/guard", ""},
	{"pxe: an installer goes out again", "pkg/pxe/plan.go", `	case m.Boot.Served || m.Boot.Home:`, `	case false:`, "pkg/pxe", ""},

	{"callout: loopback is called", "pkg/callout/callout.go", `	case a.IsLoopback():`, `	case false:`, "pkg/callout", ""},
	{"claims: a MAC is proof", "pkg/proof/claim.go", `	case here == None:
		return None,`, `	case false:
		return None,`, "pkg/daemon", "TestWhoamiWantsProof|TestRecordsProveNothing"},
	{"claims: a lease is enough for a machine in use", "pkg/proof/proof.go", `return m.PoolStatus == api.InUse || m.WorkOrderMode`, `return false`, "pkg/daemon", "TestMachineInUse"},
	{"claims: an offered address counts as leased", "pkg/proof/proof.go", `l.State == "ACK" && `, ``, "pkg/daemon", "TestWhoamiWantsProof"},
	{"claims: a lease that is over counts", "pkg/proof/proof.go", ` && l.ExpireTime.After(now)`, ``, "pkg/daemon", "TestWhoamiWantsProof"},
	{"claims: the old system comes home in the boot of the BMC", "pkg/proof/proof.go", `	if !owned || !Ordered(r, m) {`, `	if true || !owned || !Ordered(r, m) {`, "pkg/daemon", "TestBootOfTheBMC"},
	{"claims: the BMC's system is not compared", "pkg/proof/claim.go", `booted && !SameSystem(systemOf(r, m), who.System)`, `false`, "pkg/daemon", "TestBootOfTheBMC"},
	{"claims: a proven boot keeps the old token", "pkg/proof/claim.go", `	if k.Strong() {
		return`, `	if false {
		return`, "pkg/daemon", "TestBootOfTheBMC|TestMachineInUse"},
	{"claims: a second claimant is taken", "pkg/proof/claim.go", `	case was.Id != "" && was.Address != who.Address.String() && who.Live:`, `	case false:`, "pkg/daemon", "TestTwoClaimants"},
	{"claims: an admission is good for ever", "pkg/proof/claim.go", `who.Address.String(), now, time.Time{}`, `who.Address.String(), now, was.Admit`, "pkg/daemon", "TestMachineInUse"},
	{"claims: a join token makes many machines", "pkg/auth/ticket.go", ` && !proof.Spent(tx, ticket, m.Uuid)`, ``, "pkg/daemon", "TestJoinToken"},
	{"tickets: whoever has it may use it", "pkg/auth/ticket.go", `t == nil || t.Address != from && !a.moved(i.view, i.g.machine, from, now)`, `t == nil`, "pkg/daemon", "TestTicket"},
	{"tokens: a replaced claim's token goes on", "pkg/auth/ticket.go", `	if held != c.Id {`, `	if false {`, "pkg/daemon", "TestBootOfTheBMC|TestMachineInUse"},
	{"pxe: everybody reads what is rendered for a machine", "pkg/proof/proof.go", `	return k == Lease || Ordered(r, m) || admitted(r, now, m)`, `	return true`, "pkg/daemon", "TestScriptsToJoin"},
	{"pxe: an address leased to another may read it", "pkg/proof/proof.go", `	if foreign != "" {
		return false
	}
	return k`, `	return k`, "pkg/pxe", ""},
	{"agents: a field that is not listed is open", "pkg/auth/fields.go", `	if !slices.Contains(fields, field) {
		return false
	}`, `	if false && !slices.Contains(fields, field) {
		return false
	}`, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: params that steer the server are open", "pkg/auth/fields.go", `deep && !i.steers(unpointed(name))`, `deep`, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: a profile's token steers the server", "pkg/auth/machine.go", ` && i.carries(specific) && i.profileField(action)`, ` && i.carries(specific)`, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: a new machine is declared with every field", "pkg/auth/fields.go", `		return i.openPath(newFields, path)`, `		return true`, "pkg/auth", "TestWhatMachinesMayWrite"},
}
