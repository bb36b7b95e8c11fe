package daemon

import (
	"context"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/datadir"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// A file that no object names is deleted when servers have found it so twice,
// unnamedFor apart: the database may be an older copy, or half a restore.
const (
	unnamedFor  = 24 * time.Hour
	unnamedLook = time.Hour
)

// unnamed are the job logs whose job the database does not know, and the
// programs of plugin providers that are not there.
func (d *Daemon) unnamed(ctx context.Context) (map[string]bool, error) {
	prefix := rest.JobLog("")
	list, err := d.blobs.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	v, out := d.DB.View(), map[string]bool{}
	for _, info := range list {
		if !api.Jobs.Has(v, info.Path[len(prefix):]) {
			out[info.Path] = true
		}
	}
	if d.plugins == nil {
		return out, nil
	}
	programs, err := d.plugins.Unnamed(ctx)
	for _, p := range programs {
		out[p] = true
	}
	return out, err
}

// countUnnamed notes which files are unnamed and since when, and says which have
// been for long enough. waited is the time since the last look of this process:
// measured, not the difference of two clock times.
func countUnnamed(tx *resource.Tx, unnamed map[string]bool, now time.Time, waited time.Duration) ([]string, error) {
	var due []string
	for o := range datadir.UnnamedFiles.Each(tx) {
		u := o.Val.(*datadir.Unnamed)
		if !unnamed[u.Path] {
			if err := datadir.UnnamedFiles.Delete(tx, u.Path); err != nil {
				return nil, err
			}
			continue
		}
		if u.Waited+waited >= unnamedFor {
			due = append(due, u.Path)
		}
	}
	for path := range unnamed {
		if !datadir.UnnamedFiles.Has(tx, path) {
			if err := datadir.UnnamedFiles.Create(tx, &datadir.Unnamed{Path: path, First: now}); err != nil {
				return nil, err
			}
			continue
		}
		err := datadir.UnnamedFiles.Modify(tx, path, func(u *datadir.Unnamed) error { u.Waited += waited; return nil })
		if err != nil && waited > 0 {
			return nil, err
		}
	}
	return due, nil
}

// dropUnnamed looks for unnamed files and deletes those that are due.
func (d *Daemon) dropUnnamed(ctx context.Context, waited time.Duration) error {
	unnamed, err := d.unnamed(ctx)
	if err != nil {
		return err
	}
	if len(unnamed) == 0 && datadir.UnnamedFiles.Len(d.DB.View()) == 0 {
		return nil
	}
	var due []string
	err = d.DB.Update(ctx, func(tx *resource.Tx) error {
		due, err = countUnnamed(tx, unnamed, tx.Now(), waited)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range due {
		d.cfg.Log.Info("a file that no object has named for more than a day is deleted", "file", name)
		d.dropLog(name)
	}
	return nil
}

// lookForUnnamed looks at start and then every hour.
func (d *Daemon) lookForUnnamed(ctx context.Context) error {
	t := time.NewTicker(unnamedLook)
	defer t.Stop()
	for last := time.Now(); ; {
		looked := time.Now()
		if err := d.dropUnnamed(ctx, looked.Sub(last)); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("files without an object are not looked for", "err", err)
		} else {
			last = looked
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
