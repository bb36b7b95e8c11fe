package flexi

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

func TestErrorTasks(t *testing.T) {
	t.Parallel()
	handlers := func(v any) resource.Params { return resource.Params{ParamErrorHandlers: v} }
	for name, tc := range map[string]struct {
		machine, stage resource.Params
		want           []string
		err            string
	}{
		"none":           {nil, nil, nil, ""},
		"another's":      {handlers(map[string]any{"two": list("one")}), nil, nil, ""},
		"the machine's":  {handlers(map[string]any{"one": list("two", "three")}), nil, []string{"two", "three"}, ""},
		"the stage's":    {handlers(map[string]any{"two": list("one")}), handlers(map[string]any{"one": list("three")}), []string{"three"}, ""},
		"not a map":      {handlers(list("one")), nil, nil, "must map a task to a list of tasks"},
		"not a list":     {handlers(map[string]any{"one": "two"}), nil, nil, "entry one is not a list of tasks"},
		"not all names":  {handlers(map[string]any{"one": []any{"two", 3}}), nil, nil, "entry one is not a list of tasks"},
		"an empty list":  {handlers(map[string]any{"one": list()}), nil, nil, ""},
		"nothing at all": {handlers(nil), nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &api.Machine{Params: tc.machine}, &api.Stage{Name: "s", Tasks: []string{"one"}, Params: tc.stage})
			got, err := ErrorTasks(r.db.View(), r.machine(), "one")
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}
