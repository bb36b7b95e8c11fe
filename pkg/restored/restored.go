// Package restored says what becomes of objects when a server that was restored
// from a backup takes over. The backup is older than the world: what it says of
// work under way may be over, and a machine that it calls free may be in use.
// So nothing that it left half done goes on by itself, no machine is booted or
// installed for it, and what a machine says it is counts for more than what the
// backup says.
//
// All of it are steps over a transaction, made to be repeated.
package restored

import (
	"fmt"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
)

// Reason is what objects say that were set aside.
const Reason = "set aside: the server was restored from a backup, which may be older than this"

// Report is what an agent says of its machine.
type Report struct {
	Env     string // the boot environment that it runs in
	Address string
	At      time.Time
}

// Adoption is one machine of a restored server.
type Adoption struct {
	Machine string // uuid; a MAC address if the backup knows no such machine
	Name    string
	Said    string  // the boot environment that it has in the backup
	Status  string  // and its PoolStatus there
	Reports *Report `json:",omitempty"` // nil: it has not been heard of
	// Restore is the time of the restore that this is about: a server may be
	// restored more than once. Done says that the takeover has passed.
	Restore time.Time
	Done    bool `json:",omitempty"`
	// Pending machines have not said what they are since the server took over:
	// their agents are told nothing until they do.
	Pending bool
	Held    string   `json:",omitempty"` // why it was held
	Aside   []string `json:",omitempty"` // what was set aside
}

// Adoptions by machine.
var Adoptions = &resource.Kind[Adoption]{Name: "adoptions", Private: true, Key: func(a *Adoption) string { return a.Machine }}

// Differs says how the machine differs from what the backup says, "" if it does
// not or if that is not known.
func (a *Adoption) Differs() string {
	switch {
	case a.Name == "":
		return fmt.Sprintf("unknown to the backup, and runs %s at %s", a.Reports.Env, a.Reports.Address)
	case a.Reports == nil:
		return fmt.Sprintf("has %s in the backup and was not heard of", a.Said)
	case a.Reports.Env != a.Said:
		return fmt.Sprintf("has %s in the backup and runs %s", a.Said, a.Reports.Env)
	}
	return ""
}

// current is the restore that the server has not got over yet, zero if there is
// none.
func current(r resource.Reader) time.Time {
	s, err := datadir.Servers.Get(r, datadir.Self)
	if err != nil || s.Restored == nil {
		return time.Time{}
	}
	return s.Restored.At
}

// Of is the machine's adoption by the present restore, or by the last one if the
// server is active; nil if there is none.
func Of(r resource.Reader, machine string) *Adoption {
	a, err := Adoptions.Get(r, machine)
	if now := current(r); err != nil || !now.IsZero() && !now.Equal(a.Restore) {
		return nil
	}
	return a
}

// All are the adoptions as in Of.
func All(r resource.Reader) []*Adoption {
	var out []*Adoption
	for a := range Adoptions.All(r) {
		if a := Of(r, a.Machine); a != nil {
			out = append(out, a)
		}
	}
	return out
}

// Forget removes what is left of a former restore: it says nothing of this one.
func Forget(tx *resource.Tx) error {
	for a := range Adoptions.All(tx) {
		if Of(tx, a.Machine) == nil {
			if err := Adoptions.Delete(tx, a.Machine); err != nil {
				return err
			}
		}
	}
	return nil
}

// Note notes what an agent reports. Machine nil: the backup knows none, key is
// then its MAC address.
func Note(tx *resource.Tx, m *api.Machine, key string, r Report) error {
	a := &Adoption{Machine: key, Reports: &r, Restore: current(tx)}
	if m != nil {
		a.Machine, a.Name, a.Said, a.Status = m.Uuid, m.Name, m.BootEnv, string(m.PoolStatus)
	}
	if Of(tx, a.Machine) == nil {
		return Adoptions.Put(tx, a)
	}
	return Adoptions.Modify(tx, a.Machine, func(old *Adoption) error { old.Reports = &r; return nil })
}

// Hold takes a machine out of the reach of whoever allocates, until it is proven
// blank again.
type Hold func(tx *resource.Tx, id, why string) error

// kept says whether a machine stays in the state that it has in the backup: it is
// somebody's. Every other is one that is Free or on its way to be,
// by what was found or wiped at a time before now, and may have been given to
// somebody since: a state that is added is held.
func kept(m *api.Machine) bool {
	switch m.PoolStatus {
	case api.InUse, api.Building, api.HoldBuild:
		return true
	}
	return m.Virtual && m.PoolStatus != api.Free // it has no disk
}

