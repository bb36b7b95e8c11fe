package store

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of one commit; every backend accepts anything within them.
const (
	MaxOps    = 4096     // ops in a commit
	MaxKind   = 64       // bytes of a kind
	MaxKey    = 512      // bytes of a key
	MaxData   = 16 << 20 // bytes of one record's data
	MaxCommit = 64 << 20 // bytes of data in a commit
)

type recordID struct{ kind, key string }

// CheckOps returns an error matching ErrBadOps when ops cannot be committed
// whatever the store holds: none at all, over a limit, the same record twice,
// a deletion of what must not exist, or data on an op that only compares.
func CheckOps(ops []Op) error {
	if len(ops) == 0 || len(ops) > MaxOps {
		return fmt.Errorf("%w: %d ops, want 1 to %d", ErrBadOps, len(ops), MaxOps)
	}
	seen := make(map[recordID]int, len(ops))
	total := 0
	for i, op := range ops {
		if err := checkOp(op); err != nil {
			return fmt.Errorf("%w: op %d: %w", ErrBadOps, i, err)
		}
		id := recordID{op.Kind, op.Key}
		if first, dup := seen[id]; dup {
			return fmt.Errorf("%w: ops %d and %d both name %s/%s", ErrBadOps, first, i, op.Kind, op.Key)
		}
		seen[id] = i
		total += len(op.Data)
	}
	if total > MaxCommit {
		return fmt.Errorf("%w: %d bytes of data, limit %d: split the commit", ErrBadOps, total, MaxCommit)
	}
	return nil
}

func checkOp(op Op) error {
	if err := checkName("kind", op.Kind, MaxKind); err != nil {
		return err
	}
	if err := checkName("key", op.Key, MaxKey); err != nil {
		return err
	}
	switch {
	case len(op.Data) > MaxData:
		return fmt.Errorf("%s/%s: %d bytes of data, limit %d", op.Kind, op.Key, len(op.Data), MaxData)
	case op.Need && op.Data != nil:
		return fmt.Errorf("%s/%s: data on an op that only compares", op.Kind, op.Key)
	case !op.Need && op.Data == nil && op.If == 0:
		return fmt.Errorf("%s/%s: deletion without the revision last seen", op.Kind, op.Key)
	}
	return nil
}

// checkName refuses what a text column or a path-like key of some backend
// would change or cut short.
func checkName(what, s string, limit int) error {
	switch {
	case s == "":
		return fmt.Errorf("empty %s", what)
	case len(s) > limit:
		return fmt.Errorf("%s %.32q...: %d bytes, limit %d", what, s, len(s), limit)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return fmt.Errorf("%s %q: not UTF-8 or holds NUL", what, s)
	}
	return nil
}
