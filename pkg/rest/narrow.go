package rest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// mayChange checks one changed path. Who may not change all of it may change
// parts: then each part that differs must be covered by a claim.
func (h *kindServer) mayChange(c echo.Context, o resource.Object, is func() map[string]json.RawMessage, path string) error {
	if path == "/CurrentTask" {
		if err := mayStepBack(c, o, is); err != nil {
			return err
		}
	}
	if path == "/Tasks" {
		if err := mayList(c, o, is); err != nil {
			return err
		}
	}
	whole := allow(c, o.Kind, "update:"+path, o.Key)
	if whole == nil {
		return nil
	}
	field, _, _ := strings.Cut(path[1:], "/")
	var a, b any
	old, new := member(o.JSON, field), is()[field]
	if old != nil && json.Unmarshal(old, &a) != nil || new != nil && json.Unmarshal(new, &b) != nil {
		return whole
	}
	covered := false
	for _, part := range differing("/"+field, a, b) {
		if part != path && !strings.HasPrefix(part, path+"/") {
			continue
		}
		if err := allow(c, o.Kind, "update:"+part, o.Key); err != nil {
			return err
		}
		covered = true
	}
	if !covered {
		return whole
	}
	return nil
}

// mayList wants the right to what an entry added to a task list does when its
// turn comes: a task list is no way round it. Most of all it is no way for the
// jobs of a machine to have their own text run on the server: that is where tasks
// run that come after a context.
func mayList(c echo.Context, o resource.Object, is func() map[string]json.RawMessage) error {
	m, ok := o.Val.(*api.Machine)
	var list []string
	if !ok || json.Unmarshal(is()["Tasks"], &list) != nil {
		return nil
	}
	had := placed(m.Tasks)
	for _, p := range placed(list) {
		if at := slices.Index(had, p); at >= 0 {
			had = slices.Delete(had, at, at+1)
			continue
		}
		if right := p.right(m.Context); right != "" {
			if err := allow(c, o.Kind, right, o.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is an entry of a task list with the context that it comes in.
type place struct{ verb, name, context string }

func placed(list []string) []place {
	out := make([]place, len(list))
	context := ""
	for i, entry := range list {
		verb, name := api.Entry(entry)
		if verb == "context" {
			context = name
		}
		out[i] = place{verb, name, context}
	}
	return out
}

// right is what adding the entry takes beyond the list itself, while the object
// is in a context.
func (p place) right(now string) string {
	switch p.verb {
	case "bootenv":
		return "update:/BootEnv"
	case "stage":
		return "update:/Stage"
	case "action":
		return "action:" + p.name
	}
	if p.context == "" || p.context == now {
		return ""
	}
	return "update:/Context"
}

// mayStepBack wants a claim of its own for putting a machine before an entry of
// its task list that has run, as DRP does: to begin anew, which -1 asks for, who
// may update the machine may.
func mayStepBack(c echo.Context, o resource.Object, is func() map[string]json.RawMessage) error {
	m, ok := o.Val.(*api.Machine)
	var to int
	if !ok || json.Unmarshal(is()["CurrentTask"], &to) != nil || to < 0 || to >= m.CurrentTask {
		return nil
	}
	return allow(c, o.Kind, "updateTaskList", o.Key)
}

// differing are JSON pointers to the smallest parts in which two values differ.
func differing(at string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	x, y := partsOf(a), partsOf(b)
	if x == nil || y == nil {
		return []string{at}
	}
	var out []string
	both := maps.Clone(x)
	maps.Copy(both, y)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		out = append(out, differing(at+"/"+pointer(key), x[key], y[key])...)
	}
	return out
}

// partsOf are the parts of an object or list, by their names in a pointer; no
// value has none, and what has no parts is nil.
func partsOf(v any) map[string]any {
	switch v := v.(type) {
	case nil:
		return map[string]any{}
	case map[string]any:
		return v
	case []any:
		out := make(map[string]any, len(v))
		for i, e := range v {
			out[strconv.Itoa(i)] = e
		}
		return out
	}
	return nil
}
