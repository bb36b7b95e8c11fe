package datadir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"drpd/pkg/store"
)

// Records is the part of a store that Join needs.
type Records interface {
	// Get reads one record, of which Data is nil if there is none, and the
	// revision of the store.
	Get(ctx context.Context, kind, key string) (store.Record, store.Rev, error)
	Commit(ctx context.Context, ops []store.Op) (store.Rev, error)
}

// Join compares the directory with its database, makes what a first start, an
// adoption or an accepted loss wants, and loads the keys. ca opens the
// certificate authority in its folder and returns its fingerprint, and that of a former one which is still accepted. Losses that
// were accepted and are now made good are returned, for the audit.
func (d *Dir) Join(ctx context.Context, db Records, ca func() ([]string, error), now time.Time) ([]Accept, error) {
	rec, rev, err := db.Get(ctx, Servers.Name, Self)
	if err != nil {
		return nil, err
	}
	self, err := d.Judge(rec, rev)
	if err != nil {
		return nil, err
	}
	if err := d.setAside(now); err != nil {
		return nil, err
	}
	if err := d.makeParts(now); err != nil {
		return nil, err
	}
	prints, err := ca()
	if err != nil {
		return nil, d.fault(PartPKI, "cannot be read: "+err.Error())
	}
	if err := d.agree(&self, prints); err != nil {
		return nil, err
	}
	if rev, err = d.saveSelf(ctx, db, self, rec, rev, now); err != nil {
		return nil, err
	}
	accepted := d.id.Accepted
	if d.id.Making, d.id.Accepted, d.id.Restored = "", nil, nil; !d.cfg.InMemory {
		d.id.Rev = uint64(rev)
	}
	d.id.Memory = d.id.Memory && d.cfg.InMemory
	return accepted, d.cfg.writeIdentity(d.id)
}

// Judge says by a database's own record and its revision whether it is this
// directory's. Ask it before the database is opened for writing.
func (d *Dir) Judge(rec store.Record, rev store.Rev) (self Server, err error) {
	if rec.Data != nil {
		if err := json.Unmarshal(rec.Data, &self); err != nil {
			return self, fmt.Errorf("the database's own record cannot be read: %w", err)
		}
	}
	return self, d.judge(self, rec.Data != nil, rev)
}

// judge says whether the database is this directory's.
func (d *Dir) judge(self Server, known bool, rev store.Rev) error {
	fault := func(what string) error { return d.fault(PartDatabase, what) }
	switch {
	case d.cfg.InMemory || d.id.Memory && rev == 0 || d.id.accepted(PartDatabase):
		return nil
	case known && self.Id != d.id.Server && d.id.accepted(PartIdentity):
		d.id.Server = self.Id // the file beside it was lost, the database knows
		return d.survey()
	case known && self.Id != d.id.Server:
		return fault(fmt.Sprintf("is of another server, %s; this one is %s", self.Id, d.id.Server))
	case !known && d.id.Making == "":
		return fault("does not say whose it is: it is not the one that this server made")
	case !known && d.id.Making == makingAdopt && rev == 0:
		return fault("holds nothing, though the other parts are of a server")
	case uint64(rev) < d.id.Rev && !d.id.accepted(PartNewer):
		return d.fault(PartNewer, fmt.Sprintf("is an older copy: it has revision %d, this server was at %d", rev, d.id.Rev))
	}
	return nil
}

// Refuse is the refusal of a start for one part.
func (d *Dir) Refuse(part, what string) error { return d.fault(part, what) }

func (d *Dir) fault(part, what string) error {
	return &FaultsError{d.cfg.Dir, []Fault{{part, d.Path(part), what}}}
}

// setAside moves what is left of parts whose loss was accepted.
func (d *Dir) setAside(now time.Time) error {
	for _, a := range d.id.Accepted {
		p := d.Path(a.Part)
		if a.Part == PartIdentity || a.Part == PartDatabase || a.Part == PartNewer || absent(p) {
			continue // the database is open: see AsideDatabase
		}
		if f := d.cfg.look(a.Part); f.there && f.owner == d.id.Server {
			continue // it was put back, or made by a start that was cut short
		}
		if err := aside(p, now); err != nil {
			return err
		}
	}
	return nil
}

