package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"drpd/pkg/atomicfile"
)

// found is what a look at one part saw.
type found struct {
	part   string
	there  bool
	owner  string // id of its server; "" for a part of before there were identities
	fault  string // why it is of no use
	absent bool
}

// markOf is the file in a folder that names its server.
func (c Config) markOf(part string) string {
	if part == PartBlobs {
		return filepath.Join(c.path(part), ".blob", "server")
	}
	return filepath.Join(c.path(part), "server.id")
}

func (c Config) look(part string) found {
	f := found{part: part}
	var err error
	switch part {
	case PartDatabase:
		err = lookFile(c.path(part))
	case PartMaster, PartToken:
		var k KeyFile
		k, err = readKeys(c.path(part))
		f.owner = k.Server
		if err == nil && k.Server != "" && k.Part != part {
			err = fmt.Errorf("holds the keys of %s", k.Part)
		}
	case PartPKI, PartBlobs:
		f.owner, err = c.lookFolder(part)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.absent, f.fault = true, "is missing"
	case err != nil:
		f.fault = strings.TrimPrefix(err.Error(), "open "+c.path(part)+": ")
	default:
		f.there = true
	}
	return f
}

func lookFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is not a file")
	case info.Size() == 0:
		return errEmpty
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// lookFolder finds whose a folder is: by its mark, or as one of before there
// were marks by what it always held.
func (c Config) lookFolder(part string) (owner string, err error) {
	dir := c.path(part)
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", errors.New("is not a folder")
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if part == PartPKI {
		ca, err := currentCA(dir)
		if err != nil {
			return "", err
		}
		for _, name := range []string{ca + ".key", ca + ".pem"} {
			if err := lookFile(filepath.Join(dir, name)); err != nil {
				return "", fmt.Errorf("has no good %s: %s", name, reason(err))
			}
		}
	}
	data, err := readSmall(c.markOf(part))
	if errors.Is(err, fs.ErrNotExist) {
		if len(list) == 0 {
			return "", errEmpty
		}
		return "", nil
	}
	var m mark
	if err == nil && (json.Unmarshal(data, &m) != nil || m.Part != part || m.Server == "") {
		err = errors.New("has a mark that cannot be read")
	}
	return m.Server, err
}

