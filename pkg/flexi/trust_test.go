package flexi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/callout"
	"drpd/pkg/resource"
)

// What a machine says of itself decides neither which secrets a callback gets
// nor where it takes them.
func TestCallbacksGiveMachinesNoSecrets(t *testing.T) {
	t.Parallel()
	svc := map[string]any{"svc": map[string]any{"AuthType": "bearer", "BearerToken": "hunter2"}}
	entry := func(spec map[string]any) map[string]any { return map[string]any{"w-start": spec} }
	for name, tc := range map[string]struct {
		site, own map[string]any // of the entry; nil: none
		params    resource.Params
		stage     resource.Params
		want      string // of the error; "": it is sent without a secret
	}{
		"whole entry, Auth":      {nil, map[string]any{"Auth": "svc"}, nil, nil, "gets no credentials"},
		"whole entry, Auths":     {nil, map[string]any{"Auths": list("svc"), "NoBody": true}, nil, nil, "gets no credentials"},
		"its Url only":           {map[string]any{"Auth": "svc"}, map[string]any{}, nil, nil, "gets no credentials"},
		"its Url, Decode":        {map[string]any{"Decode": true, "Aggregate": true}, map[string]any{}, nil, nil, "gets no secrets by Decode"},
		"another field":          {map[string]any{"Url": "URL", "Auth": "svc"}, map[string]any{"Method": "PUT"}, nil, nil, "gets no credentials"},
		"header template":        {nil, map[string]any{"Headers": map[string]any{"X": `{{ .Param "callback/auths" | toJson }}`}}, nil, nil, ""},
		"Url template":           {nil, map[string]any{"Url": `URL/?{{ .Param "pw" | toJson | b64enc }}`}, nil, nil, ""},
		"body":                   {map[string]any{"Url": "URL"}, nil, resource.Params{ParamBody: `{{ .Param "pw" | toJson }}`}, nil, ""},
		"body by expansion":      {map[string]any{"Url": "URL"}, nil, resource.Params{ParamBody: "x", "a": `{{ .Param "pw" }}`}, resource.Params{ParamBody: `{{ .ParamExpand "a" }}`}, ""},
		"host from a param":      {map[string]any{"Url": `{{ .Param "at" }}/x`, "Auth": "svc"}, nil, resource.Params{"at": "URL"}, nil, "depends on what the object says of itself"},
		"host from its name":     {map[string]any{"Url": `http://{{ .Machine.Name }}.example/x`, "Auth": "svc"}, nil, nil, nil, "depends on what the object says of itself"},
		"port from a param":      {map[string]any{"Url": `http://127.0.0.1:{{ .Param "port" }}/x`, "Auth": "svc"}, nil, resource.Params{"port": "1"}, nil, "depends on what the object says of itself"},
		"user in it":             {map[string]any{"Url": `http://{{ .Machine.Description }}127.0.0.1:1/x`, "Auth": "svc"}, nil, nil, nil, "depends on what the object says of itself"},
		"auth of its own":        {map[string]any{"Url": "URL", "Auth": "mine"}, nil, resource.Params{ParamAuths: map[string]any{"mine": map[string]any{"AuthType": "basic"}}}, nil, "Auth mine must be in"},
		"where tokens are asked": {map[string]any{"Url": "URL", "Auth": "tok"}, nil, resource.Params{ParamAuths: map[string]any{"tok": map[string]any{"Url": "http://127.0.0.1:1/stolen"}}}, nil, "get a token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, says(200, "{}"))
			at := func(spec map[string]any) map[string]any {
				out := map[string]any{"Url": s.URL}
				for k, v := range spec {
					if text, ok := v.(string); ok {
						v = strings.ReplaceAll(text, "URL", s.URL)
					}
					out[k] = v
				}
				return out
			}
			own := resource.Params{}
			for k, v := range tc.params {
				if v == "URL" {
					v = s.URL
				}
				own[k] = v
			}
			if tc.own != nil {
				own[ParamCallbacks] = entry(at(tc.own))
			}
			r, c := newCaller(t, nil, nil)
			r.update(func(tx *resource.Tx) error {
				require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "pw", Secure: true}))
				require.NoError(t, api.Machines.Modify(tx, r.id, func(m *api.Machine) error {
					m.Params = own
					m.Description = "evil@"
					return nil
				}))
				return api.Stages.Modify(tx, "s", func(s *api.Stage) error {
					for k, v := range tc.stage {
						s.Params[k] = v
					}
					return nil
				})
			})
			auths := map[string]any{"svc": svc["svc"], "tok": map[string]any{"AuthType": "json-token", "Url": s.URL + "/token", "Data": "hunter2"}}
			site := resource.Params{"pw": "hunter2", ParamAuths: auths, ParamCallbacks: map[string]any{}}
			if tc.site != nil {
				site[ParamCallbacks] = entry(at(tc.site))
			}
			r.site(site)
			r.drive()
			cb := r.send(c)
			for _, sent := range s.all() {
				if sent.path == "/token" { // the profile's own service gets what the profile says
					continue
				}
				assert.NotContains(t, sent.auth+sent.body+sent.path, "hunter2")
			}
			if tc.want == "" {
				require.Equal(t, api.CallbackDone, cb.State, cb.Error)
				return
			}
			assert.Contains(t, cb.Error, tc.want)
		})
	}
}