func aside(path string, now time.Time) error {
	to := fmt.Sprintf("%s.lost-%s", path, now.UTC().Format("20060102T150405"))
	if err := os.Rename(path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set %s aside: %w", path, err)
	}
	return nil
}

// AsideDatabase moves what is left of a database whose loss was accepted, before
// it is opened.
func (d *Dir) AsideDatabase(now time.Time) error {
	if !d.id.accepted(PartDatabase) || d.cfg.InMemory {
		return nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := aside(d.Path(PartDatabase)+suffix, now); err != nil {
			return err
		}
	}
	return nil
}

// makeParts makes keys and folders that are missing (which the survey allowed
// where it let them pass) and marks all.
func (d *Dir) makeParts(now time.Time) error {
	for part, to := range map[string]*KeyFile{PartMaster: &d.Master, PartToken: &d.Token} {
		f, err := readKeys(d.Path(part))
		if errors.Is(err, fs.ErrNotExist) {
			f, err = KeyFile{Keys: []Key{NewKey(now)}}, nil
		}
		if err != nil {
			return d.fault(part, reason(err))
		}
		if f.Server != "" && f.Server != d.id.Server {
			return d.fault(part, "is of another server, "+f.Server)
		}
		if *to = f; f.Server == "" {
			if err := d.SaveKeys(part, f.Keys); err != nil {
				return err
			}
		}
	}
	for _, part := range []string{PartPKI, PartBlobs} {
		path := d.cfg.markOf(part)
		if f := d.cfg.look(part); !absent(path) && f.owner != d.id.Server {
			return d.fault(part, "is of another server, "+f.owner)
		} else if !absent(path) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := writeJSON(path, mark{d.id.Server, part}, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// agree compares the ids of keys with those that the database knows. One that
// it does not know is of another age.
func (d *Dir) agree(self *Server, ca []string) error {
	var faults []Fault
	check := func(part string, known *string, is string, fits bool) {
		switch {
		case *known == "" || d.id.accepted(part):
			*known = is
		case !fits:
			faults = append(faults, Fault{part, d.Path(part), "is not the one that this database was last used with: it is older or newer"})
		}
	}
	check(PartMaster, &self.Master, d.Master.Keys[0].ID(), d.Master.has(self.Master))
	check(PartToken, &self.Token, d.Token.Keys[0].ID(), d.Token.has(self.Token))
	check(PartPKI, &self.CA, ca[0], slices.Contains(ca, self.CA))
	if len(faults) > 0 {
		return &FaultsError{d.cfg.Dir, faults}
	}
	// A rotation that was cut short: the keys have it already.
	self.Master, self.Token, self.CA = d.Master.Keys[0].ID(), d.Token.Keys[0].ID(), ca[0]
	return nil
}

// saveSelf stores the database's own record, if it changed.
func (d *Dir) saveSelf(ctx context.Context, db Records, self Server, rec store.Record, rev store.Rev, now time.Time) (store.Rev, error) {
	self.Id = d.id.Server
	if r := d.id.Restored; r != nil {
		self.Restored = &Restored{At: r.At, Taken: r.Taken, Endpoints: self.Endpoints}
	}
	if d.id.accepted(PartNewer) {
		self.Restored = &Restored{At: now, Endpoints: self.Endpoints, Why: "an older copy of the database was put back"}
	}
	data, err := json.Marshal(self)
	if err != nil || string(data) == string(rec.Data) {
		return rev, err
	}
	rev, err = db.Commit(ctx, []store.Op{{Kind: Servers.Name, Key: Self, If: rec.Rev, Data: data}})
	if err != nil {
		return 0, fmt.Errorf("mark the database: %w", err)
	}
	return rev, nil
}

// NoteRev notes how far the database has come, so that an older copy of it is
// known for one.
func (d *Dir) NoteRev(rev uint64) error {
	if rev <= d.id.Rev || d.cfg.InMemory {
		return nil
	}
	d.id.Rev = rev
	return d.cfg.writeIdentity(d.id)
}
