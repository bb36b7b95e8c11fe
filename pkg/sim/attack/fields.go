package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

const (
	kindDeclare = "declare what steers"
	kindWrite   = "write what steers"
)

// closedFields are those of a machine that decide what the server does, with
// values that nobody else gives them.
var closedFields = map[string]any{
	"Profiles": []any{holding}, "Workflow": "evil-flow", "Stage": "evil-stage", "Tasks": []any{"evil-task"}, "BootEnv": "discovery", "Context": "drpcli-runner",
	"WorkOrderMode": true, "Locked": true, "Pool": "evil", "PoolStatus": "HoldDestroy", "PoolAllocated": true, "Owner": "11111111-2222-4333-8444-555555555555",
	"Secret": "evil-evil-evil-evil", "Pipeline": "evil", "Virtual": true, "Uses": 7, "Protected": true, "Endpoint": "evil", "ReadOnly": true, "Bundle": "evil",
	"Unwiped": map[string]any{"Why": "evil"}, "Fence": map[string]any{"Says": "evil"}, "ProtectedDisks": []any{map[string]any{"Source": "evil", "Disks": []any{"EVIL"}}},
	"CurrentJob": "11111111-2222-4333-8444-555555555555", "Boot": map[string]any{"Intent": "evil", "Env": "discovery"}, "Generation": 7,
}

// closedParams is one of each family that code of the server reads.
var closedParams = map[string]any{
	"ipmi/address": "10.77.0.10", "ipmi/mode": "redfish", "ipmi/enabled": true, "ipmi/password": "evil", "callback/callbacks": map[string]any{"evil": map[string]any{"Url": "http://10.77.0.10/"}},
	"callback/data-override": "evil", "classify/classification-data": []any{map[string]any{"test": "always", "actions": []any{"set_parameter evil 1"}}},
	"flexiflow/list-parameter": "evil", "universal/application": "evil", "validation/list-parameter": "evil", "disk/protected": []any{"EVIL"}, "disk-plan/wipe": []any{},
	"disk-plan/install": map[string]any{"serial": "EVIL"}, "disk-wipe/serials": []any{"EVIL"}, "image-deploy/image": "evil", "broker/name": "evil", "broker-pool/pool": "evil",
	"cluster/count": 77, "pool/name": "evil", "task-error-handlers": []any{"evil-task"}, "hostname": "evil", "package-repositories": []any{}, "evil/task-list": []any{"evil-task"},
	"batch/evil": "evil", "drpd/evil": "evil", "rack/build": "evil", "work-order/evil": "evil", "cron-trigger/time-string": "* * * * *",
}

// bodies write a field, or a param, of a document in the ways that parsers may
// read differently.
var bodies = map[string]func(base map[string]any, name string, v any) string{
	"as it is": func(b map[string]any, n string, v any) string { return object(b, n, v) },
	"lower case": func(b map[string]any, n string, v any) string {
		if b["Params"] != nil {
			return strings.Replace(object(b, n, v), `"Params"`, `"params"`, 1)
		}
		return object(b, strings.ToLower(n), v)
	},
	"twice": func(b map[string]any, n string, v any) string {
		text := object(b, n, v)
		if b["Params"] != nil {
			return strings.Replace(text, `"Params":`, `"Params":{"a":1},"Params":`, 1)
		}
		return strings.TrimSuffix(text, "}") + "," + quoted(n) + ":" + quoted(v) + "}"
	},
	"then null": func(b map[string]any, n string, v any) string {
		text := strings.TrimSuffix(object(b, n, v), "}")
		if b["Params"] != nil {
			return text + `,"PARAMS":null}`
		}
		return text + "," + quoted(strings.ToUpper(n)) + ":null}"
	},
	"escaped name": func(b map[string]any, n string, v any) string {
		return strings.Replace(object(b, n, v), quoted(n), `"\u00`+fmt.Sprintf("%02x", n[0])+n[1:]+`"`, 1)
	},
}

// object is a document with one more field, or param if it has Params.
func object(base map[string]any, name string, v any) string {
	doc := maps.Clone(base)
	if p, ok := doc["Params"].(map[string]any); ok {
		p = maps.Clone(p)
		p[name] = v
		doc["Params"] = p
	} else {
		doc[name] = v
	}
	return quoted(doc)
}

