package rest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// refuseUnfit refuses what a machine would newly have and could not run with,
// as DRP does: profiles, stages, boot environments, workflows and tasks that do
// not exist or are not for machines, and such as are not available. What a
// machine has already may go away: then it is not available, and waits. With
// force it waits at once; other kinds always wait.
func (h *kindServer) refuseUnfit(c echo.Context, tx *resource.Tx, was, is any) error {
	m, ok := is.(*api.Machine)
	if !ok || isTrue(c.QueryParam("force")) {
		return nil
	}
	msgs, old := h.kind.Unfit(tx, is), &api.Machine{}
	if was != nil {
		old = was.(*api.Machine)
		msgs = slices.DeleteFunc(msgs, func(msg string) bool { return slices.Contains(old.Errors, msg) })
	}
	msgs = append(msgs, unready(tx, old, m)...)
	if msgs = append(msgs, unknownEntries(tx, old.Tasks, m.Tasks)...); len(msgs) == 0 {
		return nil
	}
	return &resource.Error{Code: resource.Invalid, Kind: h.kind.KindName(), Key: h.kind.KeyOf(is), Msgs: msgs}
}

// unready says which of workflow, stage and boot environment that the machine
// newly has exist and are not available. What follows from another of them
// does not count: that one says why.
func unready(r resource.Reader, old, m *api.Machine) (msgs []string) {
	if m.Workflow != old.Workflow {
		if o, err := api.Workflows.Get(r, m.Workflow); err == nil && !o.Available {
			msgs = append(msgs, wants(m, "Workflow", m.Workflow, o.Errors))
		}
		return msgs
	}
	if m.Stage != old.Stage {
		if o, err := api.Stages.Get(r, m.Stage); err == nil && !o.Available {
			return []string{wants(m, "Stage", m.Stage, o.Errors)}
		}
	}
	if m.BootEnv != old.BootEnv {
		if o, err := api.BootEnvs.Get(r, m.BootEnv); err == nil && !o.Available {
			msgs = append(msgs, "BootEnv "+m.BootEnv+" is not available"+because(o.Errors))
		}
	}
	return msgs
}

// wants has DRP's words.
func wants(m *api.Machine, what, name string, why []string) string {
	return fmt.Sprintf("Machine %s wants %s %s, which is not available%s", m.Uuid, what, name, because(why))
}

func because(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return ": " + strings.Join(why, "; ")
}

// unknownEntries says which entries that come new into a task list name no task, stage
// or boot environment that is there.
func unknownEntries(r resource.Reader, old, list []string) (msgs []string) {
	kinds := map[string]resource.Any{"": api.Tasks, "stage": api.Stages, "bootenv": api.BootEnvs}
	words := map[string]string{"": "Task", "stage": "Stage", "bootenv": "BootEnv"}
	for i, entry := range list {
		verb, name := api.Entry(entry)
		if k := kinds[verb]; k != nil && !k.Has(r, name) && !slices.Contains(old, entry) {
			msgs = append(msgs, fmt.Sprintf("%s %s (at %d) does not exist", words[verb], name, i))
		}
	}
	return msgs
}
