package flexi

import (
	"fmt"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// ParamErrorHandlers maps a task to the tasks that handle its failure.
const ParamErrorHandlers = "task-error-handlers"

// ErrorTasks are the tasks that handle the failure of a machine's task, composed
// of all layers: the nearest one that names the task comes first.
func ErrorTasks(r resource.Reader, m *api.Machine, task string) ([]string, error) {
	s := param.Scope{Machine: m}
	if st, err := api.Stages.Get(r, m.Stage); err == nil {
		s.Stage = st
	}
	v, ok := param.Compose(r, s, ParamErrorHandlers)
	if !ok || v == nil {
		return nil, nil
	}
	all, isMap := v.(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("param %s must map a task to a list of tasks", ParamErrorHandlers)
	}
	entry, ok := all[task]
	if !ok {
		return nil, nil
	}
	list, ok := entry.([]any)
	var out []string
	for _, t := range list {
		var name string
		if name, ok = t.(string); !ok {
			break
		}
		out = append(out, name)
	}
	if !ok {
		return nil, fmt.Errorf("param %s: entry %s is not a list of tasks", ParamErrorHandlers, task)
	}
	return out, nil
}
