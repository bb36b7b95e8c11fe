package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

const (
	// LiveFor is how long after its last request a claimant still counts as being
	// there.
	LiveFor = 5 * time.Minute
	// TicketUse is how long a ticket may wait for its first use.
	TicketUse = 10 * time.Minute
	// maxTickets bounds those that are remembered for one claim; the oldest goes.
	maxTickets = 16
)

// Claim is who speaks for a machine: its tokens carry the Id, and end when that
// changes.
type Claim struct {
	Machine string // uuid
	Id      string
	Proof   Kind
	Address string    // where the claimant calls from
	Intent  string    `json:",omitempty"` // of the boot that it came from, or as which an operator let it in
	Order   string    `json:",omitempty"` // BMCAction of that boot; none if it was an operator
	Bare    bool      `json:",omitempty"` // a ticket alone showed that, no lease
	During  string    `json:",omitempty"` // of the boot that was ordered last when it came
	System  string    `json:",omitempty"` // system UUID that it told
	Since   time.Time // of the Id
	Seen    time.Time // a sign of life; not more than Flush behind
	Admit   time.Time // until then an operator lets the next claimant in
	Said    time.Time // when the operator said so
	Restart bool      `json:",omitempty"` // a task has ended that wants the machine restarted
	Used    []Ticket  `json:",omitempty"` // that were used, newest last
	Rival   *Rival    `json:",omitempty"` // who else claimed to be the machine
}

const byTicket = "Ticket"

// Spent says whether a ticket was used for another machine.
func Spent(r resource.Reader, ticket, machine string) bool {
	for c := range Claims.By(r, byTicket, ticket) {
		if c.Machine != machine {
			return true
		}
	}
	return false
}

// Ticket is a token that was sent over plain HTTP, from its first use on.
type Ticket struct {
	Id      string
	Address string // who used it first; nobody else may
	Claim   string // Claim.Id that it was used for, with which it ends
	Join    bool   `json:",omitempty"` // it is an operator's
}

// Rival is somebody who was refused while another speaks for the machine.
type Rival struct {
	Address string
	Why     string
	Seen    time.Time
}

// Claims by machine.
var Claims = &resource.Kind[Claim]{
	Name: "machine_claims", Private: true, Key: func(c *Claim) string { return c.Machine },
	Indexes: []resource.Index[Claim]{{Name: byTicket, Of: func(c *Claim) []string {
		out := make([]string, len(c.Used))
		for i, t := range c.Used {
			out[i] = t.Id
		}
		return out
	}}},
	Engine: []string{"Machine", "Id", "Proof", "Address", "Intent", "Order", "Bare", "During", "System", "Since", "Seen", "Admit", "Said", "Restart", "Used", "Rival"},
}

// Claimant is what a caller shows.
type Claimant struct {
	Address  netip.Addr
	Held     string // Claim.Id that its token carries
	Ticket   string // id of the ticket that it came with
	Intent   string // of the boot that the ticket was made for
	Operator bool   // its token is an operator's, for this machine
	System   string // system UUID that it tells
	Live     bool   // the present claimant has been heard of within LiveFor
	Spoke    bool   // and has used its token: it has the reply that gave it
}

// Take decides whether the claimant speaks for the machine from now on. If not,
// refusal says why and what to do; the attempt is noted either way, so commit
// the update. It is idempotent for the same claimant.
func Take(tx *resource.Tx, now time.Time, m *api.Machine, who Claimant) (c *Claim, refusal string, err error) {
	was, err := Claims.Get(tx, m.Uuid)
	if err != nil {
		was = &Claim{Machine: m.Uuid}
	}
	k, why := decide(tx, now, m, was, who)
	if why != "" {
		return nil, why, rivals(tx, now, m, was, who, why)
	}
	next := *was
	next.Used, next.Rival = slices.Clone(was.Used), nil
	if !same(was, who, k) {
		next = Claim{Machine: m.Uuid, Id: uuid.NewString(), Since: now, Used: next.Used}
		if m.Boot != nil {
			next.During = m.Boot.Intent
		}
	}
	if k != None && !next.Proof.Strong() || k.Strong() { // else the token that it holds says more
		next.Proof = k
	}
	next.came(tx, now, m, k, who)
	next.Address, next.Seen, next.Admit = who.Address.String(), now, time.Time{}
	if who.System != "" {
		next.System = who.System
	}
	next.use(who)
	if err := Claims.Put(tx, &next); err != nil {
		return nil, "", err
	}
	if k == BMC && was.Id != next.Id && was.Bare && was.from(tx, m) {
		return &next, "", two(tx, now, m, was, fmt.Sprintf("%s, which has the machine's lease, came from the same boot and is believed", next.Address))
	}
	return &next, "", nil
}

