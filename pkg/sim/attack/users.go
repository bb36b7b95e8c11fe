package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

const (
	kindRoute  = "say where secrets go"
	kindRead   = "read a secret by a text"
	kindFreeze = "hold up writes"
)

// users are attempts of one who may write machines and much else, but neither
// sets nor reads secrets.
func users() []attack {
	var out []attack
	for _, param := range []string{"ipmi/address", "ipmi/username"} {
		for how, make := range map[string]func(m machine, v string) request{
			"of a machine": func(m machine, v string) request {
				return request{"PATCH", "machines/" + m.id, "[" + op("add", "Params", param, v) + "]"}
			},
			"by the param": func(m machine, v string) request {
				return request{"POST", "machines/" + m.id + "/params/" + param, quoted(v)}
			},
			"by all params": func(m machine, v string) request {
				return request{"POST", "machines/" + m.id + "/params", quoted(map[string]any{param: v})}
			},
			"of a new machine": func(_ machine, v string) request {
				return request{"POST", "machines", quoted(map[string]any{"Name": "evil-" + v, "Params": map[string]any{param: v}})}
			},
			"of a profile": func(_ machine, v string) request {
				return request{"PATCH", "profiles/plain", "[" + op("add", "Params", param, v) + "]"}
			},
			"of a new profile": func(_ machine, v string) request {
				return request{"POST", "profiles", quoted(map[string]any{"Name": "p" + v, "Params": map[string]any{param: v}})}
			},
			"of global": func(_ machine, v string) request {
				return request{"POST", "profiles/global/params/" + param, quoted(v)}
			},
			"of a stage": func(_ machine, v string) request {
				return request{"PATCH", "stages/evil-stage", "[" + op("add", "Params", param, v) + "]"}
			},
			"of a blueprint": func(_ machine, v string) request {
				return request{"PATCH", "blueprints/evil-order", "[" + op("add", "Params", param, v) + "]"}
			},
			"of a cluster": func(_ machine, v string) request {
				return request{"POST", "clusters", quoted(map[string]any{"Name": "c" + v, "Params": map[string]any{param: v}})}
			},
			"by a copy": func(m machine, v string) request {
				return request{"PATCH", "machines/" + m.id, "[" + op("add", "Params", "my/x", v) + `,{"op":"copy","from":"/Params/my~1x","path":"` + pointer("Params", param) + `"}]`}
			},
		} {
			out = append(out, attack{kindRoute, param + " " + how, "routes of secrets", func(ctx context.Context, e *env) (string, error) {
				m, err := e.machine(ctx, nil)
				if err != nil {
					return "", err
				}
				return e.routed(ctx, m, param, make(m, "v"+randomText()))
			}})
		}
	}
	for how, make := range later {
		out = append(out, attack{kindRoute, how, "routes of secrets", func(ctx context.Context, e *env) (string, error) {
			m, err := e.machine(ctx, nil)
			if err != nil {
				return "", err
			}
			return e.handed(ctx, make(m, "v"+randomText()))
		}})
	}
	for how, text := range texts {
		out = append(out, attack{kindRead, how, "secrets of texts", func(ctx context.Context, e *env) (string, error) {
			m, err := e.classified(ctx, text.rules, text.more)
			if err != nil {
				return "", err
			}
			return e.leaked(ctx, m)
		}})
	}
	for how, text := range map[string]string{
		"turns":  `{{ range until 190000 }}{{ $x := sha256sum (repeat 1000000 "a") }}{{ end }}`,
		"bcrypt": `{{ range until 190000 }}{{ $x := sha512sum (repeat 900000 "b") }}{{ end }}`,
		"nested": `{{ range until 400 }}{{ range until 400 }}{{ $x := sha256sum (repeat 1000000 "a") }}{{ end }}{{ end }}`,
	} {
		out = append(out, attack{kindFreeze, how, "rendering in updates", func(ctx context.Context, e *env) (string, error) {
			m, err := e.classified(ctx, []any{map[string]any{"test": "always", "actions": []any{"set_parameter leak " + text}}}, nil)
			if err != nil {
				return "", err
			}
			return e.frozen(ctx, m)
		}})
	}
	return out
}

