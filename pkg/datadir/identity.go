package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"drpd/pkg/atomicfile"
)

// The ends of what Making says: a start that did not get to its end goes on.
const (
	makingNew   = "new"   // every part is made
	makingAdopt = "adopt" // parts of before there were identities are marked
)

// identity is the file beside the database.
type identity struct {
	Server string
	Making string `json:",omitempty"`
	Memory bool   `json:",omitempty"` // made for a server without a database
	// Rev is a revision that the database had: one that has less is an older copy.
	Rev      uint64   `json:",omitempty"`
	Accepted []Accept `json:",omitempty"` // losses to make good at the next start
	// Restored is set by a restore, until the database has it.
	Restored *Restored `json:",omitempty"`
}

// Accept is a loss that somebody accepted.
type Accept struct {
	Part string
	At   time.Time
	By   string // user of the system
}

// mark is the file in a folder that says whose it is.
type mark struct{ Server, Part string }

func (c Config) readIdentity() (id identity, found bool, err error) {
	data, err := readSmall(c.path(PartIdentity))
	if errors.Is(err, fs.ErrNotExist) {
		return id, false, nil
	}
	if err == nil && json.Unmarshal(data, &id) != nil || err == nil && id.Server == "" {
		err = errors.New("is not the identity of a server")
	}
	return id, true, err
}

func (c Config) writeIdentity(id identity) error { return writeJSON(c.path(PartIdentity), id, 0o600) }

func writeJSON(path string, v any, mode fs.FileMode) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), mode)
}

// smallMax bounds the files that are read whole, in bytes.
const smallMax = 64 << 10

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	if info.Size() == 0 {
		return nil, errEmpty
	}
	if info.Size() > smallMax {
		return nil, errors.New("is larger than such a file can be")
	}
	return os.ReadFile(path)
}

var errEmpty = errors.New("is empty")

// AcceptLoss notes that parts are lost for good: the next start makes them anew
// and says so in the audit. What is left of them is moved aside, not deleted.
// refused is why the server does not start: a part that is whole is not given up.
func AcceptLoss(cfg Config, parts []string, refused error, by string, now time.Time) error {
	if err := acceptable(cfg, parts); err != nil {
		return err
	}
	id, found, err := cfg.readIdentity()
	if lost := lostOf(parts, id, refused); lost != nil {
		return lost
	}
	if err != nil && !slices.Contains(parts, PartIdentity) {
		return fmt.Errorf("%s %w: name it as well: --accept-loss=%s", cfg.path(PartIdentity), err, PartIdentity)
	}
	if !found || err != nil || slices.Contains(parts, PartIdentity) {
		if !slices.Contains(parts, PartIdentity) && !cfg.unmarked() {
			return fmt.Errorf("%s is missing too: name it as well, --accept-loss=%s", cfg.path(PartIdentity), PartIdentity)
		}
		if err := aside(cfg.path(PartIdentity), now); err != nil {
			return err
		}
		id = identity{Making: makingAdopt}
		if id.Server, err = cfg.ownerOf(parts); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if !slices.ContainsFunc(id.Accepted, func(a Accept) bool { return a.Part == p }) {
			id.Accepted = append(id.Accepted, Accept{Part: p, At: now, By: by})
		}
	}
	return cfg.writeIdentity(id)
}

func acceptable(cfg Config, parts []string) error {
	if len(parts) == 0 {
		return errors.New("no part is named: --accept-loss=" + PartToken + ", for example")
	}
	if halfMoved(cfg.Dir) { // without its identity it would not know that it is restored
		return errHalfMoved(cfg.Dir)
	}
	if !Exists(cfg) {
		return fmt.Errorf("%s holds no part of a server", cfg.Dir)
	}
	for _, p := range parts {
		if losses[p] == "" {
			return fmt.Errorf("%q is no part of a data directory; parts are %v and %s", p, Parts(), PartNewer)
		}
	}
	return nil
}

// Accepted says that the loss of these parts was accepted, and no start has made
// them anew yet.
func Accepted(cfg Config, parts []string) bool {
	id, found, err := cfg.readIdentity()
	return found && err == nil && len(parts) > 0 && !slices.ContainsFunc(parts, func(p string) bool { return !id.accepted(p) })
}

// lostOf refuses what a start does not miss.
func lostOf(parts []string, id identity, refused error) error {
	if _, ok := errors.AsType[*FaultsError](refused); !ok && refused != nil {
		return refused
	}
	for _, p := range parts {
		if !Has(refused, p) && !id.accepted(p) {
			return fmt.Errorf("--accept-loss=%s: it is whole, there is no loss to accept", p)
		}
	}
	return nil
}

func (i *identity) accepted(part string) bool {
	return slices.ContainsFunc(i.Accepted, func(a Accept) bool { return a.Part == part })
}
