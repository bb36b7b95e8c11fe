package daemon_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/client"
	"drpd/pkg/resource"
)

// tries are ways to give a machine's param a value, by method and path below
// the API; UUID and NAME stand for what they say.
func tries(param string) map[string][3]string {
	at := strings.ReplaceAll(param, "/", "~1")
	patch := func(ops string) [3]string { return [3]string{"PATCH", "machines/UUID", ops} }
	return map[string][3]string{
		"add":             patch(`[{"op":"add","path":"/Params/` + at + `","value":"192.0.2.66"}]`),
		"replace all":     patch(`[{"op":"replace","path":"/Params","value":{"` + param + `":"192.0.2.66"}}]`),
		"add all":         patch(`[{"op":"add","path":"/Params","value":{"` + param + `":"192.0.2.66"}}]`),
		"copy":            patch(`[{"op":"copy","from":"/Params/my~1x","path":"/Params/` + at + `"}]`),
		"move":            patch(`[{"op":"move","from":"/Params/my~1x","path":"/Params/` + at + `"}]`),
		"copy via Meta":   patch(`[{"op":"add","path":"/Meta/a","value":"192.0.2.66"},{"op":"move","from":"/Meta/a","path":"/Params/` + at + `"}]`),
		"copy a map":      patch(`[{"op":"add","path":"/Params/m","value":{"` + param + `":"192.0.2.66"}},{"op":"move","from":"/Params/m","path":"/Params"}]`),
		"whole":           patch(`[{"op":"replace","path":"","value":{"Uuid":"UUID","Name":"n1","Params":{"` + param + `":"192.0.2.66"}}}]`),
		"test, then add":  patch(`[{"op":"test","path":"/Name","value":"n1"},{"op":"add","path":"/Params/` + at + `","value":"192.0.2.66"}]`),
		"lower case":      patch(`[{"op":"add","path":"/params/` + at + `","value":"192.0.2.66"}]`),
		"one":             {"POST", "machines/UUID/params/" + url.PathEscape(param), `"192.0.2.66"`},
		"one by slash":    {"POST", "machines/UUID/params/" + param, `"192.0.2.66"`},
		"all":             {"POST", "machines/UUID/params", `{"` + param + `":"192.0.2.66"}`},
		"some":            {"PATCH", "machines/UUID/params", `[{"op":"add","path":"/` + at + `","value":"192.0.2.66"}]`},
		"put":             {"PUT", "machines/UUID", `{"Uuid":"UUID","Name":"n1","HardwareAddrs":["` + mac1 + `"],"Params":{"` + param + `":"192.0.2.66"}}`},
		"put lower case":  {"PUT", "machines/UUID", `{"Uuid":"UUID","Name":"n1","params":{"` + param + `":"192.0.2.66"}}`},
		"put twice":       {"PUT", "machines/UUID", `{"Uuid":"UUID","Name":"n1","Params":{"` + param + `":"192.0.2.66"},"Params":{"my/x":"192.0.2.66"}}`},
		"put, writable":   {"PUT", "machines/UUID?replaceWritable=true&force=true", `{"Uuid":"UUID","Name":"n1","Params":{"` + param + `":"192.0.2.66"}}`},
		"by name":         {"POST", "machines/Name:n1/params/" + url.PathEscape(param), `"192.0.2.66"`},
		"global":          {"POST", "profiles/global/params/" + url.PathEscape(param), `"192.0.2.66"`},
		"its profile":     {"POST", "profiles/p/params/" + url.PathEscape(param), `"192.0.2.66"`},
		"new profile":     {"POST", "profiles", `{"Name":"q","Params":{"` + param + `":"192.0.2.66"}}`},
		"its stage":       {"PATCH", "stages/none", `[{"op":"add","path":"/Params/` + at + `","value":"192.0.2.66"}]`},
		"the definition":  {"POST", "params", `{"Name":"` + param + `","Schema":{"type":"string","default":"192.0.2.66"}}`},
		"an order":        {"POST", "work_orders", `{"Machine":"UUID","Blueprint":"b","Params":{"` + param + `":"192.0.2.66"}}`},
		"a blueprint":     {"POST", "blueprints", `{"Name":"bb","Params":{"` + param + `":"192.0.2.66"}}`},
		"a trigger":       {"POST", "triggers", `{"Name":"t","Params":{"` + param + `":"192.0.2.66"}}`},
		"a batch":         {"POST", "batches", `{"Params":{"` + param + `":"192.0.2.66"}}`},
		"a pool":          {"POST", "pools/default/allocateMachines", `{"pool/machine-list":["UUID"],"pool/add-parameters":{"` + param + `":"192.0.2.66"}}`},
		"whoami":          {"POST", "whoami", `{"MacAddrs":["` + mac1 + `"],"Env":"discovery","Params":{"` + param + `":"192.0.2.66"},"Meta":{"` + param + `":"192.0.2.66"}}`},
		"a new machine":   {"POST", "machines", `{"Name":"n2","Params":{"` + param + `":"192.0.2.66"}}`},
		"new, lower case": {"POST", "machines", `{"Name":"n2","params":{"` + param + `":"192.0.2.66"}}`},
		"new, upper case": {"POST", "machines", `{"Name":"n2","PARAMS":{"` + param + `":"192.0.2.66"}}`},
		"new, twice":      {"POST", "machines", `{"Name":"n2","Params":{"` + param + `":"192.0.2.66"},"Params":{"my/x":"a"}}`},
		"new, null":       {"POST", "machines", `{"Name":"n2","Params":{"` + param + `":"192.0.2.66"},"Params":null}`},
	}
}

