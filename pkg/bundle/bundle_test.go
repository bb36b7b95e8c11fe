package bundle_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"drpd/pkg/api"
	"drpd/pkg/bundle"
)

const small = `
meta:
  Name: small
  Version: v1.2.3
sections:
  stages:
    prepare:
      Name: prepare
      Tasks: [look]
  tasks:
    look:
      Templates:
        - Name: look
          Contents: |
            #!/bin/sh
            lshw
`

func TestDecode(t *testing.T) {
	t.Parallel()
	pack, err := bundle.FromBundle([]byte(small))
	require.NoError(t, err)
	assert.Equal(t, api.PackMeta{Name: "small", Version: "v1.2.3"}, pack.Meta)
	assert.Equal(t, map[string]any{"Name": "prepare", "Tasks": []any{"look"}}, pack.Sections["stages"]["prepare"])

	data, err := yaml.YAMLToJSON([]byte(small))
	require.NoError(t, err)
	fromJSON, err := bundle.FromBundle(data)
	require.NoError(t, err)
	assert.Equal(t, pack, fromJSON)
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"meta: {Name: a}\nsections: {stages: {s: {Name: s, Tasks: x}}}": `contents/a: stages/s: field Tasks: cannot hold a string`,
		"meta: {Name: a}\nsections: {stages: {s: {Name: other}}}":       `contents/a: stages/s: field Name is "other", but its key in the section is "s": make them equal`,
		"meta: {Name: a}\nsections: {stages: {s: text}, tasks: {t: 1}}": `contents/a: tasks/t: is not an object with fields; stages/s: is not an object with fields`,
		"meta: {Name: a}\nsections: {users: {root: {Name: root}}}":      `contents/a: section users: a content pack may hold only params, templates, profiles, tasks, bootenvs, stages, workflows, blueprints,`,
		"meta: {Nmae: a}":                        `contents: meta.Name is empty`,
		`{"meta": {"Name": "a"}, "section": {}}`: `contents: unknown field "section"`,
		`{"meta": {"Name": "a"}} {}`:             `contents: more than one JSON value`,
		"meta: {Name: a}\nsections: {stages: {s: {Name: s}, s: {Name: s}}}": `already set in map`,
		"meta: [": `contents: `,
	} {
		_, err := bundle.FromBundle([]byte(in))
		assert.ErrorContains(t, err, want, in)
	}
}

func TestFromDir(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	dir := fstest.MapFS{
		"meta.yaml":              file("Name: d\nVersion: v1.0.0\n"),
		"README.md":              file("ignored"),
		".git/config":            file("ignored"),
		"stages/prepare.yaml":    file("Tasks: [look]\n"),
		"tasks/look.json":        file(`{"Templates": [{"Name": "l", "ID": "bin/look.sh"}]}`),
		"params/ipmi/user.yml":   file("Schema: {type: string}\n"),
		"workflows/two-word.yml": file("Name: two words\nStages: [prepare]\n"),
		"templates/bin/look.sh":  file("#!/bin/sh\n{{.Machine.Name}}\n"),
	}
	pack, err := bundle.FromDir(dir)
	require.NoError(t, err)
	assert.Equal(t, &api.ContentPack{Meta: api.PackMeta{Name: "d", Version: "v1.0.0"}, Sections: map[string]map[string]any{
		"stages":    {"prepare": map[string]any{"Tasks": []any{"look"}}},
		"tasks":     {"look": map[string]any{"Templates": []any{map[string]any{"Name": "l", "ID": "bin/look.sh"}}}},
		"params":    {"ipmi/user": map[string]any{"Schema": map[string]any{"type": "string"}}},
		"workflows": {"two words": map[string]any{"Name": "two words", "Stages": []any{"prepare"}}},
		"templates": {"bin/look.sh": map[string]any{"ID": "bin/look.sh", "Contents": "#!/bin/sh\n{{.Machine.Name}}\n"}},
	}}, pack)

	for name, tc := range map[string]struct{ content, want string }{
		"stages/other.yaml":  {"Nope: 1\n", ""},
		"stages/other.txt":   {"x", "stages/other.txt: is neither .yaml, .yml nor .json"},
		"stages/again.yaml":  {"Name: prepare\n", "stages/prepare is already in another file"},
		"machines/m.yaml":    {"Name: m\n", "section machines: a content pack may hold only"},
		"meta.yaml":          {"Version: v1\n", "the content pack has no name: put it into ._Name.meta, or field Name of meta.yaml"},
		"profiles/null.yaml": {"null", ""},
	} {
		bad := fstest.MapFS{}
		for k, v := range dir {
			bad[k] = v
		}
		bad[name] = file(tc.content)
		_, err := bundle.FromDir(bad)
		if tc.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tc.want, name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"meta":{"Name":"x"},"sections":{"params":{"p":{"Schema":{"default":1}}}}}`))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pack, err := bundle.FromBundle(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(pack)
		if err != nil {
			t.Fatalf("decoded pack cannot be stored: %v", err)
		}
		if _, err := bundle.FromBundle(again); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
