package main

func claims() []Mutation {
	const pkg = "pkg/proof"
	return []Mutation{
		{"claims: a MAC is proof", "pkg/proof/claim.go", `	case here == None:
		return None,`, `	case false:
		return None,`, pkg, ""},
		{"claims: a lease is enough for a machine in use", "pkg/proof/proof.go", `return m.PoolStatus == api.InUse || m.WorkOrderMode`, `return false`, pkg, ""},
		{"claims: a lease is enough in WorkOrder mode", "pkg/proof/proof.go", `return m.PoolStatus == api.InUse || m.WorkOrderMode`, `return m.PoolStatus == api.InUse`, pkg, ""},
		{"claims: an offered address counts as leased", "pkg/proof/proof.go", `l.State == "ACK" && `, ``, pkg, ""},
		{"claims: a lease that is over counts", "pkg/proof/proof.go", ` && l.ExpireTime.After(now)`, ``, pkg, ""},
		{"claims: who has another's address is the machine", "pkg/proof/claim.go", `	case foreign != "" && (!held ||`, `	case false && (!held ||`, pkg, ""},
		{"claims: a machine that is elsewhere is here", "pkg/proof/proof.go", `			if running(l, now) && l.Addr != addr.String() {`, `			if false {`, pkg, ""},
		{"claims: the old system comes home in the boot of the BMC", "pkg/proof/proof.go", `	return m.Owned() && pending(r, m) && (`, `	return false && pending(r, m) && (`, pkg, ""},
		{"claims: only who was told to boot is awaited", "pkg/proof/proof.go", `(param.HasBMC(r, m) || Ordered(r, m)) && !Shown`, `Ordered(r, m) && !Shown`, pkg, "TestShown"},
		{"claims: the old system says that it is home", "pkg/workflow/home.go", `	if proof.Awaited(r, m) {`, `	if false && proof.Awaited(r, m) {`, "pkg/daemon", "TestTheOldSystem"},
		{"claims: an agent's word ends a BMC's order", "pkg/workflow/home.go", `		if a.State == "working" || !proof.Shown(r, m) {`, `		if false {`, "pkg/workflow", "TestHomeWaits"},
		{"claims: what its BMC does is called back", "pkg/workflow/home.go", `a.State == "working" || `, ``, "pkg/workflow", "TestHomeWaits"},
		{"claims: a warm restart comes from anywhere", "pkg/proof/claim.go", `c.Restart && c.Address == who.Address.String() &&`, `c.Restart &&`, pkg, "TestTake"},
		{"claims: any restart is one that was asked for", "pkg/proof/claim.go", `	return c.Restart && `, `	return `, pkg, "TestTake"},
		{"claims: a token outweighs another's lease", "pkg/proof/claim.go", `(!held || another(r, now, m, who.Address) != ""):`, `!held:`, pkg, "TestTake"},
		{"claims: an ended token cannot ask", "pkg/auth/auth.go", `; ok && r.URL.Path == whoamiPath {`, `; ok && false {`, "pkg/daemon", "TestAdmittedWithAnEndedToken"},
		{"workflow: a boot that was given up stays so", "pkg/workflow/save.go", `goesBack(old, new) && new.Boot != nil && new.Boot.Error != "":`, `false:`, "pkg/pool", "TestReleaseLeavesNoContext"},
		{"claims: a release leaves the context", "pkg/pool/actions.go", `			m.Context = "" //`, `			//`, "pkg/pool", "TestReleaseLeavesNoContext"},
		{"claims: a wipe that the old system tells of", "pkg/blank/note.go", `		proof.Vouched(r, m)`, `		(true || proof.Vouched(r, m))`, "pkg/blank", "TestEvidence"},
		{"claims: a token of before comes from the boot", "pkg/proof/claim.go", ` && (!held || was.from(r, m))`, ``, pkg, "TestShown"},
		{"claims: a join token is good once more", "pkg/proof/claim.go", `	case who.Operator && !again || `, `	case who.Operator || `, pkg, "TestShown"},
		{"claims: an earlier try of the boot is this one", "pkg/proof/claim.go", `	return c.Order == "" || a != nil`, `	return true || a != nil`, pkg, "TestShown"},
		{"claims: a boot that was not seen is one", "pkg/proof/proof.go", ` && a.State == "done" && a.Power == "on"`, ``, pkg, ""},
		{"claims: any boot script is this boot's", "pkg/proof/claim.go", `	return who.Intent == m.Boot.Intent || here`, `	return true || here`, pkg, ""},
		{"claims: an address of one that is had tells enough", "pkg/proof/claim.go", `	if m.Owned() && Tells(systemOf(r, m)) && `, `	if false && Tells(systemOf(r, m)) && `, pkg, ""},
		{"claims: one that is built is anybody's at its address", "pkg/proof/claim.go", `	case m.Owned() && who.Spoke && `, `	case false && `, pkg, ""},
		{"claims: an ended token is used unnoticed", "pkg/auth/auth.go", `		a.noteSuperseded(ctx, err, from, now)
`, ``, "pkg/daemon", "TestBootOfTheBMC"},
		{"claims: the BMC's system is not compared", "pkg/proof/claim.go", `booted && !SameSystem(systemOf(r, m), who.System)`, `false`, pkg, ""},
		{"claims: a system of two is compared", "pkg/proof/claim.go", `		if other.Machine != m.Uuid {
			return ""`, `		if false && other.Machine != m.Uuid {
			return ""`, pkg, ""},
		{"claims: a proven boot keeps the old token", "pkg/proof/claim.go", `	if k.Strong() {
		return`, `	if false {
		return`, pkg, ""},
		{"claims: a second claimant is taken", "pkg/proof/claim.go", `	case was.Id != "" && was.Address != who.Address.String() && who.Live:`, `	case false:`, pkg, ""},
		{"claims: a second comes from one boot", "pkg/proof/claim.go", `	case came && !held && !was.lost(who, now) && `, `	case false && `, pkg, "TestTake"},
		{"claims: a ticket alone stands against the lease", "pkg/proof/claim.go", ` && !(booted && here == Lease && (was.Bare ||`, ` && !(booted && here == Lease && (false ||`, pkg, "TestTake"},
		{"claims: who came has left a token that was used", "pkg/proof/claim.go", ` && !who.Spoke && now.Sub(c.Since) < LiveFor`, ``, pkg, "TestTake"},
		{"claims: an admission is good for ever", "pkg/proof/claim.go", `who.Address.String(), now, time.Time{}`, `who.Address.String(), now, was.Admit`, pkg, ""},
		{"claims: an admission has no end", "pkg/proof/claim.go", `now.Before(c.Admit) && (!awaited`, `!c.Admit.IsZero() && (!awaited`, pkg, ""},
		{"claims: a token that was used is used by another", "pkg/proof/claim.go", `t != nil && (t.Address != who.Address.String() || t.Claim != was.Id)`, `false && t != nil`, pkg, ""},
		{"claims: an ended token is held", "pkg/proof/claim.go", `was.Id != "" && who.Held == was.Id || again`, `was.Id != "" && who.Held != "" || again`, pkg, ""},
		{"claims: a join token makes many machines", "pkg/proof/claim.go", `		if c.Machine != machine {
			return true`, `		if false && c.Machine != machine {
			return true`, pkg, ""},
		{"claims: everybody reads what is rendered for a machine", "pkg/proof/proof.go", `	return k == Lease || admitted(r, now, m)`, `	return true || k == Lease`, pkg, ""},
		{"claims: what is ordered only may be read", "pkg/proof/proof.go", `Seen(r, m) && !ours(r, addr)`, `Ordered(r, m) && !ours(r, addr)`, pkg, "TestMayRead"},
		{"claims: no lease is wanted in a subnet of ours", "pkg/proof/proof.go", `Seen(r, m) && !ours(r, addr)`, `Seen(r, m)`, pkg, "TestMayRead"},
		{"claims: that a ticket alone showed the boot is not noted", "pkg/proof/claim.go", `c.Bare = action(r, m).Uuid, here != Lease`, `c.Bare = action(r, m).Uuid, here == "."`, pkg, "TestWhatAClaimIsFor"},
		{"claims: who came by a ticket is replaced untold", "pkg/proof/claim.go", `	if k == BMC && was.Id != next.Id && was.Bare && was.from(tx, m) {`, `	if false {`, pkg, "TestWhatAClaimIsFor"},
		{"claims: during which boot one came is not noted", "pkg/proof/claim.go", `			next.During = m.Boot.Intent
`, `			_ = m.Boot.Intent
`, pkg, "TestWhatAClaimIsFor"},
		{"claims: a reply to another address was lost", "pkg/proof/claim.go", `	return c.Address == who.Address.String() && c.System == who.System &&`, `	return c.System == who.System &&`, pkg, "TestTake"},
		{"claims: a reply is lost for ever", "pkg/proof/claim.go", ` && now.Sub(c.Since) < LiveFor`, ` && !now.IsZero()`, pkg, "TestTake"},
		{"claims: one without hardware is booted anew", "pkg/proof/proof.go", ` || m.Virtual {
		return false`, ` {
		return false`, pkg, "TestRetaken"},
		{"claims: who is home is awaited", "pkg/proof/proof.go", ` || m.Boot.Home || m.Boot.Env`, ` || m.Boot.Env`, pkg, "TestAwaitedBoots"},
		{"claims: a boot that is not wanted any more is awaited", "pkg/proof/proof.go", ` || m.Boot.Env != m.BootEnv {`, ` {`, pkg, "TestAwaitedBoots"},
		{"claims: a boot from the disk is awaited", "pkg/proof/proof.go", `	return err == nil && env.NetBoots()
`, `	return err == nil && env != nil
`, pkg, "TestAwaitedBoots"},
		{"claims: the first order for a boot counts", "pkg/proof/proof.go", `a.Created.After(last.Created)`, `a.Created.Before(last.Created)`, pkg, "TestAwaitedBoots"},
		{"claims: an order for an earlier boot counts", "pkg/proof/proof.go", `a.Intent == m.Boot.Intent && a.Intent != ""`, `a.Intent != ""`, pkg, "TestAwaitedBoots"},
		{"claims: a subnet that is off gives leases", "pkg/proof/proof.go", `s.Enabled && !s.Proxy`, `!s.Proxy`, pkg, "TestMayRead"},
		{"claims: whom nobody had is not vouched for", "pkg/proof/proof.go", `	return !m.Owned() || m.PoolStatus == api.Building ||`, `	return m.PoolStatus == api.Building ||`, pkg, "TestVouched"},
		{"claims: one that is built is not vouched for", "pkg/proof/proof.go", `m.PoolStatus == api.Building || !param.HasBMC`, `!param.HasBMC`, pkg, "TestVouched"},
		{"claims: one without a BMC is not vouched for", "pkg/proof/proof.go", `m.PoolStatus == api.Building || !param.HasBMC(r, m) ||`, `m.PoolStatus == api.Building ||`, pkg, "TestVouched"},
		{"claims: what is taken back goes on where it is", "pkg/workflow/save.go", `	case proof.Retaken(tx, old, new), goesBack`, `	case goesBack`, "pkg/workflow", "TestRetaken"},
		{"claims: an order for an earlier boot is waited for", "pkg/workflow/home.go", `a.Intent == m.Boot.Intent && !yield(a)`, `!yield(a)`, "pkg/workflow", "TestHomeWaits"},
		{"claims: one gets the token of who has followed", "pkg/auth/issue.go", `	if i.Machine() == machine && i.g.claim != "" {`, `	if false {`, "pkg/auth", "TestOnesOwnTokens"},
		{"claims: a job of the server ends with the agent's claim", "pkg/auth/issue.go", `	if job.Context == "" { // else`, `	if true { // else`, "pkg/auth", "TestJobsOnTheServer"},
		{"claims: a join token for any takes what somebody has", "pkg/auth/ticket.go", `by.Key == "" && !m.Owned()) &&`, `by.Key == "") &&`, "pkg/auth", "TestJoinTokensOfNoMachine"},
		{"claims: a join token lives for ever", "pkg/auth/ticket.go", `	if ttl > MaxJoin {`, `	if false {`, "pkg/auth", "TestJoinTokensOfNoMachine"},
		{"claims: an order of another machine is read", "pkg/auth/machine.go", `	return err == nil && o.Machine == i.g.machine`, `	return err == nil && o != nil`, "pkg/auth", "TestWhoMay"},
		{"claims: a job of another machine is read", "pkg/auth/machine.go", `err != nil || j.Machine != i.g.machine {`, `err != nil || j == nil {`, "pkg/auth", "TestWhoMay"},
		{"claims: a job is made for another machine", "pkg/auth/machine.go", `		return specific == i.g.machine
	}`, `		return specific != ""
	}`, "pkg/auth", "TestWhoMay"},
		{"claims: scripts of a job that is over", "pkg/daemon/jobs.go", `	if by.Machine() != "" && j.Ended() {`, `	if false {`, "pkg/daemon", "TestActionsAre"},
		{"claims: who is not awaited gets scripts", "pkg/daemon/jobs.go", `	if proof.Awaited(r, m) {`, `	if false && proof.Awaited(r, m) {`, "pkg/daemon", "TestActionsAre"},
		{"claims: a join token is good again when its machine is deleted", "pkg/proof/claim.go", `		if len(used) == 0 {`, `		if true {`, "pkg/daemon", "TestJoinToken"},
		{"claims: a join token is asked for nothing", "pkg/auth/ticket.go", ` && !proof.Spent(tx, ticket, m.Uuid)`, ``, "pkg/daemon", "TestJoinToken"},
	}
}

