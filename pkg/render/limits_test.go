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
	"drpd/pkg/seal"
	"drpd/pkg/store/mem"
)

// Each of these would take minutes or gigabytes, without a turn of a loop or in
// few of them.
func TestNothingTakesForEver(t *testing.T) {
	t.Parallel()
	db := open(t)
	half := `{{$a := repeat 8000000 "a"}}`
	for text, want := range map[string]string{
		`{{range until 100}}{{bcrypt "x"}}{{end}}`:                  "more than 16 calls that make keys",
		`{{range until 100}}{{$_ := genPrivateKey "ecdsa"}}{{end}}`: "more than 16 calls that make keys",
		`{{range until 100}}{{$_ := encryptAES "k" "text"}}{{end}}`: "more than 16 calls that make keys",
		`{{genPrivateKey "dsa"}}`:                                   "makes no keys for DSA",
		`{{printf "%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d%01000000d" 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1}}`: "a value is longer than 16777216 bytes",
		`{{printf (repeat 20 "%*d") 1000000 1}}`:                      "a value is longer than 16777216 bytes",
		half + `{{printf (repeat 1000 "%[1]s") $a}}`:                  "a value is longer than 16777216 bytes",
		half + `{{replace "a" $a $a}}`:                                "is out of bounds (16777216 bytes)",
		half + `{{replace "" $a $a}}`:                                 "is out of bounds (16777216 bytes)",
		half + `{{regexReplaceAll "a" $a $a}}`:                        "is out of bounds",
		half + `{{regexReplaceAllLiteral "" $a (repeat 1000 "b")}}`:   "is out of bounds",
		half + `{{mustRegexReplaceAll "^.*$" $a (repeat 1000 "$0")}}`: "is out of bounds",
		half + `{{regexMatch "(((a{30}){30})b|c){1}" $a}}`:            "steps of a pattern",
		half + `{{mustRegexMatch "\\pL{1000}\\pN{1000}" $a}}`:         "steps of a pattern",
		half + `{{$x := regexFindAll "" $a -1}}`:                      "is out of bounds (2097152 bytes)",
		half + `{{$x := regexSplit "" $a -1}}`:                        "is out of bounds (2097152 bytes)",
		half + `{{regexMatch $a "a"}}`:                                "a pattern of 8000000 bytes",
		half + `{{$x := split "" $a}}`:                                "is out of bounds (100000 parts)",
		half + `{{$x := splitList "a" $a}}`:                           "is out of bounds (100000 parts)",
		half + `{{$x := splitn "" 9000000 $a}}`:                       "is out of bounds (100000 parts)",
		half + `{{join $a (until 1000)}}`:                             "is out of bounds (16777216 bytes)",
		half + `{{wrapWith 1 $a "a b c"}}`:                            "is out of bounds (16777216 bytes)",
		half + `{{semverCompare $a "1.0.0"}}`:                         "a version of 8000000 bytes",
		`{{uniq (until 100000)}}`:                                     "is out of bounds (4000 items)",
		`{{mustUniq (until 4001)}}`:                                   "is out of bounds (4000 items)",
		`{{without (until 100000) 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101}}`: "comparisons",
		`{{fromJson (repeat 5000000 "1")}}`: "is out of bounds (4194304 bytes)",
		`{{$l := until 60000}}{{range until 150}}{{$l = list $l}}{{end}}{{$x := toPrettyJson $l}}`:          "a value is longer than 16777216 bytes",
		`{{$d := dict}}{{range $i := until 100}}{{$_ := set $d (toString $i) (repeat 8000000 "a")}}{{end}}`: "longer than 16777216 bytes",
		`{{range until 100}}{{$a := repeat 8000000 "a"}}{{end}}`:                                            "make more than 134217728 bytes",
		`{{range until 100}}{{$a := until 1000000}}{{end}}`:                                                 "make more than 134217728 bytes",
		`{{define "big"}}{{range until 1000}}0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef{{end}}{{end}}{{range until 10000}}{{$x := $.StringExpand "{{range until 1000}}0123456789abcdef0123456789abcdef{{end}}"}}{{end}}`: "more than",
		strings.Repeat("{{1}}", 30_000):      "has 30000 actions",
		strings.Repeat("x", 5<<20) + "{{1}}": "20000 in 4194304 at most",
	} {
		begun := time.Now()
		_, err := render.Text(render.Context{Reader: db.View()}, "test", text)
		require.ErrorContains(t, err, want, "%.200s", text)
		assert.Less(t, time.Since(begun), render.MaxTime, "%.200s", text)
	}
}

func open(t *testing.T) *resource.DB {
	t.Helper()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), param.ObjectKeys)})
	require.NoError(t, err)
	return db
}