// came notes which boot the claim is for, if that was shown or said.
func (c *Claim) came(r resource.Reader, now time.Time, m *api.Machine, k Kind, who Claimant) {
	if !k.Strong() || m.Boot == nil {
		return
	}
	c.Intent, c.Order, c.Bare = m.Boot.Intent, "", false
	if k == BMC {
		here, _ := At(r, now, m, who.Address)
		c.Order, c.Bare = action(r, m).Uuid, here != Lease
	}
}

// from says whether the claim is for the newest try of the boot that was wanted
// last.
func (c *Claim) from(r resource.Reader, m *api.Machine) bool {
	if m.Boot == nil || m.Boot.Intent == "" || c.Intent != m.Boot.Intent {
		return false
	}
	a := action(r, m)
	return c.Order == "" || a != nil && a.Uuid == c.Order
}

// use notes a ticket. The oldest go; an operator's does not, for then it would
// be good once more.
func (c *Claim) use(who Claimant) {
	if who.Ticket == "" || c.Find(who.Ticket) != nil {
		return
	}
	c.Used = append(c.Used, Ticket{Id: who.Ticket, Address: who.Address.String(), Claim: c.Id, Join: who.Operator})
	for len(c.Used) > maxTickets {
		i := slices.IndexFunc(c.Used, func(t Ticket) bool { return !t.Join })
		if i < 0 {
			return
		}
		c.Used = slices.Delete(c.Used, i, i+1)
	}
}

// decide finds what the claimant proves, or why it must wait.
func decide(r resource.Reader, now time.Time, m *api.Machine, was *Claim, who Claimant) (Kind, string) {
	here, foreign := At(r, now, m, who.Address)
	again := was.Id != "" && who.Ticket != "" && was.used(who)
	held := was.Id != "" && who.Held == was.Id || again
	// A token of before was not left by the power: who holds it was there before.
	came := m.Owned() && was.Order != "" && was.from(r, m)
	booted := (came || Seen(r, m)) && fromBoot(r, m, who, here) && (!held || was.from(r, m))
	awaited := Awaited(r, m)
	switch t := was.Find(who.Ticket); {
	case t != nil && (t.Address != who.Address.String() || t.Claim != was.Id):
		return None, fmt.Sprintf("this token was used already, by %s: get a new one", t.Address)
	case who.Operator && !again || was.admits(m, now, awaited, held) && another(r, now, m, who.Address) == "":
		return Operator, ""
	case foreign != "" && (!held || another(r, now, m, who.Address) != ""):
		return None, fmt.Sprintf("%s cannot be %s: %s", who.Address, m.Name, foreign)
	case awaited && !booted && !held:
		return None, fmt.Sprintf("%s is being booted by its BMC, and this is not the system that comes from that boot: wait for it, or admit the next one (drpcli machines admit %s)", m.Name, m.Name)
	case booted && !SameSystem(systemOf(r, m), who.System):
		return None, fmt.Sprintf("the BMC of %s is in system %s, and this is system %s: correct param ipmi/address, or admit this one (drpcli machines admit %s)", m.Name, systemOf(r, m), who.System, m.Name)
	case came && !held && !was.lost(who, now) && !(booted && here == Lease && (was.Bare || was.restarts(who))):
		return None, fmt.Sprintf("%s speaks for %s since this boot, and one boot brings one system: boot it again, or admit the next one (drpcli machines admit %s)", was.Address, m.Name, m.Name)
	case booted && !came && !held && was.Intent == m.Boot.Intent && was.Address != who.Address.String() && who.Live:
		return None, fmt.Sprintf("%s speaks for %s since this boot, and is there", was.Address, m.Name)
	case booted:
		return BMC, ""
	case held:
		return here, ""
	case m.Owned() && who.Spoke && !was.used(who) && m.Boot != nil && was.During == m.Boot.Intent:
		return None, fmt.Sprintf("%s speaks for %s since its last boot, and is there: wait until it is silent, or admit the next one (drpcli machines admit %s)", was.Address, m.Name, m.Name)
	case Needs(m):
		return None, fmt.Sprintf("%s is in use, and nothing shows that %s is this machine: boot it by its BMC, or admit the next one (drpcli machines admit %s)", m.Name, who.Address, m.Name)
	case here == None:
		return None, fmt.Sprintf("nothing shows that %s is %s: no address is leased to it here and no BMC has booted it; set its BMC, or admit the next one (drpcli machines admit %s)", who.Address, m.Name, m.Name)
	case was.Id != "" && was.Address != who.Address.String() && who.Live:
		return None, fmt.Sprintf("%s speaks for %s, and is there", was.Address, m.Name)
	}
	return here, ""
}

