// Package workflow decides what a machine, cluster or broker does next: how a
// workflow becomes a task list, which entry is next, what the end of a job
// means, and when a job is overdue. Package workorder uses the same cursor for
// work orders.
package workflow

import (
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Expand turns a workflow into its task list: for each stage "stage:x", then
// "bootenv:y" if that differs from the last one, then the stage's tasks with
// their prerequisites.
func Expand(r resource.Reader, name string) ([]string, error) {
	wf, err := api.Workflows.Get(r, name)
	if err != nil {
		return nil, err
	}
	return expandStages(r, name, wf.Stages)
}

func expandStages(r resource.Reader, workflow string, stages []string) ([]string, error) {
	x := expansion{r: r, seen: map[string]bool{}}
	lastEnv := ""
	for _, s := range stages {
		stage, err := api.Stages.Get(r, s)
		if err != nil {
			return nil, resource.Errorf(resource.Invalid, "workflows", workflow, "stage %q does not exist", s)
		}
		if x.out = append(x.out, "stage:"+s); len(x.out) > maxExpanded {
			return nil, tooLong("workflows", workflow)
		}
		if stage.BootEnv != "" && stage.BootEnv != lastEnv {
			lastEnv = stage.BootEnv
			x.out = append(x.out, "bootenv:"+lastEnv)
			x.seen = map[string]bool{}
		}
		for _, t := range stage.Tasks {
			if err := x.add(t, nil); err != nil {
				return nil, err
			}
		}
	}
	return x.out, nil
}

// ExpandTasks adds prerequisites to a plain task list, as blueprints have it.
func ExpandTasks(r resource.Reader, list []string) ([]string, error) {
	x := expansion{r: r, seen: map[string]bool{}, out: []string{}}
	for _, t := range list {
		if err := x.add(t, nil); err != nil {
			return nil, err
		}
	}
	return x.out, nil
}

// maxExpanded bounds a task list: it is made, and stored, within an update.
const maxExpanded = 10_000

func tooLong(kind, key string) error {
	return resource.Errorf(resource.Invalid, kind, key, "the task list would have more than %d entries", maxExpanded)
}

type expansion struct {
	r    resource.Reader
	out  []string
	seen map[string]bool // tasks since the last bootenv
}

// add appends a task after its prerequisites, depth first.
func (x *expansion) add(entry string, path []string) error {
	if len(x.out) > maxExpanded {
		return tooLong("tasks", entry)
	}
	verb, name := api.Entry(entry)
	if verb != "" {
		x.out = append(x.out, entry)
		return nil
	}
	if slices.Contains(path, name) {
		return resource.Errorf(resource.Invalid, "tasks", name, "is its own prerequisite through %v", path)
	}
	task, err := api.Tasks.Get(x.r, name)
	if err != nil {
		return resource.Errorf(resource.Invalid, "tasks", name, "does not exist")
	}
	for _, p := range task.Prerequisites {
		if x.seen[p] {
			continue
		}
		if err := x.add(p, append(path, name)); err != nil {
			return err
		}
	}
	x.seen[name] = true
	x.out = append(x.out, name)
	return nil
}
