package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// savedSum is a checksum and the file it was taken of. It holds only while
// size and time are still the same, so a file that was replaced or appended to
// has none; nothing needs to be removed for that.
type savedSum struct {
	Size    int64
	ModTime time.Time
	SHA256  string
}

// sumPath is flat, so that it cannot clash as "a" and "a/b" would.
func sumPath(name string) string {
	h := sha256.Sum256([]byte(name))
	return sumDir + "/" + hex.EncodeToString(h[:])
}

// knownSum returns the saved checksum, "" if there is none or it is stale. A
// file torn by power loss does not parse and counts as none.
func (d *Dir) knownSum(i Info) string {
	data, err := d.root.ReadFile(sumPath(i.Path))
	if err != nil {
		return ""
	}
	var s savedSum
	if json.Unmarshal(data, &s) != nil || s.Size != i.Size || !s.ModTime.Equal(i.ModTime) {
		return ""
	}
	return s.SHA256
}

// saveSum replaces the saved checksum in one step.
func (d *Dir) saveSum(i Info) error {
	data, err := json.Marshal(savedSum{Size: i.Size, ModTime: i.ModTime, SHA256: i.SHA256})
	if err != nil {
		return err
	}
	tmp := tmpDir + "/" + rand.Text()
	if err := d.root.WriteFile(tmp, data, fileMode); err != nil {
		return err
	}
	return d.root.Rename(tmp, sumPath(i.Path))
}

// Sum describes a blob with its SHA-256, reading the whole file only if that
// is not known: it was dropped in by hand or appended to.
func (d *Dir) Sum(ctx context.Context, name string) (Info, error) {
	f, fi, err := d.open(name)
	if err != nil {
		return Info{}, fmt.Errorf("sum blob %s: %w", name, err)
	}
	defer f.Close()
	info := d.info(name, fi)
	if info.SHA256 != "" {
		return info, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(ctxReader{ctx, f}, info.Size)); err != nil {
		return Info{}, fmt.Errorf("sum blob %s: %w", name, err)
	}
	info.SHA256 = hex.EncodeToString(hash.Sum(nil))
	after, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("sum blob %s: %w", name, err)
	}
	if after.Size() != info.Size || !after.ModTime().Equal(info.ModTime) {
		return Info{}, fmt.Errorf("sum blob %s: changed while it was read", name)
	}
	return info, d.saveSum(info)
}
