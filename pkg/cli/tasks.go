package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
)

// taskVerbs edit the part of a task list that has not begun.
func (g *group) taskVerbs() []*cobra.Command {
	add := func(ctx context.Context, args []string) error { return g.addTasks(ctx, args[0], args[1:]) }
	tasks := g.cmd("tasks [<id>]", "Show the task list and where it stands.", g.tasks)
	tasks.AddCommand(
		g.cmd("add <id> [at <offset>] [<task>]...", "Add tasks at the end of the present stage, or so many places after the current task.", add),
		g.cmd("del <id> <task>...", "Remove tasks that have not begun, each word one.", func(ctx context.Context, args []string) error {
			return g.editTasks(ctx, args[0], func(left []any) ([]any, error) { return without(left, args[1:]) })
		}))
	return []*cobra.Command{tasks,
		g.cmd("addtask <id> <task>...", "Add tasks at the end of the present stage.", add),
		g.cmd("inserttask <id> <task> [<offset>]", "Insert a task after the current one, or further on.", func(ctx context.Context, args []string) error {
			at := "0"
			if len(args) == 3 {
				at = args[2]
			}
			return g.addTasks(ctx, args[0], []string{"at", at, args[1]})
		}),
		g.cmd("removetask <id> <task>...", "Remove tasks that have not begun.", func(ctx context.Context, args []string) error {
			return g.editTasks(ctx, args[0], func(left []any) ([]any, error) { return without(left, args[1:]) })
		})}
}

func (g *group) tasks(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return failf(exitUsage, "name an object, or a verb: add, del")
	}
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	at, _ := o.at("CurrentTask").(float64)
	rows := []any{}
	for i, t := range o.list("Tasks") {
		rows = append(rows, object{"Index": i, "Task": t, "State": []string{"done", "current", "to come"}[1+compare(i, int(at))]})
	}
	return g.print("", rows)
}

func compare(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (g *group) addTasks(ctx context.Context, ref string, words []string) error {
	at := -1
	if len(words) > 1 && words[0] == "at" {
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 0 {
			return failf(exitUsage, "%q is not a number of places after the current task", words[1])
		}
		at, words = n, words[2:]
	}
	if len(words) == 0 {
		return failf(exitUsage, "missing: <task>")
	}
	return g.editTasks(ctx, ref, func(left []any) ([]any, error) {
		end := editable(left)
		if at > end {
			return nil, failf(exitUsage, "only %d tasks of the present stage are left: the offset is 0 to %d", end, end)
		}
		i := end
		if at >= 0 {
			i = at
		}
		add := make([]any, len(words))
		for j, w := range words {
			add[j] = w
		}
		return slices.Insert(left, i, add...), nil
	})
}

// editable is how many entries come before the next stage: only they may
// change.
func editable(left []any) int {
	for i, t := range left {
		if verb, _ := api.Entry(text(t)); verb == "stage" {
			return i
		}
	}
	return len(left)
}

func without(left []any, words []string) ([]any, error) {
	for _, w := range words {
		i := slices.Index(left[:editable(left)], any(w))
		if i < 0 {
			return nil, failf(exitNotFound, "task %s is not among those that may be removed: %s", w, text(left[:editable(left)]))
		}
		left = slices.Delete(left, i, i+1)
	}
	return left, nil
}

// editTasks changes what is after the current task, provided that nothing
// moved meanwhile.
func (g *group) editTasks(ctx context.Context, ref string, fn func(left []any) ([]any, error)) error {
	o, err := g.fetch(ctx, g.kind, ref, nil)
	if err != nil {
		return err
	}
	all := o.list("Tasks")
	at, _ := o.at("CurrentTask").(float64)
	done := min(max(int(at)+1, 0), len(all))
	left, err := fn(slices.Clone(all[done:]))
	if err != nil {
		return about(err, "tasks of %s", ref)
	}
	next := append(slices.Clone(all[:done]), left...)
	out, err := g.change(ctx, g.kind, keyOf(g.kind, o), patchOp{"test", "/CurrentTask", o.at("CurrentTask")},
		patchOp{"test", "/Tasks", o.at("Tasks")}, setField("Tasks", next))
	if err != nil {
		return about(err, "tasks of %s", ref)
	}
	return g.print(g.name, out)
}

// stageVerbs edit a stage.
func (g *group) stageVerbs() []*cobra.Command {
	edit := func(ctx context.Context, ref string, fn func(list []any) []any) error {
		o, err := g.fetch(ctx, g.kind, ref, nil)
		if err != nil {
			return err
		}
		done, err := g.change(ctx, g.kind, keyOf(g.kind, o), patchOp{"test", "/Tasks", o.at("Tasks")}, setField("Tasks", fn(slices.Clone(o.list("Tasks")))))
		if err != nil {
			return about(err, "tasks of stage %s", ref)
		}
		return g.print(g.name, done)
	}
	return []*cobra.Command{
		g.cmd("bootenv <id> <bootenv>", "Set the boot environment.", func(ctx context.Context, args []string) error {
			return g.set(ctx, args[0], setField("BootEnv", noneIsEmpty(args[1])))
		}),
		g.cmd("addtask <id> <task>...", "Add tasks at the end.", func(ctx context.Context, args []string) error {
			return edit(ctx, args[0], func(list []any) []any {
				for _, t := range args[1:] {
					list = append(list, t)
				}
				return list
			})
		}),
		g.cmd("removetask <id> <task>...", "Remove tasks.", func(ctx context.Context, args []string) error {
			return edit(ctx, args[0], func(list []any) []any {
				return slices.DeleteFunc(list, func(t any) bool { return slices.Contains(args[1:], fmt.Sprint(t)) })
			})
		}),
	}
}