func rights() []Mutation {
	const pkg = "pkg/auth"
	return []Mutation{
		{"tickets: whoever has it may use it", "pkg/auth/ticket.go", `t == nil || t.Address != from && !a.moved(i.view, i.g.machine, from, now)`, `t == nil`, pkg, "TestTickets"},
		{"tickets: they wait for ever", "pkg/auth/ticket.go", `		if !now.Before(p.UseBy) {`, `		if false {`, pkg, "TestTickets"},
		{"tickets: they outlive their agent", "pkg/auth/ticket.go", `now.Sub(last) > p.Lapse`, `false`, pkg, "TestTickets"},
		{"tickets: who cannot be the machine uses one", "pkg/auth/ticket.go", `	if refusal != "" {
		return Identity{}, fmt`, `	if false {
		return Identity{}, fmt`, pkg, "TestTickets"},
		{"tickets: an unused one speaks for the machine", "pkg/auth/identity.go", `		if i.unclaimed() {
			return bootMay(scope, action)
		}
`, ``, pkg, "TestUnusedTicket"},
		{"tickets: an unused one opens a profile", "pkg/auth/identity.go", `		return !i.unclaimed() && i.profileMay`, `		return i.profileMay`, pkg, "TestProfileTickets"},
		{"tokens: a replaced claim's token goes on", "pkg/auth/ticket.go", `	if held != c.Id {`, `	if false {`, pkg, "TestTickets"},
		{"agents: a field that is not listed is open", "pkg/auth/fields.go", `	if !slices.Contains(fields, field) {
		return false
	}`, `	if false && !slices.Contains(fields, field) {
		return false
	}`, pkg, "TestWhatMachinesMayWrite"},
		{"agents: params that steer the server are open", "pkg/auth/fields.go", `deep && !i.steers(unpointed(name))`, `deep && name != "."`, pkg, "TestWhatMachinesMayWrite"},
		{"agents: an escaped name is another", "pkg/auth/fields.go", `!i.steers(unpointed(name))`, `!i.steers(name)`, pkg, "TestWhatMachinesMayWrite"},
		{"agents: a profile's token steers the server", "pkg/auth/machine.go", ` && i.carries(specific) && i.profileField(action)`, ` && i.carries(specific)`, pkg, "TestWhatMachinesMayWrite"},
		{"agents: a profile that it carries no more", "pkg/auth/machine.go", `i.covered(scope, action, specific) && i.carries(specific)`, `i.covered(scope, action, specific)`, pkg, "TestWhoMay"},
		{"agents: a new machine is declared with every field", "pkg/auth/fields.go", `		return i.openPath(newFields, path)`, `		return true`, pkg, "TestWhatMachinesMayWrite"},
		{"agents: another machine's object", "pkg/auth/machine.go", `		return specific == i.g.machine && (reads || i.mayWrite(action))`, `		return reads || i.mayWrite(action)`, pkg, "TestWhoMay"},
		{"agents: the unknown read who has run a job", "pkg/auth/machine.go", `	return err == nil && m.CurrentJob == ""`, `	return err == nil && m != nil`, pkg, "TestWhoMay"},
		{"agents: a job's token outlives it", "pkg/auth/grant.go", `err != nil || j.Ended() || !j.Current`, `err != nil`, pkg, "TestRevocation"},
		{"agents: an address of another is reserved", "pkg/auth/reserve.go", `	if k, _ := proof.At(tx, tx.Now(), m, addr); k != proof.Lease {`, `	if k, _ := proof.At(tx, tx.Now(), m, addr); k == "." {`, "pkg/daemon", "TestMachinesReserve"},
		{"agents: an address is reserved for another", "pkg/auth/reserve.go", `!ok || !slices.Contains(m.HardwareAddrs, mac)`, `!ok || len(mac) > 99 && slices.Contains(m.HardwareAddrs, mac)`, "pkg/daemon", "TestMachinesReserve"},
		{"agents: a param that another names is open", "pkg/auth/pointers.go", `	if i.g.pointers.at(i.view)[param] {
		return true
	}`, ``, "pkg/daemon", "TestWhatAParamNames"},
		{"users: a pool does without proof", "pkg/auth/evidence.go", `	if !weaker || i.Allow`, `	if true || !weaker || i.Allow`, pkg, "TestWhoMayDoWithoutProof"},
		{"users: what is not wiped is forgotten", "pkg/auth/evidence.go", `was.Virtual || keeps || i.Allow`, `was.Virtual || keeps || true || i.Allow`, pkg, "TestWhoMayLoseWhatIsNotWiped"},
		{"users: what is not wiped loses its MAC", "pkg/auth/evidence.go", `	keeps := is != nil && is.Uses`, `	keeps := is != nil || is != nil && is.Uses`, pkg, "TestWhoMayLoseWhatIsNotWiped"},
		{"users: a strict pool is deleted", "pkg/auth/evidence.go", `was.ReleaseProof == api.ReleaseRequired || was.ForeignDisks == api.ForeignRefuse`, `false`, pkg, "TestWhoMayDoWithoutProof"},
		{"users: a preference does without proof", "pkg/auth/evidence.go", `	return pref == api.PrefReleaseProof || pref == api.PrefForeignDisks`, `	return pref == ""`, pkg, "TestWhoMayDoWithoutProof"},
		{"users: a replaced claimant reports a wipe", "pkg/auth/evidence.go", `		if claimNow(r, is.Machine) != i.g.claim {`, `		if false {`, pkg, "TestReportsCome"},
		{"users: anybody reports a wipe", "pkg/auth/evidence.go", `		case i.Machine() != is.Machine:`, `		case false:`, pkg, "TestReportsCome|TestWhoMayDo"},
		{"users: a role of more than they have", "pkg/auth/guard.go", `	if len(claims) == 0 || i.Contains(claims) {`, `	if true || len(claims) == 0 || i.Contains(claims) {`, pkg, "TestGiving"},
		{"users: a role that is not there yet", "pkg/auth/guard.go", `		if name != Superuser && !api.Roles.Has(tx, name) {`, `		if false {`, pkg, "TestGiving"},
		{"users: another's password gives their roles", "pkg/auth/guard.go", `ok && (was.PasswordHash == is.PasswordHash || `, `ok && (true || `, pkg, "TestGiving"},
		{"users: where a secret goes", "pkg/auth/routes.go", `func (i Identity) mayRoute(c resource.Change) error {
	if i.g == nil `, `func (i Identity) mayRoute(c resource.Change) error {
	if true || i.g == nil `, pkg, "TestWhoMaySendSecrets"},
		{"users: whose password goes to an address", "pkg/auth/routes.go", `	if i.setsSecrets(src.Kind, src.Key, "updateSecure") {`, `	if true {`, pkg, "TestWhoMayPairBMCs"},
		{"users: an address in a profile", "pkg/auth/routes.go", `		if !i.setsSecrets(c.Kind, "*", "updateSecure") {`, `		if false {`, pkg, "TestWhoMayPairBMCs"},
		{"users: a token of another with more", "pkg/auth/issue.go", `	if by.g != nil && by.Key != name && (`, `	if false && by.g != nil && by.Key != name && (`, pkg, "TestNarrow"},
		{"users: more comes out of a limited token", "pkg/auth/issue.go", `	if inherits && len(p.Roles) == 0 && len(p.Claims) == 0 {`, `	if false {`, pkg, "TestNarrow"},
		{"users: a password of who may more", "pkg/auth/issue.go", `	if err := a.mayBe(by, u); err != nil {`, `	if err := a.mayBe(by, u); false {`, pkg, "TestNarrow"},
		{"users: passwords are guessed", "pkg/auth/limit.go", `w == nil || now.Sub(w.start) >= time.Minute || w.n < l.max`, `w == nil || w.n >= 0`, pkg, "TestLogin"},
	}
}

