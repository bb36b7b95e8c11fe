//go:build linux

package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Methods of erasure, as evidence names them.
const (
	methodSanitize = "sanitize"
	methodCrypto   = "crypto-erase"
)

// Action is one way in which a drive erases itself, all of it.
type Action string

// The actions, by the words of the standards: NVMe 2.0 section 5.24, SBC-4
// section 5.35, ACS-4 section 7.36. FormatCrypto and FormatUser are those of
// NVMe's Format NVM, which has no record that survives a power cut: it is used
// where there is no sanitize.
const (
	BlockErase   Action = "block erase"
	CryptoErase  Action = "crypto erase"
	FormatUser   Action = "format, user data erase"
	FormatCrypto Action = "format, cryptographic erase"
)

// method is how evidence calls it.
func (a Action) method() string {
	if a == CryptoErase || a == FormatCrypto {
		return methodCrypto
	}
	return methodSanitize
}

// Status is what a drive says of its last or present erasure.
type Status struct {
	Running  bool
	Progress float64 // 0 to 1
	Done     bool    // the last one completed
	Failed   bool
	Record   string // the drive's own words, as numbers
}

// self is a drive that can erase itself.
type self interface {
	// Actions are what the drive says it can do.
	Actions() ([]Action, error)
	// Erase begins one. An error says that nothing was begun.
	Erase(Action) error
	Status() (Status, error)
}

// errNone: the drive has no such commands.
var errNone = errors.New("it cannot erase itself")

// choose picks the action of a drive: what takes the cells with it before what
// only forgets the key, and what has a record of its own before what has none.
// A drive that is busy with one is waited for, and told nothing new. Why says
// why it is none.
func choose(can []Action, st Status) (a Action, why string) {
	if st.Running {
		return "", ""
	}
	for _, a := range []Action{BlockErase, CryptoErase, FormatUser, FormatCrypto} {
		if slices.Contains(can, a) {
			return a, ""
		}
	}
	return "", "the drive offers no action that erases all of it"
}

// judge says whether what a drive tells after it has accepted an erasure is its
// record that that completed.
func judge(after Status) (record, why string) {
	switch {
	case after.Running:
		return "", "it is not over"
	case after.Failed:
		return "", "the drive says that it failed: " + after.Record
	case !after.Done || after.Record == "":
		return "", "the drive has no record that it completed: " + after.Record
	}
	return after.Record, ""
}

// How a drive at work is asked, and for how long it may stand still.
const (
	erasePoll  = 2 * time.Second
	eraseStall = 2 * time.Hour
)

// eraseSelf lets a drive erase itself and waits for as long as it gets on. The
// record is the drive's own; an error says why there is none, and that the disk
// is to be overwritten.
func eraseSelf(ctx context.Context, d self, say func(format string, args ...any), poll time.Duration) (a Action, record string, err error) {
	can, err := d.Actions()
	if err != nil {
		return "", "", err
	}
	before, err := d.Status()
	if err != nil {
		return "", "", fmt.Errorf("ask for its status: %w", err)
	}
	a, why := choose(can, before)
	if why != "" {
		return "", "", errors.New(why)
	}
	if a != "" {
		if err := d.Erase(a); err != nil {
			return "", "", fmt.Errorf("%s: %w", a, err)
		}
	}
	after, err := waitSelf(ctx, d, say, poll)
	if err != nil {
		return a, "", err
	}
	if a == "" {
		// It was begun before, by whom and how nobody knows: once more.
		if a, why = choose(can, after); why != "" {
			return "", "", errors.New(why)
		}
		if err := d.Erase(a); err != nil {
			return "", "", fmt.Errorf("%s: %w", a, err)
		}
		if after, err = waitSelf(ctx, d, say, poll); err != nil {
			return a, "", err
		}
	}
	record, why = judge(after)
	if why != "" {
		return a, "", errors.New(why)
	}
	return a, record, nil
}

// waitSelf follows the progress of a drive. It says something only when the
// drive has got on: the server waits for as long as that goes on.
func waitSelf(ctx context.Context, d self, say func(string, ...any), poll time.Duration) (Status, error) {
	last := -1.0
	for still := time.Duration(0); ; still += poll {
		st, err := d.Status()
		if err != nil || !st.Running {
			return st, err
		}
		if st.Progress > last {
			say("erases itself: %.1f %%", st.Progress*100)
			last, still = st.Progress, 0
		}
		if still > eraseStall {
			return st, fmt.Errorf("the drive stands at %.1f %% for %s", st.Progress*100, eraseStall)
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-time.After(poll):
		}
	}
}

// eraseOrZero lets the drive erase itself. What it says counts only with its own
// record, and if places all over it then read as zeros; else it is overwritten,
// and the evidence says that.
func (h Host) eraseOrZero(ctx context.Context, p *pass) error {
	say := func(format string, args ...any) {
		fmt.Fprintf(p.log, "%s: %s\n", p.rep.Disk.Name, fmt.Sprintf(format, args...))
	}
	err := h.erased(ctx, p, say)
	if err == nil || ctx.Err() != nil {
		return err
	}
	say("it is overwritten: %v", err)
	return p.ranges(ctx, "wipe", p.dev.Zero)
}

func (h Host) erased(ctx context.Context, p *pass, say func(string, ...any)) error {
	d, closer, err := h.selfOf(p.rep.Disk)
	if err != nil {
		return err
	}
	defer closer()
	a, record, err := eraseSelf(ctx, d, say, erasePoll)
	if err != nil {
		return err
	}
	if err := p.dev.Flush(); err != nil { // what the kernel keeps of before
		return err
	}
	look := &pass{dev: p.dev, rep: Report{Disk: p.rep.Disk}, log: p.log}
	if err := look.verifyBlank(ctx, look.span()); err != nil {
		return fmt.Errorf("after %s by the drive: %w", a, err)
	}
	say("%s: %s", a, record)
	p.rep.Method, p.rep.Record, p.rep.Bytes = a.method(), record, p.dev.Size()
	return nil
}
