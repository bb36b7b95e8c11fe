package workflow

import (
	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// saveJob checks every move of a job and draws its consequences.
func (f *Flow) saveJob(tx *resource.Tx, old, new *api.Job) error {
	switch {
	case old == nil:
		return nil
	case new == nil:
		return mayDelete(tx, old)
	case old.State == new.State:
		return nil
	}
	moved := *old
	if err := moved.Move(new.State, tx.Now()); err != nil {
		return err
	}
	new.StartTime, new.EndTime, new.Waiting = moved.StartTime, moved.EndTime, ""
	if new.State == api.JobFinished && new.WorkOrder == "" {
		tx.After(func() error { return passFinished(tx, new.Uuid) })
	}
	if new.State != api.JobFailed || new.WorkOrder != "" {
		return nil
	}
	return f.failed(tx, new)
}

// passFinished moves a machine on from a job that has just finished, in the
// same update. Flow.Advance would do the same in a commit of its own.
func passFinished(tx *resource.Tx, id string) error {
	j, err := api.Jobs.Get(tx, id)
	if err != nil || j.State != api.JobFinished {
		return nil
	}
	k, m := api.Runner(tx, j.Machine)
	if m == nil || m.WorkOrderMode || m.PastJob || m.CurrentJob != id || max(m.CurrentTask, 0) != j.CurrentIndex {
		return nil
	}
	return (&Cursor{Kind: k, On: m}).pass(tx, j)
}

// mayDelete keeps a job that somebody may still be working on.
func mayDelete(r resource.Reader, j *api.Job) error {
	if _, m := api.Runner(r, j.Machine); m == nil || j.Ended() {
		return nil
	}
	return resource.Errorf(resource.Conflict, "jobs", j.Uuid, "is %s: a job of a machine can be deleted when it has ended", j.State)
}

// saveOrder checks every move of a work order. One that ends takes its
// unfinished job along, whoever ended it.
func saveOrder(tx *resource.Tx, old, new *api.WorkOrder) error {
	if old == nil {
		return nil
	}
	if new == nil {
		return dropJob(tx, old.CurrentJob, "its work order was deleted")
	}
	if old.State == new.State {
		return nil
	}
	moved := *old
	if err := moved.Move(new.State, tx.Now()); err != nil {
		return err
	}
	new.StartTime, new.EndTime = moved.StartTime, moved.EndTime
	if !new.Ended() {
		return nil
	}
	return dropJob(tx, new.CurrentJob, "its work order is "+string(new.State))
}
