package datadir

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"drpd/pkg/atomicfile"
	"drpd/pkg/store/sqlite"
)

// BackupConfig says what to back up. Dir is that of a server, which may run.
type BackupConfig struct {
	Config
	To      string // path of the file; there must be none
	Seal    Seal
	Version string // of the program
	NoISOs  bool   // leave out isos/ and what was unpacked of them
	Now     time.Time
}

// Backup writes one file with all that makes the server, as it was at one
// moment: the database first, then the files that it may name. The file is
// whole or absent. Whoever has it and cannot open its seal reads the database,
// but no secure param, and can make no token and no certificate.
func Backup(ctx context.Context, cfg BackupConfig) (*Manifest, error) {
	if !absent(cfg.To) {
		return nil, fmt.Errorf("back up to %s: there is such a file", cfg.To)
	}
	to, err := cfg.Seal.recipient()
	if err != nil {
		return nil, err
	}
	b := &backup{cfg: cfg, m: Manifest{Format: BackupFormat, Version: cfg.Version, Taken: cfg.Now}}
	if err := b.write(ctx, to); err != nil {
		return nil, fmt.Errorf("back up %s: %w", cfg.Dir, err)
	}
	return &b.m, nil
}

type backup struct {
	cfg    BackupConfig
	m      Manifest
	tar    *tar.Writer
	macKey []byte
}

func (b *backup) write(ctx context.Context, to age.Recipient) (err error) {
	dir := filepath.Dir(b.cfg.To)
	if err := outside(dir, b.cfg.Dir); err != nil {
		return err
	}
	if err := sweep(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, unfinishedBackup+"*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	lock, err := lockPath(f.Name())
	if err != nil {
		return err
	}
	defer lock.Close()
	db := f.Name() + ".db"
	defer os.Remove(db)
	keys, err := b.snapshot(ctx, db)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(f)
	if err != nil {
		return err
	}
	b.tar = tar.NewWriter(z)
	if err := b.contents(ctx, db, keys, to); err != nil {
		return err
	}
	if err := errors.Join(b.tar.Close(), z.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), b.cfg.To); err != nil { // unlike a rename, never replaces
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(b.cfg.To))
}

// outside refuses a folder in the data directory: a backup is lost with what it
// saves there, and each next one would hold those before.
func outside(dir, data string) error {
	at, err1 := filepath.EvalSymlinks(dir)
	in, err2 := filepath.EvalSymlinks(data)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if rel, err := filepath.Rel(in, at); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%s is in the data directory: write the backup elsewhere, and keep it on another machine", dir)
	}
	return nil
}

// unfinishedBackup is how the names begin of what a backup under way, or a
// killed one, has in the folder of its file; the copy of the database ends in .db.
const unfinishedBackup = ".drpd-backup-"

