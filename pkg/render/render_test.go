package render_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

const id = "11111111-2222-3333-4444-555555555555"

// scene is a machine with all that a template can ask for.
func scene(t testing.TB) render.Context {
	t.Helper()
	ctx := context.Background()
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), param.ObjectKeys)})
	require.NoError(t, err)
	m := &api.Machine{Name: "web1.example.com", Uuid: id, Address: "192.168.124.10", HardwareAddrs: []string{"52:54:00:AA:BB:01"},
		Profiles: []string{"p"}, Tasks: []string{"install"}, Secret: "s3cret",
		Params: resource.Params{"name": "web", "expand": "host {{.Machine.ShortName}}", "loop": `{{.ParamExpand "loop"}}`,
			"map": map[string]any{"a": 1.0}, "list": []any{"m"}, "user": "root"}}
	require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error {
		for _, tmpl := range []*api.Template{
			{ID: "hello", Contents: `hello {{.Machine.Name}}{{template "mark"}}`},
			{ID: "mark", Contents: "!"},
			{ID: "again", Contents: `{{template "again" .}}`},
			{ID: "broken", Contents: "line 1\n{{ nonsense }}"},
			{ID: "needs", Contents: "line 1\nline 2 {{ .Param \"absent\" }}"},
			{ID: "with-define", Contents: `{{define "inner"}}in{{end}}<{{template "inner"}}>`},
		} {
			require.NoError(t, api.Templates.Create(tx, tmpl))
		}
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"list": []any{"p"}}}))
		require.NoError(t, api.Preferences.Create(tx, &api.Preference{Name: "knownTokenTimeout", Value: "60"}))
		return api.Machines.Create(tx, m)
	}))
	v := db.View()
	m, err = api.Machines.Get(v, id)
	require.NoError(t, err)
	return render.Context{
		Reader: v, Machine: m, Cache: render.NewCache(),
		Stage: &api.Stage{Name: "st"}, Task: &api.Task{Name: "install"},
		Env: &api.BootEnv{Name: "ubuntu-install", OS: api.OsInfo{Name: "ubuntu-22.04", Family: "ubuntu", Version: "22.04"},
			Kernel: "ubuntu/vmlinuz", Initrds: []string{"a.img", "b.img"}, BootParams: `ip={{.Machine.Address}}`},
		Server: render.Server{ApiURL: "https://10.0.0.1:8092", ProvisionerURL: "http://10.0.0.1:8091", Address: "10.0.0.1", CAFingerprint: "ab:cd"},
		Token:  func(kind, _ string, ttl time.Duration) (string, error) { return kind + " " + ttl.String(), nil },
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	c := scene(t)
	for in, want := range map[string]string{
		"plain": "plain",
		`{{.Machine.Name}} {{.Machine.UUID}} {{.Machine.Uuid}}`: "web1.example.com " + id + " " + id,
		`{{.Machine.HexAddress}} {{.Machine.ShortName}}`:        "C0A87C0A web1",
		`{{.Machine.MacAddr}} {{.Machine.MacAddr "pxelinux"}}`:  "52:54:00:aa:bb:01 01-52-54-00-aa-bb-01",
		`{{.Machine.MacAddr "rpi4"}} {{.Machine.Path}}`:         "52-54-00-aa-bb-01 machines/" + id,
		`{{.Machine.Url}}`:                                                                  "http://10.0.0.1:8091/machines/" + id,
		`{{.Machine.HasProfile "p"}}`:                                                       "true",
		`{{.Machine.HasTask "other"}}`:                                                      "false",
		`[{{.Machine.Secret}}]`:                                                             "[]",
		`{{.Machine.Params.user}}`:                                                          "root",
		`{{.Stage.Name}} {{.Task.Name}}`:                                                    "st install",
		`{{.Env.OS.Name}} {{.Env.OS.FamilyType}}`:                                           "ubuntu-22.04 debian",
		`{{.Env.OS.VersionEq "22"}}`:                                                        "true",
		`{{.Env.BootParams}} {{.Env.Kernel}}`:                                               "ip=192.168.124.10 ubuntu/vmlinuz",
		`{{.Env.PathFor "http" .Env.Kernel}}`:                                               "http://10.0.0.1:8091/files/ubuntu/vmlinuz",
		`{{.Env.PathFor "tftp" "../../x"}}`:                                                 "files/x",
		`{{.Env.JoinInitrds "tftp"}}`:                                                       "files/a.img files/b.img",
		`{{.Param "name"}}`:                                                                 "web",
		`{{.ParamExists "name"}} {{.ParamExists "absent"}}`:                                 "true false",
		`{{.ParamExpand "expand"}}`:                                                         "host web1",
		`{{.ParamAsJSON "map"}} {{.ParamAsYAML "list"}}`:                                    "{\"a\":1} - m\n",
		`{{.ComposeParam "list"}} {{.ParamCompose "list"}}`:                                 "[m p] [m p]",
		`{{.StringExpand "<{{.Machine.ShortName}}>"}}`:                                      "<web1>",
		`{{$x := "hello"}}{{.CallTemplate $x .}}`:                                           "hello web1.example.com!",
		`{{template "hello" .}} {{template "with-define" .}}`:                               "hello web1.example.com! <in>",
		`{{.ApiURL}} {{.ProvisionerURL}}`:                                                   "https://10.0.0.1:8092 http://10.0.0.1:8091",
		`{{.ProvisionerAddress}} {{.CAFingerprint}}`:                                        "10.0.0.1 ab:cd",
		`{{.GenerateToken}}, {{.GenerateInfiniteToken}}`:                                    "machine 1m0s, machine 26208h0m0s",
		`{{.NetmaskToCIDR "255.255.254.0"}}`:                                                "23",
		`{{.ParseUrl "host" "http://h:80/p"}}{{.ParseUrl "path" "/p"}}`:                     "h:80/p",
		`{{range $i, $e := until 3}}{{if eq $e 1}}{{continue}}{{end}}{{$e}}{{end}}`:         "02",
		`{{ "x" | upper | repeat 3 }} {{ indent 2 "a\nb" }}`:                                "XXX   a\n  b",
		`{{ printf "%s-%d" "a" 1 }} {{ list 1 2 | join "," }}`:                              "a-1 1,2",
		`{{ $m := .Param "map" }}{{ $_ := set $m "a" 2 }}{{ $m.a }} {{ (.Param "map").a }}`: "2 1",
	} {
		got, err := render.Text(c, "test", in)
		if assert.NoError(t, err, in) {
			assert.Equal(t, want, got, in)
		}
	}
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	t.Parallel()
	c := scene(t)
	start := "machines/" + id + ": render task x for web1.example.com: "
	for in, want := range map[string]string{
		"a\n{{.Param \"absent\"}}":         `template task x, line 2, at <.Param>: params/absent: not set for machine web1.example.com (` + id + `)`,
		`{{template "needs" .}}`:           `template needs, line 2, at <.Param>: params/absent: not set`,
		`{{template "broken" .}}`:          `template broken, line 2: function "nonsense" not defined`,
		`{{template "absent" .}}`:          `template task x, line 1, at <{{template "absent" .}}>: template "absent" not defined`,
		`{{.CallTemplate "no" .}}`:         `template "no" does not exist`,
		`{{.Machine.Nope}}`:                `can't evaluate field Nope`,
		`{{(.Param "map").nope}}`:          `map has no entry for key "nope"`,
		`{{now}}`:                          `function "now" not defined`,
		`{{env "HOME"}}`:                   `function "env" not defined`,
		`{{leaveTemplate}}`:                `function "leaveTemplate" not defined`,
		`{{template "again" .}}`:           `templates call each other more than 50 deep`,
		`{{.ParamExpand "loop"}}`:          `texts expand each other more than 50 deep`,
		`{{.NetmaskToCIDR "255.0.255.0"}}`: `netmask "255.0.255.0" has holes`,
		`{{.Env.PathFor "ftp" "x"}}`:       `PathFor knows no protocol "ftp"; use tftp or http`,
	} {
		_, err := render.Text(c, "task x", in)
		if assert.Error(t, err, in) {
			assert.True(t, strings.HasPrefix(err.Error(), start), err.Error())
			assert.Contains(t, err.Error(), want, in)
			assert.Equal(t, resource.Invalid, resource.CodeOf(err))
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := scene(t)
	for in, want := range map[string]string{
		`{{range 100000000000}}{{end}}`: "more than 200000 turns of loops and calls of templates",
		`{{define "a"}}{{range 1000}}{{template "b"}}{{end}}{{end}}{{define "b"}}{{range 1000}}{{template "c"}}{{end}}{{end}}{{define "c"}}{{end}}{{template "a"}}`: "more than 200000 turns",
		`{{range until 20}}{{repeat 1000000 "x"}}{{end}}`:                                           "output is longer than 16777216 bytes",
		`{{repeat 1000000000000 "x"}}`:                                                              "out of bounds",
		`{{until 2000000000}}`:                                                                      "2000000000 is out of bounds (-1000000 to 1000000)",
		`{{seq 1 1 2000000000}}`:                                                                    "2000000000 is out of bounds",
		`{{randAlphaNum 2000000000}}`:                                                               "2000000000 is out of bounds",
		`{{indent 2000000000 "x"}}`:                                                                 "out of bounds",
		`{{$x := "xxxxxxxx"}}{{range 60}}{{$x = print $x $x}}{{end}}`:                               "a value is longer than 16777216 bytes",
		`{{$x := list 1 2 3 4 5 6 7 8}}{{range 60}}{{$x = concat $x $x}}{{end}}`:                    "make more than 134217728 bytes",
		`{{$x := list 1}}{{range 60}}{{$x = list $x $x}}{{end}}{{$x}}`:                              "a value is longer than 16777216 bytes",
		`{{$x := dict}}{{$_ := set $x "y" $x}}{{$x}}`:                                               "a value is nested more than 200 deep, perhaps in itself",
		`{{$x := dict "x" (dict)}}{{$_ := mergeOverwrite $x (dict "x" $x)}}{{$x}}{{fail "merged"}}`: "merged",
		`{{$a := dict}}{{$x := $a}}{{range 15}}{{$x = list $x $x}}{{end}}{{$_ := set $a "k" (repeat 100000 "x")}}{{$x}}`: "a value is longer",
	} {
		_, err := render.Text(c, "test", in)
		assert.ErrorContains(t, err, want, in)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	c := scene(t)
	got, err := render.Actions(c, []api.TemplateInfo{
		{Name: "file", Path: "/tmp/{{.Machine.ShortName}}", ID: "hello", Meta: map[string]string{"OS": "linux"}},
		{Name: "script", Contents: "#!/bin/sh\n{{template \"lib\" .}}\n"},
		{Name: "lib", Contents: `{{.Param "name"}}`},
	})
	require.NoError(t, err)
	assert.Equal(t, []api.JobAction{
		{Name: "file", Path: "/tmp/web1", Content: "hello web1.example.com!", Meta: map[string]string{"OS": "linux"}},
		{Name: "script", Content: "#!/bin/sh\nweb\n"},
		{Name: "lib", Content: "web"},
	}, got)

	_, err = render.Actions(c, []api.TemplateInfo{{Name: "s", ID: "gone"}})
	assert.EqualError(t, err, "machines/"+id+`: render task install: template s for web1.example.com: template "gone" does not exist`)
	c.Task = &api.Task{Name: "install", RequiredParams: []string{"name", "absent", "none"}}
	_, err = render.Actions(c, nil)
	assert.EqualError(t, err, "machines/"+id+": render task install for web1.example.com: required params have no value: absent, none")
}

func TestCacheFollowsTemplates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: api.Kinds()})
	require.NoError(t, err)
	c := render.Context{Cache: render.NewCache()}
	for _, text := range []string{"{{1}}", "{{2}}"} {
		require.NoError(t, db.Update(ctx, func(tx *resource.Tx) error {
			return api.Templates.Put(tx, &api.Template{ID: "x", Contents: text})
		}))
		c.Reader = db.View()
		got, err := render.Text(c, "test", `{{template "x"}}`)
		require.NoError(t, err)
		assert.Equal(t, strings.Trim(text, "{}"), got)
	}
}

func FuzzText(f *testing.F) {
	c := scene(f)
	for _, s := range []string{"x", `{{.Machine.Name}}`, `{{range until 3}}{{break}}{{end}}`, `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`,
		`{{template "again" .}}`, `{{.StringExpand "{{.ParamExpand \"loop\"}}"}}`, `{{with $x := .Param "map"}}{{set $x "y" $x}}{{end}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := render.Text(c, "fuzz", text)
		if !strings.Contains(text, "{{") && (err != nil || got != text) {
			t.Fatalf("plain text %q became %q, %v", text, got, err)
		}
		if len(got) > render.MaxOutput {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
