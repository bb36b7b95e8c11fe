// Package store is the durable home of every object: a flat set of records,
// each named by kind and key, changed by atomic compare-and-set commits that
// are numbered and can be followed.
//
// The package knows nothing of what a record means. It is four methods so that
// a backend is easy to write and the suite in storetest can hold it to them.
package store

import (
	"context"
	"iter"
)

// Rev numbers commits. It starts at 1, rises with every commit and is never
// used twice, even when all records of a commit are gone. 0 means "none".
type Rev uint64

// Record is one stored object. Data is opaque, shared with the store and must
// not be changed by whoever receives it.
type Record struct {
	Kind, Key string
	Rev       Rev    // the commit that last wrote it
	Data      []byte // nil only inside a Commit: deleted
}

// Op is one step of a commit: compare the record's revision with If, then
// write, delete or (Need) do nothing.
type Op struct {
	Kind, Key string
	If        Rev    // revision last seen; 0: the record must not exist
	Data      []byte // nil deletes; empty but not nil is an empty record
	Need      bool   // compare only; Data must be nil
}

// Commit is what one call of Store.Commit changed, in the order of its ops.
// Ops that only compared are not in it.
type Commit struct {
	Rev     Rev
	Records []Record
}

// Store keeps records. All methods may be called concurrently, and end with
// ErrClosed once the store is closed.
type Store interface {
	// Load calls fn with every live record, in no particular order, and returns
	// the revision they are of: following Watch from it misses nothing. An error
	// of fn stops Load and is returned.
	Load(ctx context.Context, fn func(Record) error) (Rev, error)

	// Commit applies all ops or none. When it returns nil the change survives
	// power loss (durable backends) and Rev is its number; ops that all only
	// compare change nothing and return the current revision. ErrConflict: a
	// record is not at the revision an op gave. ErrBadOps: see CheckOps. After
	// any other error the change may or may not have been made: load again.
	Commit(ctx context.Context, ops []Op) (Rev, error)

	// Watch yields every commit later than after, in order and without gaps,
	// and waits for more. It ends by yielding one error: that of ctx, ErrClosed,
	// or ErrCompacted when commits after that revision are no longer kept.
	Watch(ctx context.Context, after Rev) iter.Seq2[Commit, error]

	// Close ends all watches and frees the store. A second call does nothing.
	Close() error
}