// closed says by which ways a caller got a param through, to anything.
func closed(t *testing.T, r *rack, c *client.Client, who, param string) {
	t.Helper()
	for name, try := range tries(param) {
		path, query, _ := strings.Cut(strings.NewReplacer("UUID", r.id).Replace(try[1]), "?")
		q, err := url.ParseQuery(query)
		require.NoError(t, err)
		status, _ := c.Do(t.Context(), try[0], path, q, json.RawMessage(strings.ReplaceAll(try[2], "UUID", r.id)), nil)
		v := r.d.DB.View()
		for _, k := range api.Kinds() {
			for o := range k.Each(v) {
				if p := k.ParamsOf(o.Val); p != nil {
					assert.NotEqual(t, "192.0.2.66", (*p)[param], "%s, %s (%d): %s/%s", who, name, status, o.Kind, o.Key)
				}
			}
		}
		if def, err := api.ParamDefs.Get(v, param); err == nil {
			schema, _ := def.Schema.(map[string]any)
			assert.NotEqual(t, "192.0.2.66", schema["default"], "%s, %s", who, name)
		}
	}
}

// Nobody but a user with the right to set passwords says where a BMC is: no
// machine, proven or not, by no way of writing.
func TestMachinesDoNotSayWhereTheirBMCIs(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{Params: resource.Params{"my/x": "192.0.2.66"}, Profiles: []string{}})
	put(t, r.d, func(tx *resource.Tx) error {
		require.NoError(t, api.Profiles.Create(tx, &api.Profile{Name: "p"}))
		return api.Machines.Modify(tx, r.id, func(m *api.Machine) error { m.Profiles = append(m.Profiles, "p"); return nil })
	})
	leased(t, r.d, mac1)
	agent, err := r.claim(r.boot)
	require.NoError(t, err)
	_, err = client.Patch(t.Context(), agent, api.Machines, r.id, client.Set("/Params/my~1y", "1"))
	require.NoError(t, err, "other params are open")
	for _, param := range []string{"ipmi/address", "callback/callbacks"} {
		closed(t, r, agent, "agent", param)
		closed(t, r, r.boot, "boot token", param)
	}
}

// One who may write machines, pools, orders and the rest, but set no secrets.
func TestALowUserDoesNotSayWhereABMCIs(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{Params: resource.Params{"my/x": "192.0.2.66"}})
	low := user(t, r, "low", api.Claim{Scope: "machines,pools,work_orders,blueprints,triggers,batches,stages,profiles", Action: "list,get,create,update,delete,action:*", Specific: "*"})
	for _, param := range []string{"ipmi/address", "ipmi/tls-pin", "callback/callbacks"} {
		closed(t, r, low, "low user", param)
	}
	half := user(t, r, "half", api.Claim{Scope: "machines", Action: "list,get,update,updateSecure", Specific: "*"})
	_, err := client.Patch(t.Context(), half, api.Machines, r.id, client.Set("/Params/callback~1callbacks", map[string]any{}))
	require.ErrorContains(t, err, "takes the right to read secrets (getSecure) too")
	_, err = client.Patch(t.Context(), half, api.Machines, r.id, client.Set("/Params/ipmi~1address", "192.0.2.66"))
	require.NoError(t, err)
	all := user(t, r, "all", api.Claim{Scope: "machines", Action: "list,get,update,updateSecure,getSecure", Specific: "*"})
	_, err = client.Patch(t.Context(), all, api.Machines, r.id, client.Set("/Params/callback~1callbacks", map[string]any{}))
	require.NoError(t, err)
}

func user(t *testing.T, r *rack, name string, claims ...api.Claim) *client.Client {
	t.Helper()
	c := admin(t, r.d)
	_, err := client.Create(t.Context(), c, api.Roles, &api.Role{Name: name, Claims: claims})
	require.NoError(t, err)
	_, err = client.Create(t.Context(), c, api.Users, &api.User{Name: name, Roles: []string{name}})
	require.NoError(t, err)
	_, err = c.Do(t.Context(), "PUT", "users/"+name+"/password", nil, map[string]string{"Password": "long enough 1"}, nil)
	require.NoError(t, err)
	out, err := client.New(client.Config{Endpoint: r.d.APIURL("127.0.0.1"), CAFingerprint: r.d.Fingerprint(), User: name, Password: "long enough 1"})
	require.NoError(t, err)
	return out
}

