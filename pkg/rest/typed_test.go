package rest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// general is what save makes of a patch by way of the whole JSON.
func general(h *kindServer, o resource.Object, p patchDoc) (val any, changed []string, err error) {
	data, err := p.apply(h.layout().filled(o.JSON, p.fields()))
	if err != nil {
		return nil, nil, err
	}
	if val, err = h.kind.Decode(data); err != nil {
		return nil, nil, err
	}
	was, err := raw(o.JSON)
	if err != nil {
		return nil, nil, err
	}
	is, err := rawOf(val)
	if err != nil {
		return nil, nil, err
	}
	hide(is, was, o.Val)
	changed = changes(was, is)
	val, err = withHidden(h.kind, o, is)
	return val, changed, err
}

// TestTypedPatch holds the short way of a patch to the general one: where it
// takes a patch at all, it makes the same object and names the same changes.
func TestTypedPatch(t *testing.T) {
	t.Parallel()
	db, err := resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims)})
	require.NoError(t, err)
	m := &api.Machine{Name: "n1", Address: "10.0.0.1", Runnable: true, Secret: "hidden", HardwareAddrs: []string{"02:00:00:00:00:01"},
		Params: resource.Params{"a": 1, "b/c": "x", "deep": map[string]any{"k": []any{1, "z"}}, "none": nil}}
	require.NoError(t, db.Update(t.Context(), func(tx *resource.Tx) error { return api.Machines.Create(tx, m) }))
	o, err := api.Machines.Lookup(db.View(), m.Uuid)
	require.NoError(t, err)
	h := &kindServer{&server{cfg: Config{DB: db, BodyLimit: 4096}}, api.Machines}
	for text, fast := range map[string]bool{
		`[]`: true,
		`[{"op":"replace","path":"/Name","value":"n2"}]`:                                                                   true,
		`[{"op":"add","path":"/Description","value":"words"}]`:                                                             true,
		`[{"op":"add","path":"/Description","value":""}]`:                                                                  true,
		`[{"op":"test","path":"/Name","value":"n1"},{"op":"replace","path":"/Runnable","value":false}]`:                    true,
		`[{"op":"test","path":"/Name","value":"other"},{"op":"replace","path":"/Runnable","value":false}]`:                 false,
		`[{"op":"replace","path":"/Runnable","value":true}]`:                                                               true,
		`[{"op":"replace","path":"/Params","value":{"a":2,"new":{"x":null}}}]`:                                             true,
		`[{"op":"replace","path":"/Params","value":{}}]`:                                                                   true,
		`[{"op":"add","path":"/Params/a","value":2},{"op":"add","path":"/Params/b~1c","value":["y"]}]`:                     true,
		`[{"op":"add","path":"/Params/a","value":1}]`:                                                                      true,
		`[{"op":"add","path":"/Params/fresh","value":{"q":1.50}}]`:                                                         true,
		`[{"op":"remove","path":"/Params/deep"},{"op":"remove","path":"/Params/none"}]`:                                    true,
		`[{"op":"add","path":"/Params/t","value":1},{"op":"remove","path":"/Params/t"}]`:                                   true,
		`[{"op":"test","path":"/Params/deep","value":{"k":[1,"z"]}},{"op":"replace","path":"/Params/deep","value":3}]`:     true,
		`[{"op":"test","path":"/Params/a","value":1.0},{"op":"remove","path":"/Params/a"}]`:                                false,
		`[{"op":"add","path":"/Meta/color","value":"red"}]`:                                                                true,
		`[{"op":"add","path":"/Meta/color","value":null}]`:                                                                 false,
		`[{"op":"add","path":"/Meta/color","value":7}]`:                                                                    false,
		`[{"op":"replace","path":"/HardwareAddrs","value":["02:00:00:00:00:02"]}]`:                                         true,
		`[{"op":"add","path":"/HardwareAddrs/-","value":"02:00:00:00:00:03"}]`:                                             false,
		`[{"op":"add","path":"/Params/deep/k","value":1}]`:                                                                 false,
		`[{"op":"replace","path":"/Params/missing","value":1}]`:                                                            false,
		`[{"op":"remove","path":"/Params/missing"}]`:                                                                       false,
		`[{"op":"replace","path":"/name","value":"n2"}]`:                                                                   false,
		`[{"op":"replace","path":"/Nothing","value":1}]`:                                                                   false,
		`[{"op":"add","path":"/Nothing","value":1}]`:                                                                       false,
		`[{"op":"replace","path":"/Name","value":5}]`:                                                                      false,
		`[{"op":"add","path":"/Secret","value":"mine"}]`:                                                                   false,
		`[{"op":"replace","path":"/Uuid","value":"other"}]`:                                                                false,
		`[{"op":"replace","path":"/Fingerprint","value":{"Nope":1}}]`:                                                      false,
		`[{"op":"replace","path":"/Fingerprint","value":{"CloudInstanceID":"x"}}]`:                                         true,
		`[{"op":"replace","path":"/Owner","value":"x"}]`:                                                                   false,
		`[{"op":"copy","from":"/Name","path":"/Description"}]`:                                                             false,
		`[{"op":"move","from":"/Params/a","path":"/Params/z"}]`:                                                            false,
		`[{"op":"remove","path":"/Description"}]`:                                                                          false,
		`[{"op":"replace","path":"","value":{}}]`:                                                                          false,
		`[{"op":"replace","path":"/Profiles","value":null}]`:                                                               false,
		`[{"op":"add","path":"/Description","value":"` + string(make([]byte, 0)) + `"},{"op":"add","path":"/","value":1}]`: false,
	} {
		p, err := parsePatch([]byte(text))
		require.NoError(t, err, text)
		val, changed, ok := h.typed(o, p)
		assert.Equal(t, fast, ok, text)
		if !ok {
			continue
		}
		want, wantChanged, err := general(h, o, p)
		require.NoError(t, err, text)
		assert.ElementsMatch(t, wantChanged, changed, text)
		a, err := json.Marshal(want)
		require.NoError(t, err)
		b, err := json.Marshal(val)
		require.NoError(t, err)
		assert.JSONEq(t, string(a), string(b), text)
	}
	now, err := api.Machines.Lookup(db.View(), m.Uuid)
	require.NoError(t, err)
	assert.Equal(t, string(o.JSON), string(now.JSON))
	assert.Equal(t, "n1", now.Val.(*api.Machine).Name, "the shared object stays as it is")
	assert.Equal(t, "hidden", now.Val.(*api.Machine).Secret)
}