// routed makes a low user's request and looks whether any object has the value.
func (e *env) routed(ctx context.Context, m machine, param string, r request) (string, error) {
	if _, _, err := e.low.call(ctx, r.method, r.path, r.body); err != nil {
		return "", err
	}
	for _, kind := range []string{"machines", "profiles", "stages", "blueprints", "clusters"} {
		text, err := e.admin.must(ctx, "GET", kind+"?slim=Meta", nil)
		if err != nil {
			return "", err
		}
		if i := strings.Index(text, quoted(param)+`:"v`); i >= 0 {
			got := kind + " have " + text[i:min(i+40, len(text))]
			return got, e.unroute(ctx, m, param)
		}
	}
	return "", nil
}

// later are objects whose params the server gives to others, in nobody's name.
var later = map[string]func(m machine, v string) request{
	"of what a pool gives": func(_ machine, v string) request {
		return request{"POST", "pools", `{"Id":"` + v + `","AllocateActions":{"AddParameters":{"ipmi/address":"` + v + `"}}}`}
	},
	"of what a pool gives, by a patch": func(_ machine, v string) request {
		return request{"PATCH", "pools/default", `[{"op":"add","path":"/EnterActions","value":{"AddParameters":{"ipmi/address":"` + v + `"}}}]`}
	},
	"of a trigger's orders": func(_ machine, v string) request {
		return request{"POST", "triggers", `{"Name":"` + v + `","TriggerProvider":"cron-trigger","Blueprint":"evil-order","Params":{"cron-trigger/time-string":"0 0 1 1 *"},"WorkOrderParams":{"ipmi/address":"` + v + `"}}`}
	},
	"of what a trigger is told": func(_ machine, v string) request {
		return request{"POST", "triggers", `{"Name":"` + v + `","TriggerProvider":"cron-trigger","Blueprint":"evil-order","Params":{"cron-trigger/time-string":"0 0 1 1 *"},"StoreDataInParameter":"callback/callbacks"}`}
	},
	"of a batch's orders": func(m machine, v string) request {
		return request{"POST", "batches", `{"Description":"` + v + `","WorkOrderTemplate":{"Blueprint":"evil-order","Machine":"` + m.id + `","Params":{"ipmi/address":"` + v + `"}}}`}
	},
}

// handed makes a low user's request and looks whether its object is there.
func (e *env) handed(ctx context.Context, r request) (string, error) {
	mark := regexp.MustCompile(`v[0-9a-f]{16}`).FindString(r.body)
	if _, _, err := e.low.call(ctx, r.method, r.path, r.body); err != nil {
		return "", err
	}
	for _, kind := range []string{"pools", "triggers", "batches"} {
		text, err := e.admin.must(ctx, "GET", kind, nil)
		if err != nil {
			return "", err
		}
		if strings.Contains(text, mark) {
			_, _, err := e.admin.call(ctx, "PATCH", "pools/default", `[{"op":"remove","path":"/EnterActions"}]`)
			return kind + " have it", err
		}
	}
	return "", nil
}

// unroute takes what got through away again, from the objects that all share.
func (e *env) unroute(ctx context.Context, m machine, param string) error {
	for _, path := range []string{"machines/" + m.id, "profiles/plain", "profiles/global", "stages/evil-stage", "blueprints/evil-order"} {
		if _, _, err := e.admin.call(ctx, "PATCH", path, `[{"op":"remove","path":"`+pointer("Params", param)+`"}]`); err != nil {
			return err
		}
	}
	for _, kind := range []string{"machines", "profiles", "clusters"} {
		list, err := e.list(ctx, kind)
		if err != nil {
			return err
		}
		for _, o := range list {
			p, _ := o["Params"].(map[string]any)
			if _, has := p[param]; !has {
				continue
			}
			key, _ := o["Uuid"].(string)
			if key == "" {
				key, _ = o["Name"].(string)
			}
			if _, _, err := e.admin.call(ctx, "PATCH", kind+"/"+key, `[{"op":"remove","path":"`+pointer("Params", param)+`"}]`); err != nil {
				return err
			}
		}
	}
	return nil
}