// slow loops for longer than any test; fast enough that no other limit ends it.
const slow = `{{range until 190000}}{{$x := sha256sum (repeat 1000000 "a")}}{{end}}`

func TestRenderingEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	db := open(t)
	for name, text := range map[string]string{
		"a loop":         slow,
		"a straight one": strings.Repeat(`{{len (sha256sum $.Job)}}`, 1) + strings.Repeat(`{{sha256sum "a"}}`, 19_000),
		"expansions":     `{{.StringExpand "{{.StringExpand \"{{range until 190000}}{{sha256sum (repeat 100000 \\\"a\\\")}}{{end}}\"}}"}}`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if name == "a straight one" {
			text = strings.Repeat(`{{sha256sum "a"}}`, 19_000)
		}
		begun := time.Now()
		_, err := render.Text(render.Context{Ctx: ctx, Reader: db.View()}, "test", text)
		require.ErrorContains(t, err, "nobody waits for it any more", name)
		_, err = render.Actions(render.Context{Ctx: ctx, Reader: db.View()}, []api.TemplateInfo{{Name: "a", Contents: text}})
		require.ErrorContains(t, err, "nobody waits for it any more", name)
		assert.Less(t, time.Since(begun), 3*time.Second, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := render.Text(render.Context{Ctx: ctx, Reader: db.View()}, "test", `{{range until 60}}{{$x := sha256sum (repeat 2000000 "a")}}{{end}}`+
		`{{range until 190000}}{{$x := len (.Param "x")}}{{end}}`)
	require.Error(t, err)
	assert.Less(t, time.Since(begun), 5*time.Second)
}

// A text that came out of a param may be the machine's. It gets no secrets, by
// whatever way it is rendered; the template itself does.
func TestParamsAreNoTemplatesForSecrets(t *testing.T) {
	t.Parallel()
	vault := param.NewVault(seal.NewMaster(seal.Key{3}))
	kinds := append(api.Kinds(), param.ObjectKeys)
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: kinds, Hooks: vault.Hooks(kinds)})
	require.NoError(t, err)
	m := &api.Machine{Name: "n1", Profiles: []string{"p"}, Params: resource.Params{
		"a": `{{.Param "pw"}}`, "b": []any{`{{.ParamExpand "a"}}`}, "c": map[string]any{"k": `{{.ComposeParam "pw"}}`}, "json": `{{.ParamAsJSON "pw"}}`,
		"twice": `{{.StringExpand "{{.Param \"pw\"}}"}}`, "call": `{{.CallTemplate "shows" .}}`, "include": `{{template "shows" .}}`,
		"token": `{{.GenerateProfileToken "p" 60}}`}}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error {
		require.NoError(t, api.ParamDefs.Create(tx, &api.Param{Name: "pw", Secure: true}))
		require.NoError(t, api.Templates.Create(tx, &api.Template{ID: "shows", Contents: `{{.Param "pw"}}`}))
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "p", Params: resource.Params{"pw": "hunter2"}}))
		return api.Machines.Create(tx, m)
	}))
	c := render.Context{Reader: db.View(), Machine: m, Vault: vault,
		Token: func(string, string, time.Duration) (string, error) { return "hunter2", nil }}
	for _, text := range []string{`{{.Param "pw"}}`, `{{template "shows" .}}`, `{{.ParamExpand "pw"}}`, `{{.CallTemplate "shows" .}}`,
		`{{$_ := .StringExpand "x"}}{{.Param "pw"}}`} {
		got, err := render.Text(c, "test", text)
		require.NoError(t, err, text)
		assert.Equal(t, "hunter2", strings.TrimPrefix(got, "x"), text)
	}
	for _, text := range []string{`{{.ParamExpand "a"}}`, `{{.ParamExpand "b"}}`, `{{.ParamExpand "c"}}`, `{{.ParamExpand "json"}}`, `{{.ParamExpand "twice"}}`,
		`{{.ParamExpand "call"}}`, `{{.ParamExpand "include"}}`, `{{.ParamExpand "token"}}`, `{{.ComposeParamExpand "a"}}`, `{{.ParamComposeExpand "b"}}`,
		`{{.StringExpand (.Param "a")}}`, `{{.ObjectExpand (.Param "c")}}`, `{{.StringExpand (.Machine.Params.json)}}`, `{{.ObjectExpand (splitList "," (.Param "a"))}}`} {
		got, err := render.Text(c, "test", text)
		require.ErrorContains(t, err, "comes from a param or is computed", text)
		assert.NotContains(t, got+err.Error(), "hunter2", text)
	}
}