// The same entry in a profile gets them: the guard looks at who wrote it.
func TestCallbacksOfAProfileGetSecrets(t *testing.T) {
	t.Parallel()
	s := newService(t, says(200, "{}"))
	r, c := newCaller(t, map[string]any{"Url": s.URL + `/{{ .Machine.Name }}/{{ .Param "rack" }}`, "Auth": "svc", "NoBody": true}, resource.Params{"rack": "r7"})
	r.auths(map[string]any{"AuthType": "bearer", "BearerToken": "hunter2"})
	require.Equal(t, api.CallbackDone, r.send(c).State)
	assert.Equal(t, []seen{{"/n1/r7", "Bearer hunter2", "", ""}}, s.all())
}

func TestCallbacksGoNowhereSpecial(t *testing.T) {
	t.Parallel()
	s := newService(t, says(200, "{}"))
	for _, at := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1),
		strings.Replace(s.URL, "127.0.0.1", "0.0.0.0", 1), "http://169.254.169.254/latest", "http://[fe80::1%25lo]/"} {
		r, c := newCaller(t, map[string]any{"Url": at, "NoBody": true}, nil)
		r.drive()
		c.Out = &callout.Policy{}
		assert.Contains(t, r.send(c).Error, "only if its operator names it", at)
	}
	assert.Empty(t, s.all())
}

// A classification never opens a secret, whoever wrote its texts.
func TestClassificationOpensNoSecrets(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]resource.Params{
		"an action":       {ParamData: []any{when("always", false, `set_parameter leak {{ .Param "pw" | toJson }}`)}},
		"a test":          {ParamData: []any{when(`has_param_value x {{ .Param "pw" | toJson }}`, false, "set_parameter leak 1")}},
		"a custom test":   {ParamData: []any{when("mine", false, "set_parameter leak 1")}, ParamFunctions: map[string]any{"mine": `{{ if eq (toJson (.Param "pw")) "\"hunter2\"" }}pass{{ else }}fail{{ end }}`}},
		"by an expansion": {"a": `{{ .Param "pw" | toJson }}`, ParamData: []any{when("always", false, `set_parameter leak {{ .ParamExpand "a" }}`)}},
		"composed":        {ParamData: []any{when("always", false, `set_parameter leak {{ .ComposeParam "pw" | toJson }}`)}},
	} {
		own["x"] = `"hunter2"`
		r := newRig(t, &api.Machine{Profiles: []string{"p"}, Params: own}, &api.Stage{Name: "s", Tasks: []string{"classify"}})
		r.update(func(tx *resource.Tx) error {
			require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "pw", Secure: true}))
			return api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"pw": "hunter2"}})
		})
		r.drive()
		assert.NotContains(t, []any{"hunter2", 1.0}, r.machine().Params["leak"], name)
	}
}

// A text that would take for ever stops its machine, and nothing else: no update
// waits for it.
func TestClassificationThatNeverEnds(t *testing.T) {
	t.Parallel()
	loop := `set_parameter a {{ range until 190000 }}{{ $x := sha256sum (repeat 1000000 "a") }}{{ end }}`
	r := newRig(t, &api.Machine{}, &api.Stage{Name: "s", Tasks: []string{"classify"}, Params: resource.Params{ParamData: []any{when("always", false, loop)}}})
	var res string
	r.update(func(tx *resource.Tx) error {
		got, err := r.flow.Rules()[0].Step(tx, time.Unix(1000, 0), r.id)
		res = got.Waiting
		return err
	})
	assert.Equal(t, "classify: its templates are being rendered", res)
	ctx, cancel := context.WithCancel(t.Context())
	a, ended := (&Renderer{DB: r.db}).Action(), make(chan func(*Rendering) error)
	for o := range Renderings.All(r.db.View()) {
		go func() { ended <- a.Do(ctx, o) }()
	}
	r.update(func(tx *resource.Tx) error { // while it is being rendered
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Description = "still written"; return nil })
	})
	cancel()
	change := <-ended
	r.update(func(tx *resource.Tx) error { return Renderings.Modify(tx, r.machine().CurrentJob, change) })
	assert.Contains(t, r.drive(), "nobody waits for it any more")
	assert.Equal(t, 0, Renderings.Len(r.db.View()), "gone with the job's end")
}

