// Package store keeps numbered records atomically and lets them be followed.
//
// It knows nothing of what the records mean: package resource gives them
// types, and one conformance suite (storetest) says what every backend must do.
package store

import (
	"context"
	"errors"
	"iter"
)

// Rev numbers commits: strictly increasing, 0 before the first.
type Rev uint64

// Record is one stored value. Data is nil only inside a Commit, where it says
// that the record was deleted.
type Record struct {
	Kind, Key string
	Rev       Rev
	Data      []byte
}

// Op is one change of a Commit. If is the revision at which the record was
// last seen, 0 if it must not exist. Nil Data deletes. Need compares only.
type Op struct {
	Kind, Key string
	If        Rev
	Data      []byte
	Need      bool
}

// Commit is what one successful call of Store.Commit changed.
type Commit struct {
	Rev     Rev
	Records []Record
}

var (
	// ErrConflict is wrapped by Commit when a record is not at the revision
	// that its Op names; nothing was changed.
	ErrConflict = errors.New("record changed meanwhile")
	// ErrCompacted ends a Watch whose start is no longer in the log: Load again.
	ErrCompacted = errors.New("history no longer kept")
)

// Store is durable, ordered and atomic. All methods may be called at once.
type Store interface {
	// Load calls fn for every live record and returns the revision they are of.
	Load(ctx context.Context, fn func(Record) error) (Rev, error)
	// Commit does all ops or none. When it returns without error the change
	// survives a loss of power.
	Commit(ctx context.Context, ops []Op) (Rev, error)
	// Watch yields every later commit, in order, until ctx ends.
	Watch(ctx context.Context, after Rev) iter.Seq2[Commit, error]
	Close() error
}
