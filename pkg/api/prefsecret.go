package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Preferences that hold secrets of the server, which tokens are bound to.
const (
	PrefBaseSecret    = "baseTokenSecret"
	PrefGrantorSecret = "systemGrantorSecret"
)

// SealedPref begins what is kept of a secret preference: its SHA-256, in hex. To
// bind tokens it does as well as the secret.
const SealedPref = "sha256:"

// BaseSecretLen is the length of PrefBaseSecret in bytes, as DRP has it.
const BaseSecretLen = 32

// Seal puts in place of a secret what is kept of it, so that no reply, event,
// copy or backup has the secret. One of a wrong length stays, to be refused.
func (o *Preference) Seal() {
	switch {
	case o.Name != PrefBaseSecret && o.Name != PrefGrantorSecret, o.Value == "", sealedPref(o.Value):
	case o.Name == PrefBaseSecret && len(o.Value) != BaseSecretLen:
	default:
		sum := sha256.Sum256([]byte("drpd " + o.Name + "\x00" + o.Value))
		o.Value = SealedPref + hex.EncodeToString(sum[:])
	}
}

func sealedPref(value string) bool {
	sum, err := hex.DecodeString(strings.TrimPrefix(value, SealedPref))
	return strings.HasPrefix(value, SealedPref) && err == nil && len(sum) == sha256.Size
}
