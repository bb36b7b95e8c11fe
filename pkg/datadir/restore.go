package datadir

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"drpd/pkg/atomicfile"
	"drpd/pkg/store/sqlite"
)

// RestoreConfig says what to restore where. Dir must be empty or absent; one that
// is there keeps its owner, who gets what is restored.
type RestoreConfig struct {
	From string
	Dir  string
	Seal Seal
	Now  time.Time
	// SignedBy are fingerprints of authorities, by commas, one of which must have
	// signed the backup; wanted with Seal.Identity.
	SignedBy string
}

// maxManifest bounds a manifest in bytes: a million files.
const maxManifest = 512 << 20

// Restore looks the whole backup through, and only then unpacks it: the
// directory is whole or as it was. Killed while the parts move into a directory
// that was there, it leaves one on which nothing starts but another restore. The server that starts on it is not active.
func Restore(ctx context.Context, cfg RestoreConfig) (*Manifest, error) {
	to, err := openPlace(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer to.close()
	r := &restore{cfg: cfg}
	if err := r.verify(ctx); err != nil {
		return nil, fmt.Errorf("backup %s: %w; nothing was written", cfg.From, err)
	}
	if err := to.fill(ctx, r.fill); err != nil {
		return nil, fmt.Errorf("restore to %s: %w", cfg.Dir, err)
	}
	return &r.m, nil
}

type restore struct {
	cfg  RestoreConfig
	m    Manifest
	keys map[string][]byte
}

// each calls fn with every entry of the backup.
func (r *restore) each(ctx context.Context, fn func(h *tar.Header, body io.Reader) error) error {
	f, err := os.Open(r.cfg.From)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, z) // to the stream's own checksum
			return err
		}
		if err != nil {
			return fmt.Errorf("it is no backup of drpd, or it is damaged or cut short: %w", err)
		}
		if err := errors.Join(ctx.Err(), fn(h, t)); err != nil {
			return err
		}
	}
}

// verify reads all of it: the sums of the manifest, its code, and the seal.
func (r *restore) verify(ctx context.Context) error {
	var got []BackupPart
	var manifest, code, sig, sealed []byte
	var names entries
	err := r.each(ctx, func(h *tar.Header, body io.Reader) (err error) {
		if err := names.add(h); err != nil {
			return err
		}
		switch h.Name {
		case entryManifest:
			manifest, err = io.ReadAll(io.LimitReader(body, maxManifest))
			return err
		case entryMAC:
			code, err = io.ReadAll(io.LimitReader(body, smallMax))
			return err
		case entrySignature:
			sig, err = io.ReadAll(io.LimitReader(body, smallMax))
			return err
		}
		p, data, err := read(h, body)
		if h.Name == entryKeys {
			sealed = data
		}
		got = append(got, p)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.unseal(sealed); err != nil {
		return err
	}
	if !hmac.Equal(code, mac(r.keys[entryMAC], manifest)) {
		return errors.New("its manifest is missing or was changed")
	}
	if err := json.Unmarshal(manifest, &r.m); err != nil {
		return fmt.Errorf("its manifest: %w", err)
	}
	r.m.Authority = "" // what it says of itself; authentic finds who signed
	if r.m.Format < 1 || r.m.Format > BackupFormat {
		return fmt.Errorf("it has format %d, this program knows %d: use the drpd of version %s", r.m.Format, BackupFormat, r.m.Version)
	}
	if err := r.authentic(manifest, sig); err != nil {
		return err
	}
	return compare(r.m.Parts, got)
}

// compare says what of the manifest is not as it says.
func compare(want, got []BackupPart) error {
	if slices.Equal(want, got) {
		return nil
	}
	have := map[string]BackupPart{}
	for _, p := range got {
		have[p.Name] = p
	}
	for _, p := range want {
		switch g, ok := have[p.Name]; {
		case !ok:
			return fmt.Errorf("%s is missing", p.Name)
		case g != p:
			return fmt.Errorf("%s is damaged: SHA-256 %s of %d bytes, want %s of %d", p.Name, g.SHA256, g.Size, p.SHA256, p.Size)
		}
	}
	return errors.New("it holds more than its manifest says, or in another order")
}

// read sums one entry, and keeps a small one.
func read(h *tar.Header, body io.Reader) (BackupPart, []byte, error) {
	p := BackupPart{Name: h.Name, Size: h.Size}
	if h.Typeflag == tar.TypeSymlink {
		p.SHA256 = "link " + h.Linkname
		return p, nil, nil
	}
	var keep bytes.Buffer
	sum := sha256.New()
	w := io.Writer(sum)
	if h.Name == entryKeys && h.Size < 1<<20 {
		w = io.MultiWriter(sum, &keep)
	}
	if _, err := io.Copy(w, body); err != nil {
		return p, nil, fmt.Errorf("%s is damaged or cut short: %w", h.Name, err)
	}
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return p, keep.Bytes(), nil
}

func (r *restore) unseal(sealed []byte) error {
	id, err := r.cfg.Seal.identity()
	if err != nil {
		return err
	}
	if len(sealed) == 0 {
		return errors.New("it holds no keys: it is no backup of drpd, or damaged")
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		return fmt.Errorf("its keys cannot be opened with this passphrase or identity: %w", err)
	}
	if err := json.NewDecoder(plain).Decode(&r.keys); err != nil || len(r.keys[entryMAC]) != keySize {
		return errors.New("its keys are damaged")
	}
	return nil
}

// fill writes all parts into an empty directory.
func (r *restore) fill(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, data := range r.keys {
		if name == entryMAC {
			continue
		}
		if !isKeyFile(name) {
			return fmt.Errorf("the backup's keys hold %q", name)
		}
		if err := put(root, name, bytes.NewReader(data)); err != nil {
			return err
		}
	}
	var names entries
	parts := r.parts()
	err = r.each(ctx, func(h *tar.Header, body io.Reader) error {
		if err := names.add(h); err != nil {
			return err
		}
		want, ok := parts[h.Name]
		if !ok || h.Name == entryKeys {
			return nil // keys and manifest were read before
		}
		return r.putEntry(root, want, h, body)
	})
	if err != nil {
		return err
	}
	return r.finish(ctx, dir)
}

// finish marks what was unpacked, and makes it durable.
func (r *restore) finish(ctx context.Context, dir string) error {
	c := Config{Dir: dir}
	rev, err := sqlite.Check(ctx, c.path(PartDatabase))
	if err != nil {
		return err
	}
	if uint64(rev) != r.m.Revision {
		return fmt.Errorf("the database has revision %d, the manifest says %d", rev, r.m.Revision)
	}
	if err := os.MkdirAll(filepath.Dir(c.markOf(PartBlobs)), 0o700); err != nil {
		return err
	}
	if err := writeJSON(c.markOf(PartBlobs), mark{r.m.Server, PartBlobs}, 0o600); err != nil {
		return err
	}
	id := identity{Server: r.m.Server, Rev: r.m.Revision, Restored: &Restored{At: r.cfg.Now, Taken: r.m.Taken}}
	if err := c.writeIdentity(id); err != nil {
		return err
	}
	if err := (&Dir{cfg: c, id: id}).survey(); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = atomicfile.SyncDir(path)
		}
		return err
	})
}

// put writes one file durably.
func put(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}
