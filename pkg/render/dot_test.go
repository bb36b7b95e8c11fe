package render_test

import (
	"context"
	"fmt"
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

func repositories() []any {
	return []any{
		map[string]any{"tag": "rocky-install", "os": []any{"rocky-9"}, "installSource": true, "url": "http://mirror/rocky/9/os"},
		map[string]any{"tag": "rocky", "os": []any{"rocky-9", "rocky-8"}, "url": "http://mirror/rocky", "distribution": "9", "components": []any{"BaseOS", "AppStream"}},
		map[string]any{"tag": "epel", "os": []any{"rocky-9"}, "arch": "any", "url": "http://mirror/epel"},
		map[string]any{"tag": "arm", "os": []any{"rocky-9"}, "arch": "aarch64", "url": "http://mirror/arm"},
		map[string]any{"tag": "updates", "os": []any{"rocky-9"}, "arch": "x86_64", "securitySource": true, "url": "http://mirror/updates"},
		map[string]any{"tag": "centos", "os": []any{"centos-7"}, "url": "http://mirror/centos", "distribution": "7", "components": []any{"os"}},
		map[string]any{"tag": "sl", "os": []any{"scientificlinux-7"}, "url": "http://mirror/sl", "distribution": "7", "components": []any{"fastbugs"}},
		map[string]any{"tag": "debian", "os": []any{"debian-12"}, "installSource": true, "url": "https://deb.example:8080/debian", "distribution": "bookworm", "components": []any{"main", "contrib"}},
		map[string]any{"tag": "debian-security", "os": []any{"debian-12"}, "securitySource": true, "url": "http://sec.example/debian-security", "distribution": "bookworm-security", "components": []any{"main"}},
		map[string]any{"tag": "ubuntu-security", "os": []any{"ubuntu-22.04"}, "securitySource": true, "url": "http://sec.example/ubuntu", "distribution": "jammy-security", "components": []any{"main"}},
		map[string]any{"tag": "odd", "os": []any{"plan9-4"}, "url": "http://mirror/plan9"},
	}
}

// site is a machine that installs from media, with everything set that names it.
func site(t testing.TB, more ...func(tx *resource.Tx) error) render.Context {
	t.Helper()
	ctx := context.Background()
	db, err := resource.Open(ctx, resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), param.ObjectKeys)})
	require.NoError(t, err)
	m := &api.Machine{Name: "web1.example.com", Uuid: id, Address: "192.168.124.10", OS: "rocky-9", Stage: "st", BootEnv: "rocky-9-install",
		HardwareAddrs: []string{"52:54:00:aa:bb:01", "52:54:00:aa:bb:02"}, Profiles: []string{"outer"},
		Params: resource.Params{"own": "machine", "tree": map[string]any{"n": 1.0, "list": []any{"<{{.Machine.ShortName}}>", map[string]any{"deep": "{{.Param \"own\"}}"}}},
			"all": []any{"{{.Machine.Name}}"}, "which": "machine", "package-repositories": repositories()}}
	env := &api.BootEnv{Name: "rocky-9-install", Kernel: "images/vmlinuz", Initrds: []string{"images/a.img", "images/b.img"}, BootParams: "ks={{.Machine.Url}}/ks",
		OS: api.OsInfo{Name: "rocky-9", Codename: "onyx", IsoFile: "rocky9.iso", SupportedArchitectures: map[string]api.ArchInfo{
			"x86_64":  {IsoFile: "rocky9.iso", Kernel: "images/vmlinuz64"},
			"aarch64": {IsoFile: "rocky9-arm.iso", Initrds: []string{"arm.img"}, BootParams: "arm ip={{.Machine.Address}}"}}}}
	fill := append([]func(tx *resource.Tx) error{
		func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "outer", Profiles: []string{"inner"}, Params: resource.Params{"all": []any{"outer"}, "pick": "outer"}})
		},
		func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "inner", Params: resource.Params{"all": []any{"inner"}, "pick": "inner", "nested": "inner"}})
		},
		func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "onstage", Params: resource.Params{"all": []any{"stage profile"}, "nested": "stage", "staged": "by profile"}})
		},
		func(tx *resource.Tx) error {
			return api.Profiles.Create(tx, &api.Profile{Name: "global", Params: resource.Params{"all": []any{"global"}, "far": "global"}})
		},
		func(tx *resource.Tx) error {
			return api.ParamDefs.Create(tx, &api.Param{Name: "far", Schema: map[string]any{"type": "string", "default": "schema"}})
		},
		func(tx *resource.Tx) error {
			return api.ParamDefs.Create(tx, &api.Param{Name: "last", Schema: map[string]any{"type": "string", "default": "schema"}})
		},
		func(tx *resource.Tx) error {
			return api.Stages.Create(tx, &api.Stage{Name: "st", Profiles: []string{"onstage"}, Params: resource.Params{"staged": "by stage", "all": []any{"stage"}}})
		},
		func(tx *resource.Tx) error {
			return api.Templates.Create(tx, &api.Template{ID: "greet", Contents: "hello {{.who}}"})
		},
		func(tx *resource.Tx) error { return api.BootEnvs.Create(tx, env) },
		func(tx *resource.Tx) error { return api.Machines.Create(tx, m) },
	}, more...)
	for _, fn := range fill {
		require.NoError(t, db.Update(ctx, fn))
	}
	v := db.View()
	m, err = api.Machines.Get(v, id)
	require.NoError(t, err)
	return render.Context{Reader: v, Machine: m, Cache: render.NewCache(),
		Server: render.Server{ApiURL: "https://10.0.0.1:8092", ProvisionerURL: "http://10.0.0.1:8091", SecureURL: "https://10.0.0.1:8090", Address: "10.0.0.1", HostName: "drp.example.com"},
		Token: func(kind, object string, ttl time.Duration) (string, error) {
			return fmt.Sprintf("%s[%s]%s", kind, object, ttl), nil
		},
		Info: func() (map[string]any, error) {
			return map[string]any{"version": "v1.2.3", "api_port": 8092, "prov_enabled": true}, nil
		},
	}
}