func boots() []Mutation {
	const pxe, dhcp = "pkg/pxe", "pkg/dhcp"
	return []Mutation{
		{"pxe: an installer goes out again", "pkg/pxe/plan.go", `	case m.Boot.Served || m.Boot.Home:`, `	case false:`, pxe, ""},
		{"pxe: an installer for who asked for none", "pkg/pxe/plan.go", `	case m.Boot == nil || m.Boot.Intent == "" || m.Boot.Env != env:`, `	case m.Boot == nil:`, pxe, ""},
		{"pxe: two get one installer", "pkg/pxe/serve.go", ` || m.Boot.Served || m.Boot.Env`, ` || m.Boot.Env`, pxe, ""},
		{"pxe: an installer for a protected member", "pkg/pxe/plan.go", `		if err := guard.Destroy(r, p.machine, guard.Install); err != nil {`, `		if err := guard.Destroy(r, p.machine, guard.Install); false {`, pxe, ""},
		{"pxe: protected since it was planned", "pkg/pxe/serve.go", `			if guard.Destroy(tx, m, guard.Install) != nil {`, `			if false && guard.Destroy(tx, m, guard.Install) != nil {`, pxe, ""},
		{"pxe: a held machine boots from the network", "pkg/pxe/plan.go", `	if p.machine != nil && p.machine.Fenced() {`, `	if false {`, pxe, "TestHeldMachines"},
		{"pxe: a script for who is not the machine", "pkg/pxe/resolve.go", `	if !s.mayRead(r, p.machine, q.Client) {
		p = unproven(p)
	}`, ``, pxe, "TestWhoReads"},
		{"pxe: a script for who is another", "pkg/pxe/resolve.go", `proof.Foreign(r, s.cfg.DB.Now(), p.machine, q.Client)`, `false && proof.Foreign(r, s.cfg.DB.Now(), p.machine, q.Client)`, pxe, "TestWhoReads"},
		{"pxe: a template of another machine", "pkg/pxe/template.go", `m == nil || !s.mayRead(r, m, q.Client)`, `m == nil`, pxe, "TestWhoReads"},
		{"pxe: an address leased to another may read it", "pkg/proof/proof.go", `	if foreign != "" {
		return false
	}
	return k`, `	if foreign == "." {
		return false
	}
	return k`, "pkg/proof", ""},
		{"pxe: a path leads out of the tree", "pkg/pxe/resolve.go", `p == "" || p[0] == '/' || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../")`, `p == ""`, pxe, ""},
		{"dhcp: a held machine's address goes to another", "pkg/dhcp/holder.go", `	return m != nil && m.Fenced() && (`, `	return false && m.Fenced() && (`, dhcp, "TestHeldMachines"},
		{"dhcp: held and off keeps its address for ever", "pkg/dhcp/holder.go", `(m.Fence == nil || !m.Fence.Off)`, `(true || !m.Fence.Off)`, dhcp, "TestHeldMachines"},
		{"dhcp: an address of two", "pkg/dhcp/holder.go", `(h.live(l) || h.fenced(api.Machines.One(h.tx, api.ByMAC, l.Token)))`, `h.fenced(api.Machines.One(h.tx, api.ByMAC, l.Token))`, dhcp, ""},
		{"dhcp: a reserved address for another", "pkg/dhcp/holder.go", `err == nil && r.Token != h.q.MAC {
		return true`, `err == nil && r.Token != h.q.MAC {
		return false`, dhcp, ""},
	}
}

