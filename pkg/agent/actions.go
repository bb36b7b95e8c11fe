//go:build linux

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/ops"
	"drpd/pkg/api"
	"drpd/pkg/client"
)

// interpreterSelf marks templates that are operations of the agent itself.
const interpreterSelf = "drp-agent"

// actions runs the templates of a job one after another.
func (a *agent) actions(ctx context.Context, j *api.Job, legacy bool, log *jobLog, reports *[]api.DiskReport) result {
	list, err := ask(ctx, a, func(c *client.Client) ([]api.JobAction, error) { return c.JobActions(ctx, j.Uuid) })
	if err != nil {
		return failed("get the templates of task %s: %v", j.Task, err)
	}
	dir, err := os.MkdirTemp(a.cfg.StateDir, "job-")
	if err != nil {
		return failed("make task directory: %v", err)
	}
	defer os.RemoveAll(dir)
	if err := writeHelper(dir); err != nil {
		return failed("write %s: %v", helperName, err)
	}
	res := result{state: api.JobFinished, exit: exitComplete}
	for i, act := range list {
		code, err := a.action(ctx, j, act, dir, log, reports)
		if err != nil {
			return failed("%s: %v", act.Name, err)
		}
		ends, ok := exitResult(code, legacy && act.Meta["Interpreter"] != interpreterSelf && !saysSane(dir))
		if !ok {
			return failed("%s: exit code %d%s", act.Name, code, log.lastError())
		}
		res = ends
		if ends.exit == exitComplete {
			continue
		}
		if i < len(list)-1 {
			res = nonFinal(ends)
		}
		break
	}
	return res
}

// action does one template: a file to write, an operation, or a script.
func (a *agent) action(ctx context.Context, j *api.Job, act api.JobAction, dir string, log *jobLog, reports *[]api.DiskReport) (int, error) {
	if act.Path != "" {
		path := act.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		fmt.Fprintf(log, "write %s\n", path)
		return 0, writeFile(path, act.Content)
	}
	if strings.TrimSpace(act.Content) == "" {
		return 0, nil
	}
	if act.Meta["Interpreter"] == interpreterSelf {
		if a.cfg.Context != "" {
			return 0, fmt.Errorf("an operation on the machine itself cannot run in context %s", a.cfg.Context)
		}
		r := ops.Runner{Hardware: a.cfg.Hardware, Server: ownServer{a}, Log: log,
			Evidence: func(e ops.Evidence) { *reports = append(*reports, Report(e)) }}
		code, err := r.Run(ctx, act.Content)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return code, err
	}
	return a.script(ctx, j, act, dir, log)
}

// writeFile replaces a file as a whole, so that a crash leaves the old one.
func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".drp-new"
	if err := os.WriteFile(tmp, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Report is evidence as the server takes it.
func Report(e ops.Evidence) api.DiskReport {
	out := api.DiskReport{Op: e.Op, Disks: []api.DiskFact{}}
	for _, d := range e.Disks {
		out.Disks = append(out.Disks, api.DiskFact{DiskID: diskID(d), Name: d.Name, Transport: d.Transport, Removable: d.Removable,
			ReadOnly: d.ReadOnly, Virtual: d.Virtual, Expander: d.Expander, Content: d.Content})
	}
	for _, r := range e.Done {
		out.Done = append(out.Done, api.DiskDone{DiskID: diskID(r.Disk), Method: r.Method, Bytes: r.Bytes, Record: cut(r.Record), Samples: r.Samples, Error: cut(r.Error)})
	}
	return out
}

func diskID(d disk.Disk) api.DiskID {
	return api.DiskID{Serial: cut(d.Serial), WWN: cut(d.WWN), Path: cut(d.Path), Model: cut(d.Model), Size: d.Size}
}

// cut keeps a text of the hardware's within what the server takes.
func cut(s string) string { return s[:min(len(s), 200)] }