// admits says whether an operator lets the claimant in. One who said so before
// the boot that is awaited did not mean it, nor the system that was there before.
func (c *Claim) admits(m *api.Machine, now time.Time, awaited, held bool) bool {
	return now.Before(c.Admit) && (!awaited || !held && !c.Said.Before(m.Boot.Since))
}

// restarts says whether the claimant may be the same machine after a warm restart,
// which a task of its agent has asked for: no power cycle shows that.
func (c *Claim) restarts(who Claimant) bool {
	return c.Restart && c.Address == who.Address.String() && SameSystem(c.System, who.System)
}

// lost says whether the reply to the claimant may not have come: nobody has used
// the token in it. It gets another one, with which that ends.
func (c *Claim) lost(who Claimant, now time.Time) bool {
	return c.Address == who.Address.String() && c.System == who.System && !who.Spoke && now.Sub(c.Since) < LiveFor
}

// fromBoot says whether the claimant shows to come from the boot that we ordered
// last: by the ticket that was made for it, or by an address of the machine.
// The address is everybody's who sends with the machine's MAC while it is off,
// and the ticket everybody's who listens; of a machine that somebody has, the
// claimant must therefore tell the system that its BMC told, where that tells one.
func fromBoot(r resource.Reader, m *api.Machine, who Claimant, here Kind) bool {
	if m.Owned() && Tells(systemOf(r, m)) && !Tells(who.System) {
		return false
	}
	return who.Intent == m.Boot.Intent || here == Lease
}

// Superseded notes that somebody still speaks with a token of a claimant whom
// another one has followed: both are there, so one of them is not the machine.
func Superseded(tx *resource.Tx, now time.Time, machine, from string) error {
	c, err := Claims.Get(tx, machine)
	m, gone := api.Machines.Get(tx, machine)
	if err != nil || gone != nil {
		return nil
	}
	next := *c
	next.Rival = &Rival{Address: from, Why: "it holds a token that ended when another was taken for the machine", Seen: now}
	if err := Claims.Put(tx, &next); err != nil {
		return err
	}
	return alert.Raise(tx, now, api.AlertWarn, "claims of machine "+m.Name,
		fmt.Sprintf("%s is claimed by two: %s speaks for it (by %s, since %s), and who spoke for it before is still there, at %s: one of them is not the machine",
			m.Name, c.Address, c.Proof, c.Since.UTC().Format(time.RFC3339), from))
}

// same says whether it is the claimant that was there before, so that its tokens
// stay good: a lost reply costs nothing. A boot that was proven, or an
// operator's word, makes a new one of whoever comes the first time.
func same(was *Claim, who Claimant, k Kind) bool {
	if was.Id == "" {
		return false
	}
	if k.Strong() {
		return who.Held == was.Id || was.used(who) && who.Ticket != ""
	}
	return who.Held == was.Id || was.Address == who.Address.String()
}

func (c *Claim) used(who Claimant) bool {
	t := c.Find(who.Ticket)
	return t != nil && t.Address == who.Address.String() && t.Claim == c.Id
}