func quoted(v any) string {
	data, _ := json.Marshal(v) // of literals: it cannot fail
	return string(data)
}

func fields() []attack {
	var out []attack
	for how, body := range bodies {
		out = append(out,
			attack{kindDeclare, "a new machine with each closed field, " + how, "fields of new machines", func(ctx context.Context, e *env) (string, error) {
				return e.declare(ctx, closedFields, false, body)
			}},
			attack{kindDeclare, "a new machine with each closed param, " + how, "fields of new machines", func(ctx context.Context, e *env) (string, error) {
				return e.declare(ctx, closedParams, true, body)
			}})
	}
	for how, w := range writes {
		out = append(out,
			attack{kindWrite, "its own closed fields, " + how, "fields of agents", func(ctx context.Context, e *env) (string, error) {
				return e.rewrite(ctx, closedFields, "", w)
			}},
			attack{kindWrite, "its own closed params, " + how, "params of agents", func(ctx context.Context, e *env) (string, error) {
				return e.rewrite(ctx, closedParams, "Params", w)
			}})
	}
	return append(out, otherWrites()...)
}

// declare makes machines with closed values by the token that anybody gets, and
// by none.
func (e *env) declare(ctx context.Context, closed map[string]any, params bool, body func(map[string]any, string, any) string) (string, error) {
	a := e.at(e.evil(), noAddr)
	token, err := a.anybodys(ctx)
	if err != nil || token == "" {
		return "", fmt.Errorf("join-up.sh has no token: %v", err)
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(closed)) {
		e.count++
		base := map[string]any{"Name": fmt.Sprintf("evil%d", e.count), "HardwareAddrs": []string{mac(5, e.count)}}
		if params {
			base["Params"] = map[string]any{}
		}
		if _, _, err := a.with(token).call(ctx, "POST", "machines", body(base, name, closed[name])); err != nil {
			return "", err
		}
		m, err := e.object(ctx, "machines/Name:"+base["Name"].(string))
		if err != nil {
			return "", err
		}
		if has(m, params, name, closed[name]) {
			got = append(got, name)
		}
	}
	return strings.Join(got, ", "), nil
}

