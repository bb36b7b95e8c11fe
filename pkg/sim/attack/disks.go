package main

import (
	"context"
	"fmt"
	"strings"
)

const (
	kindProtected = "end what is protected"
	kindFree      = "be Free without proof"
)

// disks are attempts of a low user to have data die, or to have a machine taken
// for blank. Its agents are not there: nothing can have been wiped.
func disks() []attack {
	var out []attack
	for how, list := range map[string]func(id, name string) []request{
		"the field": func(id, _ string) []request {
			return []request{{"PATCH", "clusters/" + id, `[{"op":"replace","path":"/Protected","value":false}]`}}
		},
		"the field removed": func(id, _ string) []request {
			return []request{{"PATCH", "clusters/" + id, `[{"op":"remove","path":"/Protected"}]`}}
		},
		"in lower case": func(id, name string) []request {
			return []request{{"PUT", "clusters/" + id, `{"Uuid":"` + id + `","Name":"` + name + `","protected":false}`}}
		},
		"by whole": func(id, name string) []request {
			return []request{{"PUT", "clusters/" + id + "?replaceWritable=true", `{"Uuid":"` + id + `","Name":"` + name + `","Protected":false}`}}
		},
		"a nearer param": func(id, _ string) []request {
			return []request{{"POST", "clusters/" + id + "/params/cluster%2Fprotected", `false`}, {"POST", "profiles/global/params/cluster%2Fprotected", "false"}}
		},
		"the verb": func(id, _ string) []request {
			return []request{{"POST", "clusters/" + id + "/unprotect", "{}"}, {"POST", "clusters/" + id + "/actions/unprotect", "{}"}}
		},
		"deletion": func(id, _ string) []request {
			return []request{{"DELETE", "clusters/" + id, ""}, {"DELETE", "clusters/" + id + "?force=true", ""}}
		},
		"forgetting": func(id, _ string) []request { return []request{{"POST", "clusters/" + id + "/forget", "{}"}} },
		"the destroy flow": func(id, _ string) []request {
			return ends(id, `{"op":"add","path":"/Workflow","value":"universal-cluster-destroy"}`)
		},
		"the destroy stage": func(id, _ string) []request {
			return ends(id, `{"op":"add","path":"/Workflow","value":""},{"op":"add","path":"/Stage","value":"cluster-destroy"}`)
		},
		"the destroy verb": func(id, _ string) []request { return []request{{"POST", "clusters/" + id + "/destroy", "{}"}} },
		"a flow of its own": func(id, _ string) []request {
			return append([]request{{"POST", "workflows", `{"Name":"ends-` + id + `","Stages":["cluster-destroy"]}`}}, ends(id, `{"op":"add","path":"/Workflow","value":"ends-`+id+`"}`)...)
		},
		"a stage of its own": func(id, _ string) []request {
			return append([]request{{"POST", "tasks", `{"Name":"t-` + id + `","Meta":{"native":"cluster/release"}}`}, {"POST", "stages", `{"Name":"ends-` + id + `","Tasks":["cluster-destroy"]}`}}, ends(id, `{"op":"add","path":"/Stage","value":"ends-`+id+`"}`)...)
		},
	} {
		out = append(out, attack{kindProtected, how, "protection of clusters", func(ctx context.Context, e *env) (string, error) { return e.unprotected(ctx, list) }})
	}
	for how, list := range map[string]func(m machine) []request{
		"its workflow cleared": func(m machine) []request { return edits(m, op("add", "", "Workflow", "")) },
		"another workflow":     func(m machine) []request { return edits(m, op("add", "", "Workflow", "evil-flow")) },
		"its tasks emptied": func(m machine) []request {
			return append(edits(m, op("add", "", "Workflow", ""), op("add", "", "Tasks", []any{})), edits(m, op("add", "", "Runnable", true))...)
		},
		"a stage without tasks": func(m machine) []request {
			return edits(m, op("add", "", "Workflow", ""), op("add", "", "Stage", "none"))
		},
		"the cursor at the end": func(m machine) []request {
			return edits(m, op("add", "", "CurrentTask", 99), op("add", "", "Runnable", true))
		},
		"its plan": func(m machine) []request {
			return edits(m, op("add", "Params", "disk-plan/wipe", []any{}), op("add", "Params", "inventory/data", map[string]any{"Disks": []any{}}))
		},
		"released again": func(m machine) []request {
			return []request{{"POST", "machines/" + m.id + "/releaseToPool", "{}"}, {"POST", "pools/default/releaseMachines", `{"pool/machine-list":["` + m.id + `"],"pool/force":true}`}}
		},
		"released with a flow": func(m machine) []request {
			return []request{{"POST", "pools/default/releaseMachines", `{"pool/machine-list":["` + m.id + `"],"pool/workflow":"evil-flow","pool/force":true}`}}
		},
		"out of the pool": func(m machine) []request {
			return []request{{"POST", "pools/default/removeMachines", `{"pool/machine-list":["` + m.id + `"],"pool/force":true}`}, {"POST", "pools/p" + m.name + "/addMachines", `{"pool/machine-list":["` + m.id + `"],"source-pool":"default","pool/force":true}`}}
		},
	} {
		out = append(out, attack{kindFree, how, "evidence for Free", func(ctx context.Context, e *env) (string, error) { return e.freed(ctx, list) }})
	}
	for how, r := range map[string]func(m machine) request{
		"the status": func(m machine) request {
			return request{"PATCH", "machines/" + m.id, "[" + op("add", "", "PoolStatus", "Free") + "]"}
		},
		"the status, lower": func(m machine) request {
			return request{"PUT", "machines/" + m.id, `{"Uuid":"` + m.id + `","Name":"` + m.name + `","poolstatus":"Free"}`}
		},
		"its note of data": func(m machine) request {
			return request{"PATCH", "machines/" + m.id, `[{"op":"remove","path":"/Unwiped"}]`}
		},
		"said to be virtual": func(m machine) request {
			return request{"PATCH", "machines/" + m.id, "[" + op("add", "", "Virtual", true) + "]"}
		},
		"deleted and made anew": func(m machine) request {
			return request{"PUT", "machines/" + m.id + "?force=true&replaceWritable=true", `{"Uuid":"` + m.id + `","Name":"` + m.name + `","PoolStatus":"Free","Unwiped":null,"Virtual":true}`}
		},
	} {
		out = append(out, attack{kindFree, how, "fields of the server's", func(ctx context.Context, e *env) (string, error) {
			return e.freed(ctx, func(m machine) []request { return []request{r(m)} })
		}})
	}
	for how, r := range map[string]request{
		"a pool that wants no proof":  {"PATCH", "pools/default", `[{"op":"add","path":"/ReleaseProof","value":"none"}]`},
		"a new pool that wants none":  {"POST", "pools", `{"Id":"lax","ReleaseProof":"none"}`},
		"a pool that overwrites":      {"PATCH", "pools/default", `[{"op":"add","path":"/ForeignDisks","value":"overwrite"}]`},
		"by whole, in another's case": {"PUT", "pools/default", `{"Id":"default","releaseproof":"none"}`},
	} {
		out = append(out, attack{kindFree, how, "waiving of proof", func(ctx context.Context, e *env) (string, error) { return e.waived(ctx, r) }})
	}
	for how, r := range map[string]func(m machine) request{
		"it is deleted":     func(m machine) request { return request{"DELETE", "machines/" + m.id, ""} },
		"it is forced away": func(m machine) request { return request{"DELETE", "machines/" + m.id + "?force=true", ""} },
		"its MACs are taken": func(m machine) request {
			return request{"PATCH", "machines/" + m.id, "[" + op("add", "", "HardwareAddrs", []string{}) + "]"}
		},
		"its MAC is another's": func(m machine) request {
			return request{"PATCH", "machines/" + m.id, "[" + op("add", "", "HardwareAddrs", []string{"52:54:99:00:00:01"}) + "]"}
		},
	} {
		out = append(out, attack{kindFree, how, "memory of disks", func(ctx context.Context, e *env) (string, error) { return e.forgotten(ctx, r) }})
	}
	return out
}

