package main

// mutations are the decisions that nobody may break unnoticed.
var mutations = []Mutation{
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
	}`, ``, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: params that steer the server are open", "pkg/auth/fields.go", `deep && !api.Steers(unpointed(name))`, `deep`, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: a profile's token steers the server", "pkg/auth/machine.go", ` && i.carries(specific) && profileField(action)`, ` && i.carries(specific)`, "pkg/auth", "TestWhatMachinesMayWrite"},
	{"agents: a new machine is declared with every field", "pkg/auth/fields.go", `		return openPath(newFields, path)`, `		return true`, "pkg/auth", "TestWhatMachinesMayWrite"},
}
