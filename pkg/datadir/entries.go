package datadir

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// entries are the names in a backup so far. Whatever makes a backup, its entries
// are plain files and links of blobs/, each named once, below what restore
// writes, and none by way of another.
type entries struct {
	named  map[string]bool
	folder map[string]bool // that a name is in
}

// add refuses an entry that no backup of drpd has.
func (e *entries) add(h *tar.Header) error {
	if e.named == nil {
		e.named, e.folder = map[string]bool{}, map[string]bool{}
	}
	fixed := slices.Contains([]string{PartDatabase, entryKeys, entryManifest, entryMAC, entrySignature}, h.Name)
	top, rest, _ := strings.Cut(h.Name, "/")
	switch {
	case !fixed && (top != PartBlobs && top != AuditDir || rest == ""):
		return fmt.Errorf("it holds %q, which is no part of a server", h.Name)
	case path.Clean(h.Name) != h.Name || !filepath.IsLocal(h.Name) || strings.ContainsAny(h.Name, "\x00\\"):
		return fmt.Errorf("it holds %q, which is no plain name", h.Name)
	case passing(h.Name), h.Typeflag != tar.TypeReg && strings.HasPrefix(h.Name, ownBlobs+"/"):
		return fmt.Errorf("it holds %s, which belongs to a server that runs", h.Name)
	case e.named[h.Name] || e.folder[h.Name]:
		return fmt.Errorf("it holds %s twice", h.Name)
	case h.Typeflag != tar.TypeReg && (h.Typeflag != tar.TypeSymlink || top != PartBlobs):
		return fmt.Errorf("%s is neither a file nor a link among uploads", h.Name)
	case h.Mode&^0o777 != 0:
		return fmt.Errorf("%s has mode %04o: none of the server's files has more than permissions", h.Name, h.Mode)
	case h.Typeflag == tar.TypeSymlink && leadsOut(h.Name, h.Linkname):
		return fmt.Errorf("%s is a link to %q, out of the uploads", h.Name, h.Linkname)
	}
	e.named[h.Name] = true
	for up := path.Dir(h.Name); up != "."; up = path.Dir(up) {
		if e.named[up] {
			return fmt.Errorf("it holds %s, and %s as if that were a folder", up, h.Name)
		}
		e.folder[up] = true
	}
	return nil
}

// leadsOut says whether a link of blobs/ leads out of it or to what is the
// server's own there. A way up is only at its beginning, so that no link on its
// way changes where it leads.
func leadsOut(name, target string) bool {
	if target == "" || path.IsAbs(target) || strings.ContainsRune(target, 0) {
		return true
	}
	down := false
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." && down {
			return true
		}
		down = down || part != ".." && part != "." && part != ""
	}
	to := path.Join(path.Dir(name), target)
	return !strings.HasPrefix(to, PartBlobs+"/") || to == ownBlobs || strings.HasPrefix(to, ownBlobs+"/")
}

// ownBlobs is what the server keeps for itself among the uploads.
const ownBlobs = PartBlobs + "/.blob"

// passing says whether a file is of what is not finished, and in no backup.
func passing(name string) bool {
	return name == ownBlobs || inProgress(name) && name != ownBlobs+"/server"
}

// putEntry writes one entry as the manifest has it: the file may have been
// exchanged since it was looked through.
func (r *restore) putEntry(root *os.Root, want BackupPart, h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeSymlink {
		if want.SHA256 != "link "+h.Linkname {
			return fmt.Errorf("%s changed while it was restored", h.Name)
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o700); err != nil {
			return err
		}
		return root.Symlink(h.Linkname, h.Name)
	}
	sum := sha256.New()
	err := put(root, h.Name, io.TeeReader(io.LimitReader(body, want.Size), sum))
	if err == nil && (h.Size != want.Size || hex.EncodeToString(sum.Sum(nil)) != want.SHA256) {
		err = fmt.Errorf("%s changed while it was restored", h.Name)
	}
	return errors.Join(err, root.Chtimes(h.Name, h.ModTime, h.ModTime))
}

// parts are those of the manifest by name.
func (r *restore) parts() map[string]BackupPart {
	out := map[string]BackupPart{}
	for _, p := range r.m.Parts {
		out[p.Name] = p
	}
	return out
}
