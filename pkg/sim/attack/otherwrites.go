package main

import (
	"context"
	"fmt"
	"strings"
)

const kindOther = "write what is another's"

// otherWrites are what a machine's token does beside its own object.
func otherWrites() []attack {
	out := []attack{
		{kindWrite, "run a task on the server", "fields of agents", func(ctx context.Context, e *env) (string, error) {
			m, agent, err := e.own(ctx)
			if err != nil {
				return "", err
			}
			for _, body := range []string{
				`[{"op":"replace","path":"/Context","value":"drpcli-runner"}]`, `[{"op":"replace","path":"/Tasks","value":["evil-task"]}]`,
				`[{"op":"replace","path":"/Tasks","value":["context:drpcli-runner","evil-task"]}]`, `[{"op":"replace","path":"/Runnable","value":true}]`} {
				if _, _, err := agent.call(ctx, "PATCH", "machines/"+m.id, body); err != nil {
					return "", err
				}
			}
			return e.ran(ctx, m)
		}},
		{kindOther, "give itself back to the pool", "calls of agents", func(ctx context.Context, e *env) (string, error) {
			m, agent, err := e.own(ctx)
			if err != nil {
				return "", err
			}
			if _, err := e.admin.must(ctx, "POST", "pools/default/allocateMachines", `{"pool/machine-list":["`+m.id+`"]}`); err != nil {
				return "", err
			}
			for _, path := range []string{"machines/" + m.id + "/releaseToPool", "machines/Name:" + m.name + "/releaseToPool", "machines/" + m.id + "/wipe", "machines/" + m.id + "/actions/releaseToPool"} {
				if _, _, err := agent.call(ctx, "POST", path, "{}"); err != nil {
					return "", err
				}
			}
			now, err := e.object(ctx, "machines/"+m.id)
			if err == nil && now["PoolStatus"] != "InUse" {
				return fmt.Sprintf("it is %v", now["PoolStatus"]), nil
			}
			return "", err
		}},
	}
	for how, body := range map[string]func(m machine) string{
		"approve its disks": func(machine) string { return "approveDisks" }, "exempt its disks": func(machine) string { return "exemptDisk" },
		"admit the next": func(machine) string { return "admit" }, "unprotect itself": func(machine) string { return "unprotect" },
	} {
		out = append(out, attack{kindOther, how, "calls of agents", func(ctx context.Context, e *env) (string, error) {
			m, agent, err := e.own(ctx)
			if err != nil {
				return "", err
			}
			code, text, err := agent.call(ctx, "POST", "machines/"+m.id+"/"+body(m), `{"Disk":"none","Reason":"evil"}`)
			if err == nil && code < 300 {
				return fmt.Sprintf("%d %.80s", code, text), nil
			}
			return "", err
		}})
	}
	for how, r := range map[string]func(m machine, order string) request{
		"its order's params": func(_ machine, id string) request {
			return request{"PATCH", "work_orders/" + id, `[{"op":"add","path":"/Params/command~1script","value":"evil"}]`}
		},
		"its order's blueprint": func(_ machine, id string) request {
			return request{"PATCH", "work_orders/" + id, `[{"op":"replace","path":"/Tasks","value":["evil-task","evil-task"]}]`}
		},
		"its order's profiles": func(_ machine, id string) request {
			return request{"PATCH", "work_orders/" + id, `[{"op":"add","path":"/Profiles","value":["` + holding + `"]}]`}
		},
	} {
		out = append(out, attack{kindOther, how, "orders of agents", func(ctx context.Context, e *env) (string, error) {
			m, agent, err := e.own(ctx)
			if err != nil {
				return "", err
			}
			if err := e.patch(ctx, "machines/"+m.id, map[string]any{"WorkOrderMode": true}); err != nil {
				return "", err
			}
			text, err := e.admin.must(ctx, "POST", "work_orders", `{"Machine":"`+m.id+`","Blueprint":"evil-order"}`)
			if err != nil {
				return "", err
			}
			id := idOf(text)
			q := r(m, id)
			if _, _, err := agent.call(ctx, q.method, q.path, q.body); err != nil {
				return "", err
			}
			now, err := e.object(ctx, "work_orders/"+id)
			if err != nil {
				return "", err
			}
			if is := quoted(now); strings.Contains(is, `"evil"`) || strings.Contains(is, `"evil-task","evil-task"`) || contains(now["Profiles"], holding) {
				return "its order has what it wrote", nil
			}
			return "", nil
		}})
	}
	return append(out, reservations()...)
}

// reservations are attempts to get the address of another.
func reservations() []attack {
	var out []attack
	for how, body := range map[string]func(m, victim machine, addr string) request{
		"of its address for one's own MAC": func(m, _ machine, addr string) request {
			return request{"POST", "reservations", `{"Addr":"` + addr + `","Token":"` + m.mac + `","Strategy":"MAC"}`}
		},
		"of its MAC elsewhere": func(_, victim machine, _ string) request {
			return request{"POST", "reservations", `{"Addr":"` + networkOf + `240","Token":"` + victim.mac + `","Strategy":"MAC"}`}
		},
		"of one's own address for its MAC": func(m, victim machine, _ string) request {
			return request{"POST", "reservations", `{"Addr":"OWN","Token":"` + victim.mac + `","Strategy":"MAC"}`}
		},
		"of a free address, by saying to have it": func(m, _ machine, _ string) request {
			return request{"PATCH", "machines/" + m.id, `[{"op":"add","path":"/Address","value":"` + networkOf + `240"}]`}
		},
		"by saying to have its address": func(m, _ machine, addr string) request {
			return request{"PATCH", "machines/" + m.id, `[{"op":"add","path":"/Address","value":"` + addr + `"}]`}
		},
	} {
		out = append(out, attack{kindOther, "a reservation " + how, "reservations of agents", func(ctx context.Context, e *env) (string, error) {
			victim, va, _, err := e.ticketed(ctx)
			if err != nil {
				return "", err
			}
			addr := va.from.String()
			m, agent, err := e.own(ctx)
			if err != nil {
				return "", err
			}
			q := body(m, victim, addr)
			for _, r := range []request{q, {"POST", "reservations", `{"Addr":"` + addr + `","Token":"` + m.mac + `","Strategy":"MAC"}`},
				{"POST", "reservations", `{"Addr":"` + networkOf + `240","Token":"` + m.mac + `","Strategy":"MAC"}`}} {
				if _, _, err := agent.call(ctx, r.method, r.path, strings.ReplaceAll(r.body, "OWN", agent.from.String())); err != nil {
					return "", err
				}
			}
			for _, at := range []string{addr, networkOf + "240", agent.from.String()} {
				r, err := e.object(ctx, "reservations/"+at)
				if err != nil {
					return "", err
				}
				if r != nil {
					_, err := e.admin.must(ctx, "DELETE", "reservations/"+at, nil)
					return fmt.Sprintf("%s is reserved for %v", at, r["Token"]), err
				}
			}
			return "", nil
		}})
	}
	return out
}