// forgotten tries to have the server forget a machine that somebody had.
func (e *env) forgotten(ctx context.Context, r func(m machine) request) (string, error) {
	m, err := e.used(ctx, nil)
	if err != nil {
		return "", err
	}
	was, err := e.object(ctx, "machines/"+m.id)
	if err != nil {
		return "", err
	}
	q := r(m)
	if _, _, err := e.low.call(ctx, q.method, q.path, q.body); err != nil {
		return "", err
	}
	now, err := e.object(ctx, "machines/"+m.id)
	switch {
	case err != nil:
		return "", err
	case now == nil:
		return "it is gone", nil
	case quoted(map[string]any{"is": was["HardwareAddrs"]}) != quoted(map[string]any{"is": now["HardwareAddrs"]}):
		return fmt.Sprintf("its MACs are %v", now["HardwareAddrs"]), nil
	}
	return "", nil
}

// ends are the patches that a cluster in WorkOrder mode may need for an end.
func ends(id, ops string) []request {
	return []request{{"PATCH", "clusters/" + id, "[" + ops + "]"}, {"PATCH", "clusters/" + id, `[{"op":"add","path":"/WorkOrderMode","value":false},` + ops + "]"},
		{"PATCH", "clusters/" + id, `[{"op":"add","path":"/Runnable","value":true}]`}}
}

