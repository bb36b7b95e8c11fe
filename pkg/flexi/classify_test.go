package flexi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

func when(test string, more bool, actions ...string) any {
	return map[string]any{"test": test, "actions": list(actions...), "continue": more}
}

func TestTests(t *testing.T) {
	t.Parallel()
	functions := map[string]any{"rack": `{{ if eq (index (.Param "classify/arguments") 0) (.Param "rack") }}pass{{ else }}fail{{ end }}`, "odd": "perhaps", "broken": "{{ .Nothing }}"}
	for test, want := range map[string]any{
		"always":                                      true,
		"has_mac 52:54:00:00:00:0A":                   true,
		"has_mac 52:54:00:00:00:0b":                   false,
		"in_subnet 192.0.2.0/24":                      true,
		"in_subnet 198.51.100.0/24":                   false,
		"in_subnet here":                              `"here" is no subnet`,
		"has_inventory_value Disks.0.Serial D1":       true,
		"has_inventory_value Disks.0.Serial D2":       false,
		"has_inventory_value Disks.1.Serial":          false,
		"has_inventory_value System.Product Model 10": true,
		"has_param rack":                              true,
		"has_param row":                               false,
		"has_param_value rack r7":                     true,
		"has_param_value rack r8":                     false,
		"has_profile p":                               false,
		"has_workflow w":                              true,
		"rack r7":                                     true,
		"rack r8":                                     false,
		`has_param_value rack {{ .Param "rack" }}`:    true,
		"odd":          "must render to pass or fail",
		"broken":       "custom test broken",
		"what is this": `test "what" is not known`,
		"what":         "is not known",
		" ":            "has no test",
	} {
		r := newRig(t, &api.Machine{Address: "192.0.2.7", HardwareAddrs: []string{"52:54:00:00:00:0a"}, Params: resource.Params{
			"rack": "r7", ParamFunctions: functions, ParamData: []any{when(test, false, "set_parameter passed true")},
			"inventory/data": map[string]any{"Disks": []any{map[string]any{"Serial": "D1"}}, "System": map[string]any{"Product": "Model 10"}},
		}}, &api.Stage{Name: "s", Tasks: []string{"classify"}})
		got := r.drive()
		if text, isText := want.(string); isText {
			assert.Contains(t, got, text, test)
			continue
		}
		require.True(t, r.machine().WorkflowComplete, "%s: %s", test, got)
		_, passed := r.machine().Params["passed"]
		assert.Equal(t, want, passed, test)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data     []any
		params   resource.Params
		profiles []string
		flow     string
		fault    string
	}{
		"the first match ends": {data: []any{when("always", false, "set_parameter a 1"), when("always", false, "set_parameter a 2")}, params: resource.Params{"a": 1.0}},
		"unless it continues":  {data: []any{when("always", true, "set_parameter a 1"), when("always", false, "set_parameter a two words")}, params: resource.Params{"a": "two words"}},
		"no match":             {data: []any{when("has_param none", false, "set_parameter a 1")}, params: resource.Params{}},
		"template":             {data: []any{when("always", false, `set_parameter a {{ .Machine.Name }}`)}, params: resource.Params{"a": "n1"}},
		"profile":              {data: []any{when("always", true, "add_profile hw-acme"), when("always", true, "add_profile hw-acme")}, profiles: []string{"hw-acme"}},
		"no such profile":      {data: []any{when("always", false, "add_profile gone")}, fault: `profile "gone" does not exist`},
		"most specific":        {data: []any{when("always", true, "set_parameter hw acme-10-b"), when("always", true, "process_param_to_profile hw hw-")}, profiles: []string{"hw-acme-10"}, params: resource.Params{"hw": "acme-10-b"}},
		"nothing fits":         {data: []any{when("always", true, "set_parameter hw other"), when("always", true, "process_param_to_profile hw hw-")}, params: resource.Params{"hw": "other"}},
		"workflow":             {data: []any{when("always", false, "change_workflow next")}, flow: "next"},
		"no such workflow":     {data: []any{when("always", false, "change_workflow gone")}, fault: "workflows/gone: does not exist"},
		"no such action":       {data: []any{when("always", false, "reboot now")}, fault: `no classification action "reboot"`},
		"about nothing":        {data: []any{when("always", false, "add_profile")}, fault: "says not what about"},
		"not rules":            {data: list("always"), fault: "must be a list of {test, actions, continue}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &api.Machine{}, &api.Stage{Name: "s", Tasks: []string{"classify"}, Params: resource.Params{ParamData: tc.data}})
			r.update(func(tx *resource.Tx) error {
				require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "hw-acme"}))
				return api.Profiles.Create(tx, &api.Profile{Name: "hw-acme-10"})
			})
			got, m := r.drive(), r.machine()
			if tc.fault != "" {
				assert.Contains(t, got, tc.fault)
				assert.False(t, m.WorkflowComplete)
				return
			}
			assert.Equal(t, len(tc.params), len(m.Params))
			for k, v := range tc.params {
				assert.Equal(t, v, m.Params[k])
			}
			assert.Equal(t, len(tc.profiles), len(m.Profiles))
			assert.Subset(t, m.Profiles, tc.profiles)
			if tc.flow != "" {
				assert.Equal(t, tc.flow, m.Workflow)
			}
		})
	}
}

func TestVersionTwoNamesItsParams(t *testing.T) {
	t.Parallel()
	for disabled, want := range map[bool]any{false: "yes", true: nil} {
		r := newRig(t, &api.Machine{Params: resource.Params{"data": []any{when("mine", false, "set_parameter a yes")}, "fns": map[string]any{"mine": "pass"},
			"off": disabled, ParamData: []any{when("always", false, "set_parameter a no")}}},
			&api.Stage{Name: "s", Tasks: []string{"classify"}, Params: resource.Params{ParamVersion: 2, ParamDataAt: "data", ParamFunctionsAt: "fns", ParamDisableAt: "off"}})
		r.drive()
		assert.Equal(t, want, r.machine().Params["a"])
	}
}

func TestStageListBringsItsClassifiers(t *testing.T) {
	t.Parallel()
	r := newRig(t, &api.Machine{Params: resource.Params{"x": list("extra-1", "extra-2")}},
		&api.Stage{Name: "s", Tasks: []string{"classify-stage-list-start", "classify-stage-list-stop"}, Params: resource.Params{ParamStages: "x"}},
		&api.Stage{Name: "extra-1", Params: resource.Params{ParamData: []any{when("always", false, "set_parameter a 1")}}},
		&api.Stage{Name: "extra-2", Params: resource.Params{ParamData: []any{when("has_param a", false, "set_parameter b 2")}}})
	assert.Empty(t, r.drive())
	m := r.machine()
	assert.Equal(t, []string{"stage:s", "classify-stage-list-start", "stage:extra-1", "classify", "stage:extra-2", "classify", "classify-stage-list-stop"}, m.Tasks)
	assert.Equal(t, resource.Params{"x": list("extra-1", "extra-2"), "a": 1.0, "b": 2.0}, m.Params)
	assert.True(t, m.WorkflowComplete)
}