// currentCA is the name of the authority in use; the file that says so is that of
// package pki.
func currentCA(dir string) (string, error) {
	data, err := readSmall(filepath.Join(dir, "authorities.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "ca", nil
	}
	var is struct{ Current string }
	if err == nil && (json.Unmarshal(data, &is) != nil || is.Current == "" || is.Current != filepath.Base(is.Current)) {
		err = errors.New("names no authority")
	}
	if err != nil {
		return "", fmt.Errorf("has an authorities.json that %s", reason(err))
	}
	return is.Current, nil
}

// reason is an error without its path.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// dataParts are all but the identity itself.
func (c Config) dataParts() []string {
	return slices.DeleteFunc(Parts()[1:], func(p string) bool { return c.InMemory && p == PartDatabase })
}

// Begin looks at the directory before anything in it is opened. It refuses one
// that is not whole, and one that holds something and no server.
func Begin(cfg Config) (*Dir, error) {
	if err := Private(cfg); err != nil {
		return nil, err
	}
	d := &Dir{cfg: cfg}
	id, there, err := cfg.readIdentity()
	if err != nil && !id.accepted(PartIdentity) {
		faults, _ := cfg.lookAtAll()
		return nil, &FaultsError{cfg.Dir, append([]Fault{{PartIdentity, cfg.path(PartIdentity), reason(err)}}, faults...)}
	}
	if !there {
		if id.Making, err = cfg.begin(); err == nil {
			id.Server, id.Memory = uuid.NewString(), cfg.InMemory
			err = cfg.create(id)
		}
		if err != nil {
			return nil, err
		}
		d.made = id.Making == makingNew
	}
	d.id = id
	if id.Making == makingNew {
		return d, nil
	}
	return d, d.survey()
}

// Ours refuses a directory that may not be taken: it holds something, and not a
// server, or one whose restore did not end. Nothing is changed.
func Ours(cfg Config) error {
	if halfMoved(cfg.Dir) {
		return errHalfMoved(cfg.Dir)
	}
	if info, err := os.Lstat(cfg.path(PartIdentity)); err == nil && info.Mode().IsRegular() {
		return nil
	}
	_, err := cfg.begin()
	return err
}

// begin decides what a directory without an identity is: empty, or of before
// there were identities.
func (c Config) begin() (making string, err error) {
	if Exists(c) {
		if err := c.whole(); err != nil {
			return "", err
		}
		if c.InMemory {
			return makingNew, nil
		}
		return makingAdopt, nil
	}
	names, err := foreign(c.Dir)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	if len(names) > 0 {
		return "", fmt.Errorf("the data directory %s holds %s and no server: a first start wants an empty directory, name one with --data-dir; if a server's data should be here, restore it: drpd restore FILE --data-dir DIR",
			c.Dir, strings.Join(names[:min(len(names), 5)], ", "))
	}
	return makingNew, nil
}

// create writes the identity, if nobody was faster.
func (c Config) create(id identity) error {
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return atomicfile.Create(c.path(PartIdentity), append(data, '\n'), 0o600)
}

// whole says whether all parts are there, none of them marked: a directory
// without an identity is then an old one.
func (c Config) whole() error {
	faults, marked := c.lookAtAll()
	if marked {
		faults = append([]Fault{{PartIdentity, c.path(PartIdentity), "is missing"}}, faults...)
	}
	if len(faults) > 0 {
		return &FaultsError{c.Dir, faults}
	}
	return nil
}

// lookAtAll lists the parts that are of no use by themselves.
func (c Config) lookAtAll() (faults []Fault, marked bool) {
	for _, p := range c.dataParts() {
		f := c.look(p)
		if f.fault != "" {
			faults = append(faults, Fault{p, c.path(p), f.fault})
		}
		marked = marked || f.owner != ""
	}
	return faults, marked
}

// unmarked says that no part is marked: the directory is an old one.
func (c Config) unmarked() bool {
	return !slices.ContainsFunc(c.dataParts(), func(p string) bool { return c.look(p).owner != "" })
}

// ownerOf is the server of the parts that are not lost; a new one if none says.
func (c Config) ownerOf(lost []string) (string, error) {
	owner := ""
	for _, p := range c.dataParts() {
		f := c.look(p)
		if f.owner == "" || slices.Contains(lost, p) {
			continue
		}
		if owner != "" && owner != f.owner {
			return "", fmt.Errorf("the parts of %s are of several servers: %s is of %s, another of %s: name the foreign ones as lost", c.Dir, p, f.owner, owner)
		}
		owner = f.owner
	}
	if owner == "" {
		owner = uuid.NewString()
	}
	return owner, nil
}

// survey refuses parts that are missing or foreign, unless their loss was
// accepted.
func (d *Dir) survey() error {
	var faults []Fault
	for _, p := range d.cfg.dataParts() {
		f := d.cfg.look(p)
		switch {
		case d.id.accepted(p):
		case p == PartDatabase && d.id.Memory && f.absent: // its first with a database
		case f.fault != "":
			faults = append(faults, Fault{p, d.Path(p), f.fault})
		case f.owner == "" && p != PartDatabase && d.id.Making == "":
			faults = append(faults, Fault{p, d.Path(p), "does not say whose it is: it is not the one that this server made"})
		case f.owner != "" && f.owner != d.id.Server:
			faults = append(faults, Fault{p, d.Path(p), fmt.Sprintf("is of another server, %s; this one is %s", f.owner, d.id.Server)})
		}
	}
	owner, err := d.cfg.ownerOf(nil)
	if err == nil && len(faults) >= 4 && owner != d.id.Server && !d.cfg.unmarked() && !d.id.accepted(PartIdentity) {
		faults = []Fault{{PartIdentity, d.Path(PartIdentity), fmt.Sprintf("is of another server, %s; every other part is of %s", d.id.Server, owner)}}
	}
	if len(faults) > 0 {
		return &FaultsError{d.cfg.Dir, faults}
	}
	return nil
}