// has says whether an object has the attacker's value.
func has(m map[string]any, params bool, name string, want any) bool {
	if params {
		p, _ := m["Params"].(map[string]any)
		m = p
	}
	v, ok := m[name]
	if !ok {
		return false
	}
	var plain any
	_ = json.Unmarshal([]byte(quoted(want)), &plain)
	w, isMap := plain.(map[string]any)
	g, gotMap := v.(map[string]any)
	if isMap && gotMap { // the server may add to it
		for k, x := range w {
			if !reflect.DeepEqual(g[k], x) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(v, plain) || name == "ipmi/password" // which is sealed
}

// request is one call of the API.
type request struct{ method, path, body string }

// writes are ways to write at a pointer of one's own machine.
var writes = map[string]func(m machine, in, name string, v any) []request{
	"add":     func(m machine, in, name string, v any) []request { return patches(m, op("add", in, name, v)) },
	"replace": func(m machine, in, name string, v any) []request { return patches(m, op("replace", in, name, v)) },
	"test, then add": func(m machine, in, name string, v any) []request {
		return patches(m, `{"op":"test","path":"/Name","value":`+quoted(m.name)+`}`, op("add", in, name, v))
	},
	"copy": func(m machine, in, name string, v any) []request {
		return patches(m, op("add", "Params", "my/x", v), `{"op":"copy","from":"/Params/my~1x","path":"`+pointer(in, name)+`"}`)
	},
	"move": func(m machine, in, name string, v any) []request {
		return patches(m, op("add", "Params", "my/x", v), `{"op":"move","from":"/Params/my~1x","path":"`+pointer(in, name)+`"}`)
	},
	"the whole by patch": func(m machine, in, name string, v any) []request {
		return patches(m, `{"op":"replace","path":"","value":`+whole(m, in, name, v)+`}`)
	},
	"PUT": func(m machine, in, name string, v any) []request {
		return []request{{"PUT", "machines/" + m.id, whole(m, in, name, v)}, {"PUT", "machines/" + m.id + "?replaceWritable=true", whole(m, in, name, v)}, {"PUT", "machines/" + m.id + "?force=true", whole(m, in, name, v)}}
	},
	"PUT, lower case": func(m machine, in, name string, v any) []request {
		body := strings.Replace(strings.Replace(whole(m, in, name, v), quoted(name), quoted(strings.ToLower(name)), 1), `"Params"`, `"params"`, 1)
		return []request{{"PUT", "machines/" + m.id, body}}
	},
	"a part of a route": func(m machine, in, name string, v any) []request {
		if in == "" {
			return []request{{"POST", "machines/" + m.id + "/" + name, quoted(v)}, {"PATCH", "machines/" + m.id + "?force=true", "[" + op("add", in, name, v) + "]"}, {"PATCH", "machines/Name:" + m.name, "[" + op("add", in, name, v) + "]"}}
		}
		one := quoted(map[string]any{name: v})
		return []request{{"POST", "machines/" + m.id + "/params/" + url.PathEscape(name), quoted(v)}, {"POST", "machines/" + m.id + "/params/" + name, quoted(v)},
			{"POST", "machines/" + m.id + "/params", one}, {"PATCH", "machines/" + m.id + "/params", "[" + op("add", "", name, v) + "]"},
			{"POST", "machines/Name:" + m.name + "/params", one}, {"POST", "machines/HardwareAddr:" + m.mac + "/params/" + url.PathEscape(name), quoted(v)}}
	},
	"replace the parent": func(m machine, in, name string, v any) []request {
		if in == "" {
			return patches(m, op("remove", in, name, nil), op("add", in, name, v))
		}
		return patches(m, op("replace", "", in, map[string]any{name: v}))
	},
	"by Meta": func(m machine, in, name string, v any) []request {
		return patches(m, op("add", "Meta", "x", "a"), op("add", "Meta", name, v), `{"op":"move","from":"`+pointer("Meta", name)+`","path":"`+pointer(in, name)+`"}`)
	},
}

func patches(m machine, ops ...string) []request {
	return []request{{"PATCH", "machines/" + m.id, "[" + strings.Join(ops, ",") + "]"}}
}

func op(how, in, name string, v any) string {
	return `{"op":"` + how + `","path":"` + pointer(in, name) + `","value":` + quoted(v) + `}`
}

func pointer(in, name string) string {
	p := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	if in != "" {
		p = "/" + in + p
	}
	return p
}

func whole(m machine, in, name string, v any) string {
	doc := map[string]any{"Uuid": m.id, "Name": m.name, "HardwareAddrs": []string{m.mac}}
	if in != "" {
		doc[in] = map[string]any{}
	}
	return object(doc, name, v)
}

// rewrite writes each closed value of its own machine with the machine's token.
func (e *env) rewrite(ctx context.Context, closed map[string]any, in string, way func(m machine, in, name string, v any) []request) (string, error) {
	m, agent, err := e.own(ctx)
	if err != nil {
		return "", err
	}
	before, err := e.object(ctx, "machines/"+m.id)
	if err != nil {
		return "", err
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(closed)) {
		if has(before, in != "", name, closed[name]) {
			return "", fmt.Errorf("%s is %v before", name, closed[name])
		}
		for _, r := range way(m, in, name, closed[name]) {
			if _, _, err := agent.call(ctx, r.method, r.path, r.body); err != nil {
				return "", err
			}
		}
		now, err := e.object(ctx, "machines/"+m.id)
		if err != nil {
			return "", err
		}
		if has(now, in != "", name, closed[name]) {
			got = append(got, name)
		}
	}
	return strings.Join(got, ", "), nil
}

// own is a machine of the attacker's, with a real lease and token.
func (e *env) own(ctx context.Context) (machine, *actor, error) { return e.claimed(ctx, e.evil(), nil) }

// waitNoLonger is how long an effect may take that is not to come.
const waitNoLonger = 1500 * time.Millisecond
