package datadir

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// keySize is the length of a key in bytes.
const keySize = 32

// Key is one key of a file.
type Key struct {
	Key   []byte    // 32 bytes
	Made  time.Time // zero: before that was noted
	Until time.Time // a former key: accepted until then
}

// String keeps keys out of logs and errors.
func (Key) String() string { return "[key]" }

// GoString does for %#v what String does for %v.
func (Key) GoString() string { return "[key]" }

// ID tells keys apart without telling them.
func (k Key) ID() string {
	h := sha256.New()
	h.Write([]byte("drpd key id 1\x00"))
	h.Write(k.Key)
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// KeyFile is a file of keys with whose they are. The first key is in use, the
// others are former ones that are still accepted.
type KeyFile struct {
	Server, Part string
	Keys         []Key
}

// Valid are the keys good at now, the one in use first.
func (f KeyFile) Valid(now time.Time) [][]byte {
	var out [][]byte
	for i, k := range f.Keys {
		if i == 0 || now.Before(k.Until) {
			out = append(out, k.Key)
		}
	}
	return out
}

// has says whether a key of that id is among them.
func (f KeyFile) has(id string) bool {
	for _, k := range f.Keys {
		if k.ID() == id {
			return true
		}
	}
	return false
}

// NewKey makes a key.
func NewKey(now time.Time) Key {
	k := Key{Key: make([]byte, keySize), Made: now}
	rand.Read(k.Key) // never fails
	return k
}

// readKeys reads a file of keys; one of before there were identities is the
// bare key.
func readKeys(path string) (KeyFile, error) {
	data, err := readSmall(path)
	if err != nil {
		return KeyFile{}, err
	}
	if info, err := os.Stat(path); err != nil {
		return KeyFile{}, err
	} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return KeyFile{}, fmt.Errorf("has mode %04o, which lets others read it: chmod 600, and think of the key as known", mode)
	}
	if len(data) == keySize {
		return KeyFile{Keys: []Key{{Key: data}}}, nil
	}
	var f KeyFile
	if err := json.Unmarshal(data, &f); err != nil || len(f.Keys) == 0 || f.Server == "" {
		return KeyFile{}, errors.New("is no file of keys")
	}
	for _, k := range f.Keys {
		if len(k.Key) != keySize {
			return KeyFile{}, fmt.Errorf("has a key of %d bytes, not %d", len(k.Key), keySize)
		}
	}
	return f, nil
}

// SaveKeys replaces the keys of a part.
func (d *Dir) SaveKeys(part string, keys []Key) error {
	f := KeyFile{Server: d.id.Server, Part: part, Keys: keys}
	if err := writeJSON(d.Path(part), f, 0o600); err != nil {
		return err
	}
	if part == PartMaster {
		d.Master = f
	} else {
		d.Token = f
	}
	return nil
}