// sweep removes what killed backups left: a database is readable, and large.
func sweep(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name, copied := strings.CutSuffix(e.Name(), ".db")
		path := filepath.Join(dir, name)
		if !e.Type().IsRegular() || !strings.HasPrefix(name, unfinishedBackup) {
			continue
		}
		lock, err := lockPath(path)
		if errors.Is(err, errLocked) {
			continue // one that is under way
		}
		if err == nil {
			defer lock.Close()
		}
		if copied {
			path += ".db"
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isKeyFile says whether a file is sealed: all of pki/ but the server's own
// certificate, which is made anew.
func isKeyFile(name string) bool {
	rest, pki := strings.CutPrefix(name, PartPKI+"/")
	return name == PartMaster || name == PartToken || pki && !strings.Contains(rest, "/") && rest != "server.key" && rest != "server.pem"
}

// snapshot copies the database, with the keys of that moment: if they were
// rotated meanwhile it begins anew.
func (b *backup) snapshot(ctx context.Context, to string) (map[string][]byte, error) {
	for range 10 {
		id, err := b.cfg.wholeNow()
		if err != nil {
			return nil, err
		}
		before, err := b.readKeyFiles()
		if err != nil {
			return nil, err
		}
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := mine(to); err != nil {
			return nil, err
		}
		rev, err := sqlite.Snapshot(ctx, b.cfg.path(PartDatabase), to)
		if err != nil {
			return nil, err
		}
		after, err := b.readKeyFiles()
		if err != nil {
			return nil, err
		}
		b.m.Server, b.m.Revision = id.Server, uint64(rev)
		if maps.EqualFunc(before, after, bytes.Equal) {
			return after, nil
		}
	}
	return nil, errors.New("its keys are being rotated: try again later")
}

// mine makes an empty file that nobody else can read: SQLite would make one for
// everybody, and a copy lies beside the backup while it is written, and after a
// kill.
func mine(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// wholeNow refuses to back up what is not whole: the backup would not be either.
func (c Config) wholeNow() (identity, error) {
	id, there, err := c.readIdentity()
	if err != nil || !there || id.Making != "" {
		return id, fmt.Errorf("%s is not the data directory of a server that has started", c.Dir)
	}
	return id, (&Dir{cfg: c, id: id}).survey()
}

func (b *backup) readKeyFiles() (map[string][]byte, error) {
	names := []string{PartMaster, PartToken}
	list, err := os.ReadDir(b.cfg.path(PartPKI))
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if name := PartPKI + "/" + e.Name(); e.Type().IsRegular() && isKeyFile(name) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, name)
		}
	}
	out := map[string][]byte{}
	for _, name := range names {
		if out[name], err = os.ReadFile(b.cfg.path(name)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *backup) contents(ctx context.Context, db string, keys map[string][]byte, to age.Recipient) error {
	cert, key, err := authority(keys)
	if err != nil {
		return err
	}
	b.m.Authority = fingerprintOf(cert)
	sealed, err := b.seal(keys, to)
	if err != nil {
		return err
	}
	if err := b.addBytes(entryKeys, sealed); err != nil {
		return err
	}
	if err := b.addFile(PartDatabase, db); err != nil {
		return err
	}
	for _, dir := range []string{PartBlobs, AuditDir} {
		if err := b.addTree(ctx, dir); err != nil {
			return err
		}
	}
	manifest, err := json.MarshalIndent(b.m, "", " ")
	if err != nil {
		return err
	}
	if err := b.raw(entryManifest, manifest); err != nil {
		return err
	}
	sig, err := signManifest(cert, key, manifest)
	if err != nil {
		return err
	}
	return errors.Join(b.raw(entryMAC, mac(b.macKey, manifest)), b.raw(entrySignature, sig))
}

// seal packs the keys, and one for the code over the manifest.
func (b *backup) seal(keys map[string][]byte, to age.Recipient) ([]byte, error) {
	b.macKey = make([]byte, keySize)
	rand.Read(b.macKey) // never fails
	keys = maps.Clone(keys)
	keys[entryMAC] = b.macKey
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(keys); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func (b *backup) raw(name string, data []byte) error {
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: b.cfg.Now, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := b.tar.Write(data)
	return err
}

func (b *backup) addBytes(name string, data []byte) error {
	sum := sha256.Sum256(data)
	b.m.Parts = append(b.m.Parts, BackupPart{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	return b.raw(name, data)
}

// addFile adds what a file holds now: of one that grows, what it has already.
func (b *backup) addFile(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if err := b.tar.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(b.tar, sum), f, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.m.Parts = append(b.m.Parts, BackupPart{Name: name, Size: info.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// leftOut are folders of big files that can be had elsewhere.
var leftOut = []string{"blobs/isos/", "blobs/media/"}

func (b *backup) addTree(ctx context.Context, dir string) error {
	root := b.cfg.path(dir)
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := dir + "/" + filepath.ToSlash(rel)
		if e.IsDir() {
			if inProgress(name) {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), b.addEntry(name, path, e))
	})
}

// inProgress are folders of what is not finished.
func inProgress(name string) bool {
	return strings.HasPrefix(name, "blobs/.blob/") && name != "blobs/.blob/sum" && !strings.HasPrefix(name, "blobs/.blob/sum/")
}

func (b *backup) addEntry(name, path string, e fs.DirEntry) error {
	big := b.cfg.NoISOs && slices.ContainsFunc(leftOut, func(p string) bool { return strings.HasPrefix(name, p) })
	switch {
	case passing(name):
		return nil
	case big:
		if info, err := e.Info(); err == nil {
			b.m.LeftOut = append(b.m.LeftOut, BackupPart{Name: name, Size: info.Size()})
		}
		return nil
	case e.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return b.vanished(name, err)
		}
		if leadsOut(name, target) { // somebody put it there; the server does not follow it
			b.m.LeftOut = append(b.m.LeftOut, BackupPart{Name: name})
			return nil
		}
		b.m.Parts = append(b.m.Parts, BackupPart{Name: name, SHA256: "link " + target})
		return b.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, ModTime: b.cfg.Now, Format: tar.FormatPAX})
	case !e.Type().IsRegular():
		return nil // a socket or pipe that somebody put there
	}
	return b.vanished(name, b.addFile(name, path))
}

// vanished notes a file that was deleted before it was read.
func (b *backup) vanished(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		b.m.Vanished = append(b.m.Vanished, name)
		return nil
	}
	return err
}
