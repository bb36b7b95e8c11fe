package driver

import (
	"context"
	"errors"
	"time"
)

// proof says how to see that an accepted order was carried out.
type proof struct {
	op     string
	wanted string
	cure   string // if it never shows
	within time.Duration
	every  time.Duration
	// read returns done, or what the controller reports instead.
	read func(ctx context.Context) (done bool, seen string, err error)
}

// until reads until the proof is there or time is over. A read that fails is tried
// again, for controllers refuse reads in the middle of a power change; wrong
// credentials and missing abilities do not mend.
func (r reporter) until(ctx context.Context, p proof) error {
	bounded, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	last, lastErr := "", error(nil)
	for {
		done, seen, err := p.read(bounded)
		switch class := ClassOf(err); {
		case err == nil && done:
			return nil
		case err == nil:
			last, lastErr = seen, nil
		case class == ClassAuth || class == ClassUnsupported:
			return err
		case bounded.Err() == nil || last == "":
			lastErr = err // unless it is only our own deadline that cut off a good talk
		}
		select {
		case <-bounded.Done():
			return r.unproved(ctx, p, last, lastErr)
		case <-tick.C:
		}
	}
}

// unproved says why the proof did not come.
func (r reporter) unproved(ctx context.Context, p proof, last string, lastErr error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return r.fail(ClassOther, p.op, "", ctx.Err())
	case lastErr != nil:
		return lastErr
	}
	return r.fail(ClassLied, p.op, p.cure, ErrLied{Wanted: p.wanted, Reported: last})
}