// texts are what a low user writes into a param, to be rendered.
var texts = map[string]struct {
	rules []any
	more  map[string]any
}{
	"an action":    {rule("always", `set_parameter leak {{ .Param "site/secret" | toJson }}`), nil},
	"a test":       {rule(`has_param_value leaked {{ .Param "site/secret" | toJson }}`, "set_parameter leak 1"), map[string]any{"leaked": secret}},
	"an expansion": {rule("always", `set_parameter leak {{ .ParamExpand "my/a" }}`), map[string]any{"my/a": `{{ .Param "site/secret" }}`}},
	"composed":     {rule("always", `set_parameter leak {{ .ComposeParam "site/secret" | toJson }}`), nil},
	"encoded":      {rule("always", `set_parameter leak {{ .Param "site/secret" | toJson | b64enc }}`), nil},
}

func rule(test string, actions ...any) []any {
	return []any{map[string]any{"test": test, "actions": actions}}
}

// classified is a machine with the profile that holds the secret, which a low
// user has classified by their own texts.
func (e *env) classified(ctx context.Context, rules []any, more map[string]any) (machine, error) {
	m, err := e.machine(ctx, map[string]any{"Profiles": []string{holding}})
	if err != nil {
		return m, err
	}
	params := map[string]any{"classify/classification-data": rules}
	for k, v := range more {
		params[k] = v
	}
	if code, text, err := e.low.call(ctx, "POST", "machines/"+m.id+"/params", params); err != nil || code >= 300 {
		return m, fmt.Errorf("a low user sets no params: %d %.200s %v", code, text, err)
	}
	code, text, err := e.low.call(ctx, "PATCH", "machines/"+m.id, `[{"op":"add","path":"/Stage","value":"classify"},{"op":"add","path":"/Runnable","value":true}]`)
	if err == nil && code >= 300 {
		err = fmt.Errorf("a low user begins no stage: %d %.200s", code, text)
	}
	return m, err
}

// leaked looks for the secret in what the low user can read once the
// classification is over.
func (e *env) leaked(ctx context.Context, m machine) (string, error) {
	var now string
	over, err := until(ctx, time.Minute, func() (bool, error) {
		jobs, err := e.list(ctx, "jobs?Machine="+m.id)
		if err != nil || len(jobs) == 0 {
			return false, err
		}
		now = quoted(jobs)
		for _, j := range jobs {
			if j["State"] != "failed" && j["State"] != "finished" {
				return false, nil
			}
			_, log, err := e.low.call(ctx, "GET", fmt.Sprintf("jobs/%v/log", j["Uuid"]), nil)
			if err != nil {
				return false, err
			}
			now += log
		}
		return true, nil
	})
	if err != nil || !over {
		return "", fmt.Errorf("the classification of %s has no outcome: %v", m.name, err)
	}
	is, err := e.object(ctx, "machines/"+m.id)
	if err != nil {
		return "", err
	}
	p, _ := is["Params"].(map[string]any)
	if leak, ok := p["leak"]; ok && (strings.Contains(quoted(leak), secret) || leak == float64(1) || strings.Contains(quoted(leak), "ImhpZGRlbi")) {
		return "param leak has it", nil
	}
	if strings.Contains(now, secret) {
		return "its job has it", nil
	}
	return "", nil
}

// longWrite is what no write takes, on a machine with much else to do too; a text
// that is rendered in an update takes its ten seconds at least.
const longWrite = 5 * time.Second

func (e *env) frozen(ctx context.Context, m machine) (string, error) {
	defer func() { // else it goes on in the background
		_, _, _ = e.admin.call(ctx, "PATCH", "machines/"+m.id, `[{"op":"add","path":"/Runnable","value":false},{"op":"remove","path":"/Params/classify~1classification-data"}]`)
		_, _, _ = e.admin.call(ctx, "DELETE", "machines/"+m.id, nil)
	}()
	for range 40 { // a rendering in an update begins when the engine comes to it
		start := time.Now()
		if _, err := e.admin.must(ctx, "PATCH", "profiles/plain", `[{"op":"add","path":"/Description","value":"`+randomText()+`"}]`); err != nil {
			if time.Since(start) > longWrite {
				return "a write came to nothing: " + err.Error(), nil
			}
			return "", err
		}
		if took := time.Since(start); took > longWrite {
			return fmt.Sprintf("a write took %s", took.Round(time.Second)), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(150 * time.Millisecond):
		}
	}
	return "", nil
}
