// Package datadir keeps the parts of a data directory together. A directory
// has an identity: the id of its server, in the database, in a small file
// beside it, and in the file of each key. A part that is missing, empty, of
// another server or older than the rest is a loss, never a wish: the start is
// refused with what to do. Only an empty directory is a first start.
//
// The package also packs all parts into one backup file and unpacks it.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The parts of a directory, by the names that people give them.
const (
	PartIdentity = "identity"
	PartDatabase = "drpd.db"
	PartMaster   = "master.key"
	PartToken    = "token.key"
	PartPKI      = "pki"
	PartBlobs    = "blobs"
	// PartNewer is what an older copy of the database lacks.
	PartNewer = "newer-changes"
)

// What else a directory holds, and nobody misses.
const (
	AuditDir = "audit"
	Socket   = "admin.sock"
)

// losses say what is lost with a part; each part that can be lost has one.
var losses = map[string]string{
	PartIdentity: "nothing else is lost, if every other part is here",
	PartDatabase: "every machine, cluster, user and setting is lost, and drpd starts as a new server",
	PartMaster:   "every secure param is lost and must be set again",
	PartToken:    "every token ends: agents of installed systems must be given new ones",
	PartPKI:      "every agent and client that pinned the old certificate authority is cut off until it is told the new one",
	PartBlobs:    "uploads, ISOs and job logs are lost",
	PartNewer:    "what was changed since that copy was taken is lost, and drpd only serves reads until drpd activate",
}

// Parts lists what a loss can be accepted of.
func Parts() []string {
	return []string{PartIdentity, PartDatabase, PartMaster, PartToken, PartPKI, PartBlobs}
}

// Config names a directory. Dir is required.
type Config struct {
	Dir      string
	Database string // path of the database; default drpd.db in Dir
	// InMemory is a server that forgets its database: then an absent one is
	// right.
	InMemory bool
}

// Dir is a directory whose parts were found to be there. Join makes it whole.
type Dir struct {
	cfg  Config
	id   identity
	made bool // this start made it

	Master, Token KeyFile // after Join
}

// Path is where a part is.
func (d *Dir) Path(part string) string { return d.cfg.path(part) }

// Server is the id of the directory's server.
func (d *Dir) Server() string { return d.id.Server }

// First says whether this start made the directory.
func (d *Dir) First() bool { return d.made }

func (c Config) path(part string) string {
	if (part == PartDatabase || part == PartNewer) && c.Database != "" {
		return c.Database
	}
	if part == PartNewer {
		part = PartDatabase
	}
	return filepath.Join(c.Dir, part)
}

// Fault is what is wrong with one part.
type Fault struct{ Part, Path, What string }

// FaultsError refuses a start: the directory is not whole.
type FaultsError struct {
	Dir    string
	Faults []Fault
}

func (e *FaultsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the data directory %s is not whole:", e.Dir)
	var parts []string
	for _, f := range e.Faults {
		fmt.Fprintf(&b, " %s (%s) %s;", f.Part, f.Path, f.What)
		if losses[f.Part] != "" && !strings.Contains(f.What, "chmod") { // which says its own cure
			parts = append(parts, f.Part)
		}
	}
	fmt.Fprintf(&b, " nothing was changed: put it back (is its volume mounted?), or restore a backup into an empty directory: drpd restore FILE --data-dir DIR")
	if len(parts) > 0 {
		fmt.Fprintf(&b, "; if it is lost for good: drpd adopt --data-dir %s --accept-loss=%s", e.Dir, strings.Join(parts, ","))
	}
	for _, p := range parts {
		fmt.Fprintf(&b, " (without %s %s)", p, losses[p])
	}
	return b.String()
}

// Has says whether the error is a fault of the part.
func Has(err error, part string) bool {
	e, ok := errors.AsType[*FaultsError](err)
	return ok && slices.ContainsFunc(e.Faults, func(f Fault) bool { return f.Part == part })
}

// Private makes the directory if it is not there, and takes one that is ours from
// everybody but its owner.
func Private(cfg Config) error {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := Ours(cfg); err != nil {
		return err
	}
	return private(cfg.Dir)
}

func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data directory %s: mode %04o lets others in: %w", dir, info.Mode().Perm(), err)
	}
	return nil
}

// MustExist refuses a directory that holds no server.
func MustExist(cfg Config) error {
	if !Exists(cfg) {
		return fmt.Errorf("%s is no data directory of a server: name it with --data-dir", cfg.Dir)
	}
	return nil
}

// Exists says whether a directory holds a server, whole or not.
func Exists(cfg Config) bool {
	for _, p := range Parts() {
		if _, err := os.Lstat(cfg.path(p)); err == nil {
			return true
		}
	}
	return false
}

// foreign lists what an empty directory would not hold.
func foreign(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		// A lock is left by a start that was refused; a file system has lost+found.
		if n := e.Name(); n != "lost+found" && !strings.HasSuffix(n, ".lock") && !strings.HasPrefix(n, ".new-") {
			out = append(out, n)
		}
	}
	return out, nil
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// At is where a part is.
func (c Config) At(part string) string { return c.path(part) }
