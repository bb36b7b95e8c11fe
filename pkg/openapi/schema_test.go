package openapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSchemaOfAMachine(t *testing.T) {
	t.Parallel()
	d, _ := build(t)
	m := d.Components.Schemas["Machine"]
	require.NotNil(t, m)
	assert.Contains(t, m.Description, "one physical server")
	for name, want := range map[string]string{
		"Uuid":        `{"type":"string","format":"uuid","readOnly":true}`,
		"CurrentTask": `{"type":"integer","description":"-1: not started; len(Tasks): done"}`,
		"Address":     `{"type":"string","anyOf":[{"format":"ipv4"},{"const":""}]}`,
		"Errors":      `{"type":"array","items":{"type":"string"},"readOnly":true}`,
		"PoolStatus":  `{"anyOf":[{"$ref":"#/components/schemas/PoolStatus"},{"const":""}],"readOnly":true}`,
		"Boot":        `{"$ref":"#/components/schemas/BootState","readOnly":true}`,
		"Owner":       `{"type":"string","description":"Owner is the uuid of the cluster that holds the machine, \"\" if none does.","readOnly":true,"anyOf":[{"format":"uuid"},{"const":""}]}`,
	} {
		is, err := json.Marshal(m.Properties[name])
		require.NoError(t, err)
		assert.JSONEq(t, want, string(is), name)
	}
	assert.NotContains(t, m.Properties, "Secret", "no reply shows it")
	assert.NotContains(t, m.Properties, "Moving")
	assert.NotContains(t, m.Properties, "Common", "what is embedded is the object's own")
	assert.Contains(t, m.Required, "Uuid")
	assert.NotContains(t, m.Required, "Owner", "it may be left out")
	assert.Contains(t, d.Components.Schemas["JobState"].Enum, "running")
}

// The key of each kind that users create is there, and named.
func TestKeyMembers(t *testing.T) {
	t.Parallel()
	want := map[string]string{"machines": "Uuid", "pools": "Id", "templates": "ID", "subnets": "Name", "reservations": "Addr", "contents": "meta", "files": "Path", "boot_records": "Mac"}
	for _, k := range kinds() {
		zero, err := k.Decode([]byte("{}"))
		require.NoError(t, err)
		key := keyMember(k, zero)
		assert.NotEmpty(t, key, k.KindName())
		if w := want[k.KindName()]; w != "" {
			assert.Equal(t, w, key, k.KindName())
		}
	}
}

// What an operation refers to is there, and no two have one id.
func TestReferences(t *testing.T) {
	t.Parallel()
	d, _ := build(t)
	data, err := json.Marshal(d)
	require.NoError(t, err)
	for _, part := range strings.Split(string(data), `"$ref":"#/components/`)[1:] {
		ref, _, _ := strings.Cut(part, `"`)
		section, name, _ := strings.Cut(ref, "/")
		switch section {
		case "schemas":
			assert.Contains(t, d.Components.Schemas, name)
		case "parameters":
			assert.Contains(t, d.Components.Parameters, name)
		case "responses":
			assert.Contains(t, d.Components.Responses, name)
		default:
			t.Errorf("reference to %s", ref)
		}
	}
	ids := map[string]string{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			assert.Empty(t, ids[op.OperationID], "%s of %s %s", op.OperationID, method, path)
			ids[op.OperationID] = path
			assert.NotEmpty(t, op.Summary, path)
		}
	}
}
