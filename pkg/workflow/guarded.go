package workflow

import (
	"time"

	"drpd/pkg/api"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// guarded asks whether an entry of a machine's list may be begun.
func guarded(r resource.Reader, c *Cursor, entry string) error {
	if c.Kind != api.Machines {
		return nil
	}
	return guard.Entry(r, c.On, entry)
}

// refused records a try at an entry that failed before it began.
func (f *Flow) refused(tx *resource.Tx, now time.Time, c *Cursor, index int, why error) error {
	j, err := newJob(tx, now, c, index, api.JobRunning)
	if err != nil {
		return err
	}
	return Fail(tx, now, j.Uuid, why.Error())
}