func calls() []Mutation {
	const out, flexi, render = "pkg/callout", "pkg/flexi", "pkg/render"
	return []Mutation{
		{"callout: loopback is called", "pkg/callout/callout.go", `	case a.IsLoopback():`, `	case false:`, out, ""},
		{"callout: link-local is called", "pkg/callout/callout.go", `	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), siteLocal.Contains(a):`, `	case a.IsLinkLocalMulticast():`, out, ""},
		{"callout: the server itself is called", "pkg/callout/callout.go", `		if slices.Contains(p.own(), a) {`, `		if false {`, out, ""},
		{"callout: an address within another", "pkg/callout/callout.go", `	for _, a := range meant(addr) {`, `	for _, a := range meant(addr)[:1] {`, out, ""},
		{"callout: a redirect goes elsewhere", "pkg/callout/http.go", `, to.URL.Host != from.Host:`, `, from.Host == ".":`, out, ""},
		{"callout: a redirect goes to plain text", "pkg/callout/http.go", `	case via[len(via)-1].URL.Scheme == "https" && to.URL.Scheme != "https":`, `	case false:`, out, ""},
		{"callout: a name is checked and not what is connected to", "pkg/callout/callout.go", `		return p.Check(to.Addr())`, `		return (&Policy{Allow: []netip.Prefix{netip.PrefixFrom(to.Addr(), 0)}}).Check(to.Addr())`, out, ""},
		{"callbacks: the object's own get credentials", "pkg/flexi/callerauth.go", `	if c.own {`, `	if false {`, flexi, ""},
		{"callbacks: they are sent for ever", "pkg/flexi/caller.go", `	if t.again && o.Tries <= t.req.Retry {`, `	if t.again {`, flexi, ""},
		{"classifications: a text that is not wanted any more", "pkg/flexi/rendering.go", ` && o.Texts[i].same(f) {`, ` {`, flexi, "TestRenderingSettles"},
		{"rendering: params open secrets", "pkg/render/params.go", `	if d.s.closed > 0 {
		r.Vault = nil
	}
`, ``, render, ""},
		{"rendering: it has no end", "pkg/render/budget.go", `	switch err := b.ctx.Err(); {
	case err == nil:`, `	switch err := b.ctx.Err(); {
	case true:`, render, "TestRenderingEnds"},
		{"rendering: memory without end", "pkg/render/budget.go", `	if b.made -= n; b.made < 0 {`, `	if b.made -= n; false {`, render, "TestNothingTakes"},
		{"rendering: keys without end", "pkg/render/budget.go", `	if b.costly--; b.costly < 0 {`, `	if b.costly--; false {`, render, "TestNothingTakes"},
		{"workflow: a list without end", "pkg/workflow/expand.go", `	if len(x.out) > maxExpanded {`, `	if false {`, "pkg/workflow", "TestListsAreBounded"},
		{"workflow: stages without end", "pkg/workflow/expand.go", `if x.out = append(x.out, "stage:"+s); len(x.out) > maxExpanded {`, `if x.out = append(x.out, "stage:"+s); false {`, "pkg/workflow", "TestListsAreBounded"},
	}
}