func check(t *testing.T, c render.Context, cases map[string]string) {
	t.Helper()
	for in, want := range cases {
		got, err := render.Text(c, "test", in)
		if assert.NoError(t, err, in) {
			assert.Equal(t, want, got, in)
		}
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	check(t, site(t), map[string]string{
		`{{.Param "own"}} {{.Param "pick"}} {{.Param "nested"}}`:                              "machine outer inner",
		`{{.Param "staged"}} {{.Param "far"}} {{.Param "last"}}`:                              "by stage global schema",
		`{{.ParamExists "last"}} {{.ParamExists "none"}}`:                                     "true false",
		`{{.ParamExpand "all"}}`:                                                              "[web1.example.com]",
		`{{toJson (.ParamExpand "tree")}}`:                                                    "{\"list\":[\"\\u003cweb1\\u003e\",{\"deep\":\"machine\"}],\"n\":1}",
		`{{.ParamAsJSON "all"}}|{{.ParamAsYAML "tree" | trim}}`:                               "[\"{{.Machine.Name}}\"]|list:\n- <{{.Machine.ShortName}}>\n- deep: '{{.Param \"own\"}}'\n\"n\": 1",
		`{{.ComposeParam "all" | join ","}}`:                                                  "{{.Machine.Name}},outer,inner,stage,stage profile,global",
		`{{.ParamCompose "all" | len}}`:                                                       "6",
		`{{.ParamComposeExpand "all" | join ","}}`:                                            "web1.example.com,outer,inner,stage,stage profile,global",
		`{{.ComposeParamExpand "all" | first}}`:                                               "web1.example.com",
		`{{.ObjectExpand (list "{{.Machine.ShortName}}" 7 (dict "k" "{{.Env.Name}}"))}}`:      "[web1 7 map[k:rocky-9-install]]",
		`{{.ObjectExpand (splitList "," "a,{{.Machine.ShortName}}")}} {{.ObjectExpand true}}`: "[a web1] true",
		`{{.CallTemplate "greet" (dict "who" "you")}}`:                                        "hello you",
		`{{$_ := .ParamExpand "tree"}}{{index (.Param "tree").list 0}}`:                       "<{{.Machine.ShortName}}>",
	})
}

func TestWhoWins(t *testing.T) {
	t.Parallel()
	c := site(t, func(tx *resource.Tx) error {
		return api.Profiles.Create(tx, &api.Profile{Name: "onorder", Params: resource.Params{"own": "order profile", "b": "order profile"}})
	})
	in := `{{.Param "own"}} {{.Param "which"}} {{.Param "staged"}} {{.Param "far"}}`
	c.Blueprint = &api.Blueprint{Name: "bp", Params: resource.Params{"which": "blueprint", "staged": "blueprint", "far": "blueprint"}}
	check(t, c, map[string]string{in: "machine machine blueprint blueprint"})
	c.Order = &api.WorkOrder{Uuid: "o", Params: resource.Params{"which": "order"}, Profiles: []string{"onorder"}}
	check(t, c, map[string]string{in: "order profile order blueprint blueprint", `{{.WorkOrder.Uuid}} {{.Blueprint.Name}} {{.Param "b"}}`: "o bp order profile"})
	c.Order, c.Blueprint = nil, nil
	check(t, c, map[string]string{in: "machine machine by stage global"})
}

func TestServerAndTokens(t *testing.T) {
	t.Parallel()
	c := site(t)
	check(t, c, map[string]string{
		`{{.ApiURL}} {{.ApiHostURL}}`:                                                         "https://10.0.0.1:8092 https://drp.example.com:8092",
		`{{.ProvisionerURL}} {{.ProvisionerHostURL}}`:                                         "http://10.0.0.1:8091 http://drp.example.com:8091",
		`{{.SecureProvisionerURL}} {{.SecureProvisionerHostURL}}`:                             "https://10.0.0.1:8090 https://drp.example.com:8090",
		`{{.ProvisionerAddress}}`:                                                             "10.0.0.1",
		`{{.Info.Version}} {{.Info.ApiPort}} {{.Info.ProvisionerEnabled}} {{.Info.api_port}}`: "v1.2.3 8092 true 8092",
		`{{.GenerateToken}}`:                                                                  "machine[]1h0m0s",
		`{{.GenerateInfiniteToken}}`:                                                          "machine[]26208h0m0s",
		`{{.GenerateProfileToken "outer" 90}}`:                                                "profile[outer]1m30s",
		`{{.GenerateProfileToken "outer" (.Param "tree").n}}`:                                 "profile[outer]1s",
		`{{.GenerateProfileToken "outer" 0}}`:                                                 "profile[outer]555555h33m20s",
		`{{.ParseUrl "scheme" "https://h:1/p?q"}} {{.ParseURL "host" "https://h:1/p"}} {{.ParseUrl "path" "https://h/p?q"}}`: "https h:1 /p",
		`{{.NetmaskToCIDR "255.255.255.0"}} {{.NetmaskToCIDR "0.0.0.0"}}`:                                                    "24 0",
	})
	for in, want := range map[string]string{
		`{{.GenerateProfileToken "inner" 1}}`:      "machine web1.example.com does not have profile inner itself: add it first",
		`{{.GenerateProfileToken "outer" "soon"}}`: `parsing "soon": invalid syntax`,
		`{{.ParamExpand "none"}}`:                  "params/none: not set for machine web1.example.com",
		`{{.ParseUrl "user" "http://x"}}`:          `ParseUrl knows no part "user"`,
	} {
		_, err := render.Text(c, "test", in)
		assert.ErrorContains(t, err, want, in)
	}
	c.Machine, c.Server.HostName, c.Server.SecureURL = nil, "", ""
	check(t, c, map[string]string{`{{.GenerateToken}} [{{.GenerateInfiniteToken}}] {{.ApiHostURL}} {{.SecureProvisionerURL}}`: "unknown[]10m0s [] https://10.0.0.1:8092 https://10.0.0.1:8092"})
	_, err := render.Text(c, "test", `{{.GenerateProfileToken "outer" 1}}`)
	assert.ErrorContains(t, err, "an unknown machine gets no token for profile outer")
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	c := site(t)
	check(t, c, map[string]string{
		`{{.Env.Kernel}} {{.Env.KernelFor "arm64"}}`:                                                                    "images/vmlinuz64 images/vmlinuz",
		`{{.Env.Initrds}} {{.Env.InitrdsFor "aarch64"}}`:                                                                "[images/a.img images/b.img] [arm.img]",
		`{{.Env.PathFor "tftp" .Env.Kernel}}`:                                                                           "rocky-9/install/images/vmlinuz64",
		`{{.Env.PathForArch "http" (.Env.KernelFor "arm64") "arm64"}}`:                                                  "http://10.0.0.1:8091/rocky-9/install/arm64/images/vmlinuz",
		`{{.Env.PathFor "tftp" "../../../etc/x"}} {{.Env.PathFor "tftp" ""}}`:                                           "rocky-9/install/etc/x rocky-9/install",
		`{{.Env.JoinInitrds "tftp"}}`:                                                                                   "rocky-9/install/images/a.img rocky-9/install/images/b.img",
		`{{.Env.JoinInitrdsFor "http" "aarch64"}}`:                                                                      "http://10.0.0.1:8091/rocky-9/install/arm64/arm.img",
		`{{.Env.BootParams}}|{{.BootParams}}|{{.Env.BootParamsFor "arm64"}}|{{.BootParamsFor "arm64"}}`:                 "ks=http://10.0.0.1:8091/machines/" + id + "/ks|ks=http://10.0.0.1:8091/machines/" + id + "/ks|arm ip=192.168.124.10|arm ip=192.168.124.10",
		`{{.Env.OS.FamilyName}} {{.Env.OS.FamilyVersion}} {{.Env.OS.FamilyType}} {{.Env.OS.Codename}} {{.Env.OS.Name}}`: "rocky 9 rhel onyx rocky-9",
		`{{.Env.OS.VersionEq "9"}} {{.Env.OS.VersionEq "09"}} {{.Env.OS.VersionEq "9.1"}} {{.Env.OS.VersionEq "8"}}`:    "true true false false",
		`{{.Env.InstallUrl}}`: "http://mirror/rocky/9/os",
		`{{.Machine.HasProfile "outer"}} {{.Machine.HasProfile "inner"}}`: "true false",
		`{{.Machine.HexAddress}} {{.Machine.Path}}`:                       "C0A87C0A machines/" + id,
	})
	c.Path = "x.ipxe"
	check(t, c, map[string]string{`{{.Env.BootParams}}`: "initrd=a.img ks=http://10.0.0.1:8091/machines/" + id + "/ks"})
	c.MAC = "52:54:00:aa:bb:02"
	check(t, c, map[string]string{`{{.Machine.MacAddr "pxelinux"}} {{.Machine.MacAddr "ipxe"}} {{.Machine.MacAddr "grub"}} {{.Machine.MacAddr "rpi4"}}`: "01-52-54-00-aa-bb-02 52:54:00:aa:bb:02 52:54:00:aa:bb:02 52-54-00-aa-bb-02"})
	c.Has = func(p string) bool { return p == "rocky-9/install/images/vmlinuz64" }
	check(t, c, map[string]string{`{{.Env.InstallUrl}}`: "http://10.0.0.1:8091/rocky-9/install"})
	m := *c.Machine
	m.OS = "plan9-4"
	c.Machine = &m
	_, err := render.Text(c, "test", `{{.Env.InstallUrl}}`)
	assert.ErrorContains(t, err, `no install repository: upload the ISO "rocky9.iso", or add one for OS plan9-4 and architecture amd64 to param package-repositories`)
}

func TestRepos(t *testing.T) {
	t.Parallel()
	c := site(t)
	tags := `{{range .MachineRepos}}{{.Tag}} {{end}}|{{range .InstallRepos}}{{.Tag}} {{end}}`
	check(t, c, map[string]string{
		tags: "rocky-install rocky epel updates |rocky-install updates ",
		`{{range .Repos "epel" "centos"}}{{.Tag}} {{.URL}} {{.R.Machine.Name}} {{.Target}};{{end}}`: "epel http://mirror/epel web1.example.com rocky-9;centos http://mirror/centos web1.example.com centos-7;",
		`{{range .InstallRepos}}{{.Install}}{{end}}`: "install\nurl --url http://mirror/rocky/9/os\nrepo --name=\"rocky-install\" --baseurl=http://mirror/rocky/9/os --cost=100\n" +
			"repo --name=\"updates\" --baseurl=http://mirror/updates --cost=200\n",
		`{{range .Repos "rocky"}}{{.Install}}{{.Lines}}{{.JoinedComponents}}{{end}}`: "repo --name=\"rocky-BaseOS\" --baseurl=http://mirror/rocky/9/BaseOS/$basearch/os --cost=200\n" +
			"repo --name=\"rocky-AppStream\" --baseurl=http://mirror/rocky/9/AppStream/$basearch/os --cost=200\n" +
			"\n[rocky-BaseOS]\nname=rocky - BaseOS\nbaseurl=http://mirror/rocky/9/BaseOS/$basearch/os\ngpgcheck=0\n" +
			"\n[rocky-AppStream]\nname=rocky - AppStream\nbaseurl=http://mirror/rocky/9/AppStream/$basearch/os\ngpgcheck=0\nBaseOS AppStream",
		`{{range .Repos "epel"}}{{.Lines}}{{end}}`:                                               "\n[epel]\nname=rocky-9 - epel\nbaseurl=http://mirror/epel\ngpgcheck=0\n",
		`{{range .Repos "centos" "sl"}}{{.UrlFor (index .Components 0)}} {{.UrlFor ""}} {{end}}`: "http://mirror/centos/7/os/$basearch http://mirror/centos http://mirror/sl/7/$basearch/fastbugs http://mirror/sl ",
		`{{range .Repos "debian"}}{{.Install}}{{.Lines}}{{end}}`: "d-i mirror/protocol string https\nd-i mirror/http/hostname string deb.example:8080\nd-i mirror/http/directory string /debian\n" +
			"deb https://deb.example:8080/debian bookworm main contrib\n",
		`{{range .Repos "debian-security" "ubuntu-security"}}{{.Install}}{{end}}`: "d-i apt-setup/security_host string http://sec.example/debian-security\n" +
			"d-i apt-setup/security_host string sec.example\nd-i apt-setup/security_path string /ubuntu\n",
	})
	_, err := render.Text(c, "test", `{{range .Repos "odd"}}{{.Lines}}{{end}}`)
	assert.ErrorContains(t, err, `repository odd: no form is known for "plan9-4": give it a repoType of yum or apt`)

	c.Has = func(p string) bool { return p == "rocky-9/install/images/vmlinuz64" }
	check(t, c, map[string]string{tags: "rocky-9-install rocky epel updates |rocky-9-install updates "})
	m := *c.Machine
	m.Arch = "arm64"
	c.Machine = &m
	check(t, c, map[string]string{tags: "epel arm |"})
	m.Params = resource.Params{"proxy-servers": []any{"http://proxy:3128"}, "package-repositories": repositories()}
	check(t, c, map[string]string{`{{range .Repos "epel"}}{{.Install}}{{end}}`: "repo --name=\"epel\" --baseurl=http://mirror/epel --cost=200 --proxy=\"http://proxy:3128\"\n"})
	m.Params = resource.Params{"package-repositories": "nonsense"}
	_, err = render.Text(c, "test", `{{.MachineRepos}}`)
	assert.ErrorContains(t, err, "param package-repositories is no list of repositories")
}

func TestActionsForOneSystem(t *testing.T) {
	t.Parallel()
	c := site(t)
	c.Task = &api.Task{Name: "t"}
	list := []api.TemplateInfo{
		{Name: "any", Contents: "{{.Task.TargetOS}}", Meta: map[string]string{"OS": "Any"}},
		{Name: "both", Contents: "b", Meta: map[string]string{"OS": "linux, darwin", "Interpreter": "bash"}},
		{Name: "win", Contents: "{{.NoSuchThing}}", Meta: map[string]string{"OS": "windows"}},
		{Name: "plain", Contents: "p"},
	}
	c.OS = "linux"
	got, err := render.Actions(c, list)
	require.NoError(t, err)
	assert.Equal(t, []api.JobAction{
		{Name: "any", Content: "linux", Meta: map[string]string{"OS": "Any"}},
		{Name: "both", Content: "b", Meta: map[string]string{"OS": "linux, darwin", "Interpreter": "bash"}},
		{Name: "plain", Content: "p"},
	}, got)
	c.OS = "windows"
	_, err = render.Actions(c, list)
	assert.ErrorContains(t, err, "render task t: template win for web1.example.com: template task t: template win, line 1, at <.NoSuchThing>: can't evaluate field NoSuchThing")
}

// A cluster renders like a machine; its errors name it and the content pack.
func TestClusterAndPack(t *testing.T) {
	t.Parallel()
	c := site(t, func(tx *resource.Tx) error {
		return api.Clusters.Create(tx, &api.Machine{Name: "c1", Uuid: "99999999-2222-4333-8444-555555555555", Params: resource.Params{"size": 3.0}})
	}, func(tx *resource.Tx) error {
		return api.Templates.LayerAny(tx, "pack-a", &api.Template{ID: "lib.tmpl", Contents: "one\n{{.Param \"none\"}}"})
	})
	m := api.Clusters.One(c.Reader, api.ByName, "c1")
	require.NotNil(t, m)
	c.Machine = m
	check(t, c, map[string]string{`{{.Machine.Name}} {{.Param "size"}}`: "c1 3"})
	c.Task = &api.Task{Name: "t"}
	c.Task.Bundle = "pack-b"
	_, err := render.Actions(c, []api.TemplateInfo{{Name: "a", Contents: "x\n\n{{template \"lib.tmpl\" .}}"}})
	assert.EqualError(t, err, "clusters/99999999-2222-4333-8444-555555555555: render task t: template a of content pack pack-b for c1: "+
		"template lib.tmpl of content pack pack-a, line 2, at <.Param>: params/none: not set for machine c1 (99999999-2222-4333-8444-555555555555): set it there, in one of its profiles or in profile global")
}
