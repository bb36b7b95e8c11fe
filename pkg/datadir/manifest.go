package datadir

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
)

// BackupFormat is the layout of backup files: a zstd stream of a tar archive
// with the database, the sealed keys, the files below blobs/ and audit/, the
// manifest, a code over it that only who can open the keys can make, and since
// format 2 a signature of the server's authority.
const BackupFormat = 2

// The entries of a backup besides blobs/ and audit/.
const (
	entryKeys     = "keys.age"
	entryManifest = "manifest.json"
	entryMAC      = "manifest.mac"
)

// Manifest says what a backup holds.
type Manifest struct {
	Format  int
	Version string // of the program
	Server  string // id
	// Authority is the SHA-256 of the certificate of the authority that signed it,
	// in hex; "": none did, before format 2.
	Authority string
	Taken     time.Time
	Revision  uint64 // of the database
	Parts     []BackupPart
	LeftOut   []BackupPart `json:",omitempty"` // on request
	Vanished  []string     `json:",omitempty"` // deleted while the backup was taken
}

// BackupPart is one file of a backup, or left out of it.
type BackupPart struct {
	Name   string
	Size   int64
	SHA256 string `json:",omitempty"`
}

// Seal is how the keys in a backup are sealed: by a passphrase or to an age
// recipient (age1...); Open with the passphrase or an age identity
// (AGE-SECRET-KEY-1...). One of the fields is set.
type Seal struct {
	Passphrase string
	Recipient  string // for Backup
	Identity   string // for Restore
}

// MinPassphrase is the shortest passphrase in bytes that seals a backup.
const MinPassphrase = 12

func (s Seal) recipient() (age.Recipient, error) {
	switch {
	case s.Recipient != "" && s.Passphrase != "":
		return nil, errors.New("give a passphrase or a recipient, not both")
	case s.Recipient != "":
		return age.ParseX25519Recipient(s.Recipient)
	case len(s.Passphrase) < MinPassphrase:
		return nil, fmt.Errorf("the passphrase has %d bytes, %d at least are wanted: who has the backup can try many", len(s.Passphrase), MinPassphrase)
	}
	return age.NewScryptRecipient(s.Passphrase)
}

func (s Seal) identity() (age.Identity, error) {
	if s.Identity != "" {
		return age.ParseX25519Identity(s.Identity)
	}
	return age.NewScryptIdentity(s.Passphrase)
}

// mac is the code over a manifest.
func mac(key, manifest []byte) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, "drpd backup 1\x00")
	h.Write(manifest)
	return h.Sum(nil)
}