// A param that another one names steers like it, wherever that one is set.
func TestWhatAParamNamesIsClosedToo(t *testing.T) {
	t.Parallel()
	r := newRack(t, &api.Machine{})
	leased(t, r.d, mac1)
	agent, err := r.claim(r.boot)
	require.NoError(t, err)
	n := 0
	set := func() error {
		n++ // what is there already is no change
		_, err := client.Patch(t.Context(), agent, api.Machines, r.id, client.Set("/Params/site~1list", []string{fmt.Sprint(n)}))
		return err
	}
	require.NoError(t, set(), "nothing names it")
	name := func(p *resource.Params, pointer string) {
		*p = maps.Clone(*p)
		if *p == nil {
			*p = resource.Params{}
		}
		if (*p)[pointer] = "site/list"; pointer == "" {
			delete(*p, "")
		}
	}
	for where, point := range map[string]func(tx *resource.Tx, pointer string) error{
		"a stage": func(tx *resource.Tx, to string) error {
			return api.Stages.Modify(tx, "mine", func(o *api.Stage) error { o.Params = resource.Params{}; name(&o.Params, to); return nil })
		},
		"a profile": func(tx *resource.Tx, to string) error {
			return api.Profiles.Modify(tx, "p", func(o *api.Profile) error { o.Params = resource.Params{}; name(&o.Params, to); return nil })
		},
		"global": func(tx *resource.Tx, to string) error {
			return api.Profiles.Modify(tx, "global", func(o *api.Profile) error { o.Params = resource.Params{}; name(&o.Params, to); return nil })
		},
		"a blueprint": func(tx *resource.Tx, to string) error {
			return api.Blueprints.Modify(tx, "b", func(o *api.Blueprint) error { o.Params = resource.Params{}; name(&o.Params, to); return nil })
		},
		"the machine": func(tx *resource.Tx, to string) error {
			return api.Machines.Modify(tx, r.id, func(o *api.Machine) error { o.Params = resource.Params{}; name(&o.Params, to); return nil })
		},
	} {
		put(t, r.d, func(tx *resource.Tx) error {
			for _, err := range []error{api.Stages.Put(tx, &api.Stage{Name: "mine"}), api.Profiles.Put(tx, &api.Profile{Name: "p"}), api.Blueprints.Put(tx, &api.Blueprint{Name: "b"})} {
				require.NoError(t, err)
			}
			return nil
		})
		for _, pointer := range api.Pointers() {
			put(t, r.d, func(tx *resource.Tx) error { return point(tx, pointer) })
			assert.Equal(t, 403, client.Status(set()), "%s by %s", where, pointer)
			_, err := client.Create(t.Context(), r.boot, api.Machines, &api.Machine{Name: "n2", Params: resource.Params{"site/list": []any{"one"}}})
			if where != "the machine" {
				assert.Equal(t, 403, client.Status(err), "%s by %s: %v", where, pointer, err)
			}
		}
		put(t, r.d, func(tx *resource.Tx) error { return point(tx, "") })
		require.NoError(t, set(), "%s: open again", where)
		put(t, r.d, func(tx *resource.Tx) error {
			for m := range api.Machines.All(tx) {
				if m.Name == "n2" {
					return api.Machines.Delete(tx, m.Uuid)
				}
			}
			return nil
		})
	}
}

// The server ends in seconds whatever it renders, and writes go on meanwhile.
func TestNoRenderingHoldsUpTheServer(t *testing.T) {
	t.Parallel()
	const loop = `{{ range until 190000 }}{{ $x := sha256sum (repeat 400000 "a") }}{{ $y := regexFind "a+b" (repeat 400000 "a") }}{{ end }}`
	d, c, stop := server(t, t.TempDir())
	put(t, d, func(tx *resource.Tx) error {
		require.NoError(t, api.Stages.Create(tx, &api.Stage{Name: "slow", Tasks: []string{"classify"},
			Params: resource.Params{"classify/classification-data": []any{map[string]any{"test": "always", "actions": []any{"set_parameter a " + loop}}}}}))
		env := &api.BootEnv{Name: "slow", Templates: []api.TemplateInfo{{Name: "x", Path: "slow.txt", Contents: loop}}}
		require.NoError(t, api.BootEnvs.Create(tx, env))
		require.NoError(t, api.Preferences.Put(tx, &api.Preference{Name: "unknownBootEnv", Value: "slow"}))
		return api.Workflows.Create(tx, &api.Workflow{Name: "slow", Stages: []string{"slow"}})
	})
	m, err := client.Create(t.Context(), c, api.Machines, &api.Machine{Name: "n1", Workflow: "slow"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now, err := api.Machines.Get(d.DB.View(), m.Uuid)
		return err == nil && now.CurrentJob != "" && now.CurrentJob != api.NoJob
	}, 10*time.Second, 5*time.Millisecond)
	for range 10 {
		begun := time.Now()
		put(t, d, func(tx *resource.Tx) error {
			return api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error { m.Description += "."; return nil })
		})
		assert.Less(t, time.Since(begun), 3*time.Second, "writes go on")
	}
	begun := time.Now()
	stop()
	assert.Less(t, time.Since(begun), 5*time.Second)
}
