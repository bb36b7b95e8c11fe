package store

import (
	"errors"
	"fmt"
)

// Errors to test for with errors.Is.
var (
	ErrConflict  = errors.New("conflict")
	ErrCompacted = errors.New("revision no longer in the log, load again")
	ErrClosed    = errors.New("store closed")
	ErrBadOps    = errors.New("bad ops")
)

// ConflictError says which record stopped a commit. It matches ErrConflict.
type ConflictError struct {
	Kind, Key  string
	Want, Have Rev // 0: no such record
}

// Error names the record and both revisions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflict on %s/%s: want %s, have %s", e.Kind, e.Key, revText(e.Want), revText(e.Have))
}

// Is makes every ConflictError match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

func revText(r Rev) string {
	if r == 0 {
		return "no record"
	}
	return fmt.Sprintf("revision %d", uint64(r))
}
