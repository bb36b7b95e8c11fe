package guard

import (
	"regexp"
	"slices"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// interpreter marks templates that are operations of the agent itself.
const interpreter = "drp-agent"

// harmless are the agent's operations that write to no disk. One that is not
// here is taken for one that does.
func harmless(op string) bool {
	return slices.Contains([]string{"inventory", "verify-blank", "reboot", "poweroff"}, op)
}

func effect(op string) Effect {
	if op == "deploy" {
		return Install
	}
	return Wipe
}

// Entry refuses to begin an entry of a machine's task list, or of its work
// order's, that would write to the disks of a protected cluster's member, or
// over what is nobody's.
func Entry(r resource.Reader, m *api.Machine, entry string) error {
	return entryBy(r, m, entry, Destroy)
}

// entryBy asks one question of what an entry does to disks.
func entryBy(r resource.Reader, m *api.Machine, entry string, ask func(resource.Reader, *api.Machine, Effect) error) error {
	if ask(r, m, Wipe) == nil && ask(r, m, Install) == nil {
		return nil // it may be anything, which is soon known
	}
	if what := effectOf(r, entry); what != "" {
		return ask(r, m, what)
	}
	return nil
}

// effectOf is what an entry does to disks, "" if nothing, as far as can be seen
// before its templates are rendered; Actions looks at what they become.
func effectOf(r resource.Reader, entry string) Effect {
	verb, name := api.Entry(entry)
	if verb == "bootenv" {
		if env, err := api.BootEnvs.Get(r, name); err == nil && env.OneShot() {
			return Install
		}
		return ""
	}
	switch api.Operation(r, entry) {
	case "":
	case "disk/plan-wipe":
		return Wipe
	case "disk/plan-install":
		return Install
	default:
		return ""
	}
	task, err := api.Tasks.Get(r, name)
	if verb != "" || err != nil {
		return ""
	}
	for _, t := range task.Templates {
		if t.Meta["Interpreter"] != interpreter {
			continue
		}
		text := t.Contents
		if shared, err := api.Templates.Get(r, t.ID); err == nil {
			text = shared.Contents
		}
		if op, bad := writes(text); bad {
			return effect(op)
		}
	}
	return ""
}

// writes finds an operation in the text of a template that may write to disks.
func writes(text string) (op string, found bool) {
	list := regexp.MustCompile(`(?i)\bop["']?\s*:\s*["']?([a-z-]*)`).FindAllStringSubmatch(text, -1)
	for _, m := range list {
		if op := strings.ToLower(m[1]); !harmless(op) {
			return op, true
		}
	}
	return "", len(list) == 0
}

// ends says whether a task list of a cluster lets its members go, by itself or
// by the lists that its stages put into it.
func ends(r resource.Reader, c *api.Machine) bool {
	list, stages := slices.Clone(c.Tasks), []string{c.Stage}
	for _, entry := range c.Tasks {
		if verb, name := api.Entry(entry); verb == "stage" {
			stages = append(stages, name)
		}
	}
	for _, name := range stages {
		list = append(list, flexible(r, c, name)...)
	}
	return slices.ContainsFunc(list, func(entry string) bool {
		op := api.Operation(r, entry)
		return op == "cluster/leave" || op == "cluster/release"
	})
}

// flexible is the list that a stage names for FlexiFlow to put in.
func flexible(r resource.Reader, c *api.Machine, stage string) []string {
	s, err := api.Stages.Get(r, stage)
	if err != nil {
		return nil
	}
	scope := param.Scope{Machine: c, Stage: s}
	name, err := param.String(r, scope, "flexiflow/list-parameter")
	if err != nil || name == "" {
		return nil
	}
	list, _ := param.Strings(r, scope, name)
	return list
}