// Find returns a ticket that was used, nil if it was not.
func (c *Claim) Find(ticket string) *Ticket {
	for i := range c.Used {
		if c.Used[i].Id == ticket {
			return &c.Used[i]
		}
	}
	return nil
}

// systemOf is the system UUID that the machine's BMC has told, "" if another
// machine's has told the same, which then says nothing.
func systemOf(r resource.Reader, m *api.Machine) string {
	a := action(r, m)
	if a == nil || a.SystemUUID == "" {
		return ""
	}
	for other := range api.BMCActions.By(r, "SystemUUID", a.SystemUUID) {
		if other.Machine != m.Uuid {
			return ""
		}
	}
	return a.SystemUUID
}

// noteEvery bounds how often the same rival is written down.
const noteEvery = time.Minute

// rivals notes who was refused, and raises an alert if two are there.
func rivals(tx *resource.Tx, now time.Time, m *api.Machine, was *Claim, who Claimant, why string) error {
	addr := who.Address.String()
	if r := was.Rival; r != nil && r.Address == addr && r.Why == why && now.Sub(r.Seen) < noteEvery {
		return nil
	}
	next := *was
	next.Rival = &Rival{Address: addr, Why: why, Seen: now}
	if err := Claims.Put(tx, &next); err != nil {
		return err
	}
	if was.Id == "" || !was.from(tx, m) && (!who.Live || was.Address == addr) {
		return nil
	}
	return two(tx, now, m, was, fmt.Sprintf("%s was refused: %s", addr, why))
}

func two(tx *resource.Tx, now time.Time, m *api.Machine, was *Claim, text string) error {
	return alert.Raise(tx, now, api.AlertWarn, "claims of machine "+m.Name,
		fmt.Sprintf("%s is claimed from two addresses: %s speaks for it (by %s, since %s), and %s",
			m.Name, was.Address, was.Proof, was.Since.UTC().Format(time.RFC3339), text))
}

// Admit lets the next claimant of the machine in, whatever it proves, until a
// time; an address that is known to be another machine's still is not.
func Admit(tx *resource.Tx, id string, until time.Time) error {
	c, err := Claims.Get(tx, id)
	if err != nil {
		return Claims.Create(tx, &Claim{Machine: id, Admit: until, Said: tx.Now()})
	}
	next := *c
	next.Admit, next.Said = until, tx.Now()
	return Claims.Put(tx, &next)
}

// Forget removes the claim of a machine that is deleted, but for the operator's
// tickets in it: they are not good once more.
func Forget() resource.Hook {
	return resource.OnSave(api.Machines, func(tx *resource.Tx, old, new *api.Machine) error {
		if new != nil || tx.Loading() {
			return nil
		}
		c, err := Claims.Get(tx, old.Uuid)
		if err != nil {
			return nil
		}
		used := slices.DeleteFunc(slices.Clone(c.Used), func(t Ticket) bool { return !t.Join })
		if len(used) == 0 {
			return Claims.Delete(tx, old.Uuid)
		}
		return Claims.Put(tx, &Claim{Machine: old.Uuid, Used: used})
	})
}

// exitReboot is the ExitState of a job after which the agent restarts the machine.
const exitReboot = "reboot"

// Restarts notes of jobs that the machine restarts after them, warm: whoever
// comes from that comes from no new boot of ours.
func Restarts() resource.Hook {
	return resource.OnSave(api.Jobs, func(tx *resource.Tx, old, new *api.Job) error {
		if tx.Loading() || new == nil || new.ExitState != exitReboot || new.Context != "" || old != nil && old.ExitState == exitReboot {
			return nil
		}
		c, err := Claims.Get(tx, new.Machine)
		if err != nil {
			return nil
		}
		next := *c
		next.Restart = true
		return Claims.Put(tx, &next)
	})
}

// Says tells who speaks for the machine, for people who ask why it waits.
func Says(r resource.Reader, m *api.Machine) []string {
	c, err := Claims.Get(r, m.Uuid)
	if err != nil {
		return nil
	}
	var out []string
	if c.Rival != nil {
		out = append(out, fmt.Sprintf("a claim to be %s was refused at %s, from %s: %s", m.Name, c.Rival.Seen.UTC().Format(time.RFC3339), c.Rival.Address, c.Rival.Why))
	}
	return out
}
