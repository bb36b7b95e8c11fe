package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"drpd/pkg/api"
)

// jobs lists the jobs that ran a task, oldest first, on one machine or on all.
func (s *site) jobs(ctx context.Context, machine, task string) ([]*api.Job, error) {
	args := []string{"jobs", "list", "Task=" + task, "sort=StartTime"}
	if machine != "" {
		list, err := s.machines(ctx)
		if err != nil {
			return nil, err
		}
		args = append(args, "Machine="+list[machine].Uuid)
	}
	var out []*api.Job
	return out, s.get(ctx, &out, args...)
}

// lastLog is the log of a machine's newest job of a task.
func (s *site) lastLog(ctx context.Context, machine, task string) (string, error) {
	list, err := s.jobs(ctx, machine, task)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("%s never ran %s", machine, task)
	}
	return s.cli(ctx, "jobs", "log", list[len(list)-1].Uuid)
}

// explain adds to a failure what drpd and the machines say about it.
func (s *site) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	for _, n := range s.nodes {
		err = errors.Join(err, s.reason(ctx, "machines", n.Name))
		err = errors.Join(err, fmt.Errorf("end of the console of %s:\n%s", n.Name, tail(n.SerialLog(), 1500)))
	}
	return errors.Join(err, fmt.Errorf("end of drpd's log:\n%s", tail(filepath.Join(s.dir, "drpd.log"), 3000)))
}

func tail(path string, n int64) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data[max(int64(len(data))-n, 0):])
}

func joinClose(err error, s *site) error { return errors.Join(err, s.close()) }
