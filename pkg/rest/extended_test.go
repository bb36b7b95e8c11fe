package rest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// declares loads a provider with kinds of its own.
func declares(t *testing.T, r *rig, kinds map[string]any) {
	t.Helper()
	r.put(t, func(tx *resource.Tx) error {
		return api.PluginProviders.Put(tx, &api.PluginProvider{Name: "ring", StoreObjects: kinds})
	})
}

func bells() map[string]any {
	return map[string]any{"bells": map[string]any{}, "towers": map[string]any{
		"type": "object", "required": []any{"Height"}, "properties": map[string]any{"Height": map[string]any{"type": "integer"}}}}
}

func TestObjectsOfDeclaredKinds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	assert.Equal(t, 404, r.as(t, r.root, "GET", "/api/v3/bells", "").status, "before it is declared")
	declares(t, r, bells())
	tok := people(t, r, map[string][]api.Claim{"nobody": one("machines", "*", "*"), "reader": one("bells", "get,list", "*"),
		"tuner": one("bells", "get,update:/Tone", "big")})
	tok["root"] = r.root
	const big = `{"Type":"bells","Id":"big","Validated":true,"Available":true,"Errors":[],"ReadOnly":false,"Bundle":"","Endpoint":"","Meta":{},` +
		`"Description":"","Documentation":"",`
	for _, c := range []struct {
		name, who, method, path, body string
		status                        int
		want                          string // JSON, or part of an error
	}{
		{"create", "root", "POST", "/bells", `{"Type":"bells","Id":"big","Tone":"c","Parts":{"clapper":1}}`, 201, big + `"Params":{},"Tone":"c","Parts":{"clapper":1}}`},
		{"create without Type", "root", "POST", "/bells", `{"Id":"small"}`, 201, ""},
		{"create again", "root", "POST", "/bells", `{"Id":"big"}`, 409, `"Model":"bells","Key":"big"`},
		{"create without Id", "root", "POST", "/bells", `{"Tone":"c"}`, 400, "Empty key not allowed"},
		{"create with a slash", "root", "POST", "/bells", `{"Id":"a/b"}`, 422, "has a slash"},
		{"create as another kind", "root", "POST", "/bells", `{"Id":"x","Type":"towers"}`, 400, "send it to towers"},
		{"create what is computed", "root", "POST", "/bells", `{"Id":"x","Meta":{"a":1}}`, 400, "Meta"},
		{"list", "root", "GET", "/bells?fields=Id", "", 200, `[{"Id":"big","Partial":true},{"Id":"small","Partial":true}]`},
		{"list by Id", "root", "GET", "/bells?Id=small&fields=Id", "", 200, `[{"Id":"small","Partial":true}]`},
		{"list by Key", "root", "GET", "/bells?Key=In(big)&fields=Id", "", 200, `[{"Id":"big","Partial":true}]`},
		{"list by nothing", "root", "GET", "/bells?Loud=1", "", 406, "Filter not found"},
		{"the other kind is empty", "root", "GET", "/towers", "", 200, `[]`},
		{"head", "root", "HEAD", "/bells/big", "", 200, ""},
		{"head of none", "root", "HEAD", "/bells/none", "", 404, ""},
		{"get", "root", "GET", "/bells/Id:big", "", 200, big + `"Params":{},"Tone":"c","Parts":{"clapper":1}}`},
		{"patch", "root", "PATCH", "/bells/big", `[{"op":"test","path":"/Tone","value":"c"},{"op":"replace","path":"/Tone","value":"d"}]`, 200, big + `"Params":{},"Tone":"d","Parts":{"clapper":1}}`},
		{"patch that comes late", "root", "PATCH", "/bells/big", `[{"op":"test","path":"/Tone","value":"c"},{"op":"replace","path":"/Tone","value":"e"}]`, 409, "Test op failed"},
		{"patch of Type", "root", "PATCH", "/bells/big", set("/Type", `"towers"`), 406, "send it to towers"},
		{"patch of the server's", "root", "PATCH", "/bells/big", set("/ReadOnly", `true`), 422, "ReadOnly"},
		{"put", "root", "PUT", "/bells/big", `{"Type":"bells","Id":"big","Tone":"f"}`, 200, big + `"Params":{},"Tone":"f"}`},
		{"put elsewhere", "root", "PUT", "/bells/big", `{"Id":"huge"}`, 400, "the key cannot change"},
		{"set a param", "root", "POST", "/bells/big/params/ring/volume", `11`, 200, `11`},
		{"get a param", "root", "GET", "/bells/big/params/ring/volume", "", 200, `11`},
		{"get params", "root", "GET", "/bells/big/params", "", 200, `{"ring/volume":11}`},
		{"unset a param", "root", "DELETE", "/bells/big/params/ring%2Fvolume", "", 200, `11`},
		{"set params", "root", "POST", "/bells/big/params", `{"a":1}`, 200, `{"a":1}`},
		{"patch meta", "root", "PATCH", "/meta/bells/big", `[{"op":"add","path":"/k","value":"v"}]`, 200, `{"k":"v"}`},
		{"actions", "root", "GET", "/bells/big/actions", "", 200, `[]`},
		{"indexes", "root", "GET", "/indexes/bells/Id", "", 200, `{"Type":"string","Unique":false,"Unordered":false,"Regex":true}`},
		{"schema kept", "root", "POST", "/towers", `{"Id":"t","Height":3}`, 201, ""},
		{"schema missed", "root", "POST", "/towers", `{"Id":"u"}`, 422, "Height"},
		{"schema broken by a patch", "root", "PATCH", "/towers/t", set("/Height", `"x"`), 422, "does not fit the schema of towers"},
		{"undeclared", "root", "GET", "/chimes", "", 404, "there is no GET"},
		{"our own name of them", "root", "GET", "/extended", "", 404, "there is no GET"},
		{"no such route", "root", "GET", "/bells/big/nothing", "", 404, "there is no GET"},
		{"read by a reader", "reader", "GET", "/bells/small", "", 200, ""},
		{"created by a reader", "reader", "POST", "/bells", `{"Id":"x"}`, 403, "reader may not create bells x"},
		{"deleted by a reader", "reader", "DELETE", "/bells/big", "", 403, "reader may not delete bells big"},
		{"unseen", "nobody", "GET", "/bells/big", "", 404, ""},
		{"created without a claim", "nobody", "POST", "/bells", `{"Id":"x"}`, 403, ""},
		{"a field within the claim", "tuner", "PATCH", "/bells/big", set("/Tone", `"g"`), 200, ""},
		{"a field beyond it", "tuner", "PATCH", "/bells/big", set("/Weight", `1`), 403, "update:/Weight"},
		{"delete", "root", "DELETE", "/bells/big", "", 200, ""},
		{"delete again", "root", "DELETE", "/bells/big", "", 404, "Not Found"},
	} {
		got := r.as(t, tok[c.who], c.method, "/api/v3"+c.path, c.body)
		assert.Equal(t, c.status, got.status, "%s: %s", c.name, got.body)
		switch {
		case c.want == "":
		case c.status < 300:
			assert.JSONEq(t, c.want, got.body, c.name)
		default:
			assert.Contains(t, got.body, c.want, c.name)
		}
	}
}

func TestDeclaredKindsComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	declares(t, r, bells())
	before := r.db.Seq()
	require.Equal(t, 201, r.as(t, r.root, "POST", "/api/v3/bells", `{"Id":"big"}`).status)
	events, _, err := r.db.Since(before)
	require.NoError(t, err)
	require.NotEmpty(t, events)
	assert.Equal(t, []string{"bells", "big", "create"}, []string{events[0].Type, events[0].Key, events[0].Action})
	assert.Contains(t, r.as(t, r.root, "GET", "/api/v3/objects", "").body, `"bells"`)
	r.put(t, func(tx *resource.Tx) error { return api.PluginProviders.Delete(tx, "ring") })
	assert.Equal(t, 404, r.as(t, r.root, "GET", "/api/v3/bells/big", "").status)
	assert.NotContains(t, r.as(t, r.root, "GET", "/api/v3/objects", "").body, `"bells"`)
	declares(t, r, bells())
	assert.Equal(t, 200, r.as(t, r.root, "GET", "/api/v3/bells/big", "").status)
	for kind, why := range map[string]string{"machines": "own API", "info": "own API", "a/b": "Invalid StoreObjects"} {
		err := r.db.Update(t.Context(), func(tx *resource.Tx) error {
			return api.PluginProviders.Put(tx, &api.PluginProvider{Name: "x", StoreObjects: map[string]any{kind: nil}})
		})
		assert.ErrorContains(t, err, why)
	}
	err = r.db.Update(t.Context(), func(tx *resource.Tx) error {
		return api.PluginProviders.Put(tx, &api.PluginProvider{Name: "x", StoreObjects: map[string]any{"odd": map[string]any{"type": 7}}})
	})
	assert.ErrorContains(t, err, "the schema of odd")
}
