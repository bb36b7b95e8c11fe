package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	"drpd/pkg/api"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/workflow"
)

// dropLogs removes the log of each job as it is deleted. What is missed, as at a
// crash, is found later: see dropUnnamed.
func (d *Daemon) dropLogs(ctx context.Context) error {
	for ctx.Err() == nil {
		for evs, err := range d.DB.Watch(ctx, d.DB.Seq(), func(e *resource.Event) bool { return e.Type == api.Jobs.Name && e.New == nil }) {
			if err != nil {
				break // fell behind: what was missed is found as unnamed
			}
			for _, e := range evs {
				d.dropLog(rest.JobLog(e.Key))
			}
		}
	}
	return nil
}

func (d *Daemon) dropLog(name string) {
	if err := d.blobs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.cfg.Log.Warn("log of a deleted job is kept", "log", name, "err", err)
	}
}

// missing names, as DRP's clients do, the jobs of machines that are gone.
const missing = "missing"

// Purged is the reply to DELETE /jobs.
type Purged struct {
	DryRun bool
	Jobs   []string // uuids
}

// purgeJobs is DELETE /jobs: ended jobs beyond the retention, which the query
// may tighten or narrow to one machine.
func (d *Daemon) purgeJobs(ctx context.Context, r rest.Request) (int, any, error) {
	v := d.DB.View()
	keep, err := workflow.RetentionOf(func(name string) string {
		if s := r.Query.Get(name); s != "" {
			return s
		}
		p, err := api.Preferences.Get(v, name)
		if err != nil {
			return ""
		}
		return p.Value
	})
	if err != nil {
		return 0, nil, err
	}
	out := Purged{DryRun: isSet(r.Query, "dryrun"), Jobs: []string{}}
	for _, id := range d.purgeable(v, keep, r.Query.Get("machine")) {
		if r.Allow(api.Jobs.Name, "delete", id) == nil {
			out.Jobs = append(out.Jobs, id)
		}
	}
	if out.DryRun {
		return http.StatusOK, out, nil
	}
	return http.StatusOK, out, d.deleteJobs(ctx, out.Jobs)
}

func isSet(q url.Values, name string) bool { return q.Has(name) && q.Get(name) != "false" }

func (d *Daemon) purgeable(v *resource.View, keep workflow.Retention, machine string) []string {
	now := d.DB.Now()
	if machine != missing {
		return keep.Expired(v, now, machine)
	}
	var out []string
	for _, id := range keep.Expired(v, now, "") {
		j, err := api.Jobs.Get(v, id)
		if err != nil {
			continue
		}
		if _, m := api.Runner(v, j.Machine); m == nil {
			out = append(out, id)
		}
	}
	return out
}

// deleteJobs deletes in batches, so that other updates come in between.
func (d *Daemon) deleteJobs(ctx context.Context, ids []string) error {
	const batch = 256
	for len(ids) > 0 {
		n := min(len(ids), batch)
		err := d.DB.Update(ctx, func(tx *resource.Tx) error {
			for _, id := range ids[:n] {
				if err := api.Jobs.Delete(tx, id); err != nil && resource.CodeOf(err) != resource.NotFound {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("purge jobs: %w", err)
		}
		ids = ids[n:]
	}
	return nil
}

// logged notes the progress that a job's log shows.
func (d *Daemon) logged(ctx context.Context, job string) error {
	note := func(tx *resource.Tx) error { return workflow.Progressed(tx, tx.Now(), job) }
	if d.DB.Idle(note) {
		return nil
	}
	return d.DB.Update(ctx, note)
}