// HoldDestroy is Hold: what was proven before counts no more, and the machine is
// held as one that is not wiped. Its power is left as it is: somebody may have
// got it after the backup was taken.
func HoldDestroy(tx *resource.Tx, id, why string) error {
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.PoolStatus, m.PoolHoldReason, m.Runnable = api.HoldDestroy, why, false
		u := api.Unwiped{Owner: m.Owner}
		if m.Unwiped != nil { // who had it last before the backup
			u = *m.Unwiped
		}
		u.Why, u.Prepared, u.Parted = why, false, true
		m.Unwiped, m.Uses = &u, m.Uses+1
		m.Fence = &api.Fence{Spared: true, Says: "its power is left as it is, for somebody may have got it since the backup; when it is wiped (drpcli machines wipe) it is booted"}
		m.Boot = &api.BootState{Env: m.BootEnv, Since: tx.Now(), Error: why}
		return nil
	})
}

// Machine takes one machine over: unfinished work is set aside, one that nobody
// has is held, one that has reported is adopted as what it is. Doing it again
// changes nothing.
func Machine(tx *resource.Tx, id string, hold Hold) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil {
		return nil // deleted meanwhile
	}
	next := &Adoption{Machine: id, Name: m.Name, Said: m.BootEnv, Status: string(m.PoolStatus), Pending: true, Restore: current(tx), Done: true}
	if a := Of(tx, id); a != nil {
		if a.Done { // and a kill came, after which it may have reported
			return reportedBetween(tx, m, a)
		}
		next.Reports, next.Pending = a.Reports, a.Reports == nil
	}
	if next.Aside, err = setAside(tx, api.Machines, m); err != nil {
		return err
	}
	if next.Reports != nil {
		if err := Adopt(tx, id, next.Reports.Env); err != nil {
			return err
		}
	}
	if !kept(m) {
		next.Held = "the server was restored from a backup: it must be proven blank again"
		if err := hold(tx, id, next.Held); err != nil {
			return err
		}
	}
	return Adoptions.Put(tx, next)
}

func reportedBetween(tx *resource.Tx, m *api.Machine, a *Adoption) error {
	if !a.Pending || a.Reports == nil {
		return nil
	}
	_, err := Reported(tx, m, *a.Reports)
	return err
}

// Adopt makes the machine one that is at home in the environment in which its
// agent runs: it is not booted out of it.
func Adopt(tx *resource.Tx, id, env string) error {
	m, err := api.Machines.Get(tx, id)
	if err != nil || env == "" {
		return err
	}
	if m.BootEnv != env {
		err := api.Machines.Modify(tx, id, func(m *api.Machine) error { m.Moving, m.BootEnv = true, env; return nil })
		if err != nil {
			return err
		}
	}
	runs := m.Runnable
	return api.Machines.Modify(tx, id, func(m *api.Machine) error {
		m.Moving, m.Runnable = true, runs
		m.Boot = &api.BootState{Env: env, Since: tx.Now(), Home: true}
		return nil
	})
}

// Reported ends the wait for a machine whose agent says what it is only after
// the server has taken over. It says whether that was new.
func Reported(tx *resource.Tx, m *api.Machine, r Report) (bool, error) {
	a := Of(tx, m.Uuid)
	if a == nil || !a.Pending {
		return false, nil
	}
	if a.Held == "" {
		if err := Adopt(tx, m.Uuid, r.Env); err != nil {
			return false, err
		}
	}
	return true, Adoptions.Modify(tx, m.Uuid, func(a *Adoption) error { a.Pending, a.Reports = false, &r; return nil })
}

// Pending says whether the machine has yet to say what it is.
func Pending(r resource.Reader, machine string) bool {
	a := Of(r, machine)
	return a != nil && a.Pending
}

// Held says whether the machine is still held since the takeover.
func Held(r resource.Reader, m *api.Machine) bool {
	a := Of(r, m.Uuid)
	return a != nil && a.Held != "" && m.PoolStatus == api.HoldDestroy && m.PoolHoldReason == a.Held
}

// Reply is the answer to GET /restored.
type Reply struct {
	Active   bool              // the server acts
	Says     string            `json:",omitempty"` // why it does not
	Restored *datadir.Restored `json:",omitempty"`
	Machines []Entry
}

// Entry is one machine, with how it differs from what the backup says.
type Entry struct {
	Adoption
	Differs string `json:",omitempty"`
}