// Each step is done once, whatever it changes and wherever the server dies: the
// rules are those of the beginning, and what was done is not done again.
func TestClassificationGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	data := []any{
		when("has_param_value a 1", true, "set_parameter a 2", "process_param_to_profile hw hw-", "set_parameter hw other",
			`set_parameter seen {{ .Param "a" }}{{ .Param "hw" }}`, "set_parameter "+ParamData+" []", `set_parameter b {{ .Param "seen" }}!`),
		when(`has_param_value b {{ .Param "seen" }}!`, true, `set_parameter c {{ .Machine.Name }}`),
		when("never {{ .Machine.Name }}", false, "set_parameter d 1"),
	}
	r := newRig(t, &api.Machine{Params: resource.Params{"a": 1.0, "hw": "acme", ParamData: data, ParamFunctions: map[string]any{"never": "{{ .Machine.Name }}{{ if false }}x{{ end }}fail"}}},
		&api.Stage{Name: "s", Tasks: []string{"classify"}})
	r.update(func(tx *resource.Tx) error {
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "hw-acme"}))
		return api.Profiles.Create(tx, &api.Profile{Name: "hw-other"})
	})
	got := r.drive()
	assert.Contains(t, got, "custom test never must render to pass or fail", "the last of all")
	m := r.machine()
	assert.Equal(t, []string{"hw-acme"}, m.Profiles)
	assert.Equal(t, "2other", m.Params["seen"])
	assert.Equal(t, "2other!", m.Params["b"])
	assert.Equal(t, "n1", m.Params["c"])
	assert.NotContains(t, m.Params, "d")
	j, err := api.Jobs.Get(r.db.View(), m.CurrentJob)
	require.NoError(t, err)
	assert.Equal(t, api.JobFailed, j.State)
}

// A result of a place that the task has left, or of another text, does not count.
func TestRenderingSettlesWhatIsStillWanted(t *testing.T) {
	t.Parallel()
	was := position{Rule: 1}
	done := []filled{{What: "w", Text: "{{1}}", Over: true, Result: "1"}}
	for name, tc := range map[string]struct {
		now  Rendering
		want string
	}{
		"the same":   {Rendering{At: was, Texts: []filled{{What: "w", Text: "{{1}}"}}}, "1"},
		"elsewhere":  {Rendering{At: position{Rule: 2}, Texts: []filled{{What: "w", Text: "{{1}}"}}}, ""},
		"other text": {Rendering{At: was, Texts: []filled{{What: "w", Text: "{{2}}"}}}, ""},
		"other args": {Rendering{At: was, Texts: []filled{{What: "w", Text: "{{1}}", Extra: resource.Params{"a": 1}}}}, ""},
	} {
		require.NoError(t, tc.now.settle(was, done))
		assert.Equal(t, tc.want, tc.now.Texts[0].Result, name)
		assert.Equal(t, tc.want != "", tc.now.Texts[0].Over, name)
	}
}

// What a param inserts cannot take a machine's tasks to the server.
func TestInsertedListsStayOnTheMachine(t *testing.T) {
	t.Parallel()
	for name, stage := range map[string]*api.Stage{
		"FlexiFlow":  {Name: "s", Tasks: []string{"flexiflow-start", "flexiflow-stop"}, Params: resource.Params{ParamList: "site/list"}},
		"validation": {Name: "s", Tasks: []string{"validation-start", "validation-stop"}, Params: resource.Params{ParamChecks: "site/list"}},
	} {
		for _, entry := range []string{"context:drpcli-runner", "context:any"} {
			r := newRig(t, &api.Machine{Params: resource.Params{"site/list": list("one", entry, "two")}}, stage)
			assert.Contains(t, r.drive(), entry+": a list that a param inserts cannot take a machine's tasks to the server", name)
			assert.NotContains(t, r.machine().Tasks, entry)
			assert.Empty(t, r.machine().Context)
		}
		r := newRig(t, &api.Machine{Params: resource.Params{"site/list": list("one", "context:")}}, stage)
		assert.Contains(t, r.drive(), "waits for the machine's agent", "back to the machine is where it is")
	}
}

// What machines may not write (api.Pointers) is what this package reads so.
func TestPointersAreKnown(t *testing.T) {
	t.Parallel()
	assert.ElementsMatch(t, api.Pointers(), []string{ParamList, ParamStages, ParamChecks, ParamSkip, ParamDataAt, ParamFunctionsAt, ParamDisableAt})
}