func edits(m machine, ops ...string) []request { return patches(m, ops...) }

// unprotected tries to end a protected cluster.
func (e *env) unprotected(ctx context.Context, list func(id, name string) []request) (string, error) {
	e.count++
	name := fmt.Sprintf("web%d", e.count)
	text, err := e.admin.must(ctx, "POST", "clusters", `{"Name":"`+name+`","Stage":"none","Params":{"cluster/count":0}}`)
	if err != nil {
		return "", err
	}
	id := idOf(text)
	if _, err := e.admin.must(ctx, "POST", "clusters/"+id+"/protect", "{}"); err != nil {
		return "", err
	}
	for _, r := range list(id, name) {
		if _, _, err := e.low.call(ctx, r.method, r.path, r.body); err != nil {
			return "", err
		}
	}
	now, err := e.object(ctx, "clusters/"+id)
	switch is := quoted(now); {
	case err != nil:
		return "", err
	case now == nil:
		return "it is gone", nil
	case now["Protected"] != true:
		return "it is not protected any more", nil
	case strings.Contains(is, `"cluster-destroy"`), strings.Contains(is, "universal-cluster-destroy"):
		return fmt.Sprintf("its stage is %v, its tasks %v", now["Stage"], now["Tasks"]), nil
	}
	return "", nil
}

// freed releases a machine that was used, and tries to get it to Free.
func (e *env) freed(ctx context.Context, list func(m machine) []request) (string, error) {
	m, err := e.used(ctx, nil)
	if err != nil {
		return "", err
	}
	if _, err := e.admin.must(ctx, "POST", "pools/default/releaseMachines", `{"pool/machine-list":["`+m.id+`"]}`); err != nil {
		return "", err
	}
	for _, r := range list(m) {
		if _, _, err := e.low.call(ctx, r.method, r.path, r.body); err != nil {
			return "", err
		}
	}
	got := ""
	_, err = until(ctx, waitNoLonger, func() (bool, error) {
		now, err := e.object(ctx, "machines/"+m.id)
		if now == nil || err != nil {
			return false, err
		}
		if now["PoolStatus"] == "Free" || now["Unwiped"] == nil || now["Virtual"] == true {
			got = fmt.Sprintf("it is %v, its note of data %v", now["PoolStatus"], now["Unwiped"])
		}
		return got != "", nil
	})
	return got, err
}

// waived asks for less proof, and looks whether it is asked for.
func (e *env) waived(ctx context.Context, r request) (string, error) {
	if _, err := e.admin.must(ctx, "PUT", "pools/default", `{"Id":"default","ReleaseProof":"required","ForeignDisks":"refuse"}`); err != nil {
		return "", err
	}
	if _, _, err := e.low.call(ctx, r.method, r.path, r.body); err != nil {
		return "", err
	}
	for _, path := range []string{"pools/default", "pools/lax"} {
		now, err := e.object(ctx, path)
		if err != nil {
			return "", err
		}
		for _, name := range []string{"ReleaseProof", "ForeignDisks"} {
			if v := now[name]; v == "none" || v == "overwrite" {
				return fmt.Sprintf("%s: %s is %v", path, name, v), nil
			}
		}
		if path == "pools/default" && now["ReleaseProof"] != "required" {
			return "pool default wants nothing", nil
		}
	}
	return "", nil
}