func directories() []Mutation {
	const pkg = "pkg/daemon"
	return []Mutation{
		{"datadir: a missing part is made anew", "pkg/datadir/survey.go", `		case f.fault != "":
			faults = append(faults, Fault{p, d.Path(p), f.fault})
`, ``, pkg, "TestAStartWithAPart"},
		{"datadir: another server's part is used", "pkg/datadir/survey.go", `		case f.owner != "" && f.owner != d.id.Server:
			faults`, `		case false:
			faults`, pkg, "TestAStartWithAPart"},
		{"datadir: a first start anywhere", "pkg/datadir/survey.go", `	if len(names) > 0 {`, `	if false {`, pkg, "TestOnlyAnEmptyDirectory"},
		{"datadir: an older database is used", "pkg/datadir/join.go", `case uint64(rev) < d.id.Rev &&`, `case false &&`, pkg, "TestAnOlderDatabase"},
		{"datadir: what is not named is deleted at once", "pkg/daemon/unnamed.go", `		if u.Waited+waited >= unnamedFor {`, `		if true {`, pkg, "TestUnnamedFilesWait"},
		{"restored: it writes", "pkg/daemon/restored.go", `	if r := g.closed.Load(); r != nil && !g.open.Load() {`, `	if r := g.closed.Load(); false && r != nil {`, pkg, "TestRestored|TestBackup"},
		{"database: a log of another time", "pkg/store/sqlite/sum.go", `case newest > rev || sum.Valid && uint64(sum.Int64) != is:`, `case newest > rev || false && uint64(sum.Int64) != is:`, "pkg/store/sqlite", "TestMixedFiles"},
		{"database: a log is laid over a file that is refused", "pkg/store/sqlite/sqlite.go", `		if _, _, err = Peek(ctx, path, "", ""); err != nil {`, `		if _, _, err = Peek(ctx, path, "", ""); false {`, "pkg/store/sqlite", "TestMixedFiles"},
		{"backup: a link leads out", "pkg/datadir/entries.go", `case h.Typeflag == tar.TypeSymlink && leadsOut(h.Name, h.Linkname):`, `case false:`, "pkg/datadir", ""},
		{"backup: anybody's is taken", "pkg/datadir/sign.go", `	case r.cfg.SignedBy == "":`, `	case r.cfg.SignedBy == "":
		return nil`, "pkg/datadir", "TestRestoreWantsTheSigner"},
		{"users: the last who can log in is shut out", "pkg/auth/hooks.go", `if tx.Loading() || !opens(was) || opens(is) {`, `if true || tx.Loading() || !opens(was) || opens(is) {`, "pkg/auth", "TestNobodyIsLockedOut"},
		{"restored: what was Free stays so", "pkg/restored/restored.go", `	if !kept(m) {`, `	if false {`, "pkg/restored", ""},
		{"restored: what was going back goes on", "pkg/restored/restored.go", `	case api.InUse, api.Building,`, `	case api.Destroying, api.InUse, api.Building,`, "pkg/restored", ""},
		{"restored: whose data a held machine has is forgotten", "pkg/restored/restored.go", `		if m.Unwiped != nil { // who had`, `		if false { // who had`, "pkg/restored", ""},
		{"datadir: a directory of others is taken", "pkg/datadir/datadir.go", `	if err := Ours(cfg); err != nil {`, `	if err := Ours(cfg); err != nil && false {`, "pkg/daemon", "OthersIsLeft"},
		{"keeper: a directory of others is given away", "pkg/keeper/server.go", `	if err := ours(dir); err != nil {`, `	if err := ours(dir); err != nil && false {`, "pkg/keeper", "OthersIsLeft"},
		{"datadir: a loss is accepted of what is whole", "pkg/datadir/identity.go", `		if !Has(refused, p) && !id.accepted(p) {`, `		if false {`, "pkg/daemon", "NothingLost"},
		{"restored: what was under way goes on", "pkg/restored/aside.go", `	if !unfinished && !booting {`, `	if true || !unfinished && !booting {`, "pkg/restored", ""},
		{"restored: the BMC is told what it was", "pkg/restored/aside.go", `			if a.Over() {
				continue
			}`, `			if true || a.Over() {
				continue
			}`, "pkg/restored", ""},
		{"restored: a machine is booted out of what it runs", "pkg/restored/restored.go", `		m.Boot = &api.BootState{Env: env, Since: tx.Now(), Home: true}`, `		m.Boot = &api.BootState{Env: env, Since: tx.Now()}`, "pkg/restored", ""},
		{"restored: an agent is told before it has said", "pkg/restored/restored.go", `	return a != nil && a.Pending
`, `	return a != nil && a.Pending && a.Machine == ""
`, "pkg/restored", ""},
		{"keeper: a cell keeps capabilities", "pkg/keeper/stage.go", `	for c := range uintptr(unix.CAP_LAST_CAP + 1) {`, `	for c := range uintptr(0) {`, "pkg/keeper", ""},
		{"keeper: the data directory is seen", "pkg/keeper/mounts.go", `	for _, dir := range p.Hide {`, `	for _, dir := range p.Hide[:0] {`, "pkg/keeper", ""},
		{"keeper: system calls are not filtered", "pkg/keeper/stage.go", `	return restrict()`, `	return nil`, "pkg/keeper", ""},
		{"keeper: links are followed", "pkg/keeper/own.go", `unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC`, `unix.O_PATH|unix.O_CLOEXEC`, "pkg/keeper", "TestOwnFollowsNothing"},
	}
}
