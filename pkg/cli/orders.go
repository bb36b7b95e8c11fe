package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// orderRun is work_orders run.
type orderRun struct {
	*group
	filter         string
	all, stay      bool
	blueprint      string
	targets        []string
	params         object
	failed, orders []string
}

func (g *group) orderRunCmd() *cobra.Command {
	r := &orderRun{}
	c := g.cmd("run <blueprint> [on <machine>] [param=value]...", "Run a blueprint on machines or clusters and follow it; exit 8 if it fails, 9 if some fail.",
		func(ctx context.Context, args []string) error {
			r.group = g
			if err := r.parse(args); err != nil {
				return err
			}
			return r.run(ctx)
		})
	c.Example = examples("work_orders")
	c.Flags().StringVar(&r.filter, "filter", "", "a list filter instead of names: the first machine that matches runs it")
	c.Flags().BoolVar(&r.all, "all", false, "with --filter: one order for each machine that matches")
	c.Flags().BoolVar(&r.stay, "detach", false, "do not follow the work")
	return c
}

func (r *orderRun) parse(args []string) error {
	r.blueprint = args[0]
	rest := args[1:]
	if len(rest) > 0 && rest[0] == "on" {
		rest = rest[1:]
		for len(rest) > 0 && !strings.Contains(rest[0], "=") {
			r.targets, rest = append(r.targets, rest[0]), rest[1:]
		}
	}
	if (len(r.targets) == 0) == (r.filter == "") {
		return failf(exitUsage, "say where to run %s: on <machine-or-cluster>, or --filter", r.blueprint)
	}
	var err error
	r.params, err = r.pairs(rest)
	return err
}

// run places the orders and follows them to their end.
func (r *orderRun) run(ctx context.Context) error {
	bodies, err := r.bodies(ctx)
	if err != nil {
		return err
	}
	if r.flags.dryRun {
		r.note("would place %d work orders", len(bodies))
		return r.print("work_orders", asList(bodies))
	}
	made := []doc{}
	for _, b := range bodies {
		var o doc
		if err := r.conn().call(ctx, http.MethodPost, "/work_orders", r.forced(), b, &o); err != nil {
			if len(bodies) == 1 {
				return about(err, "run %s", r.blueprint)
			}
			r.failed = append(r.failed, text(b["Machine"]))
			r.note("error: run %s on %s: %v", r.blueprint, text(b["Machine"]), err)
			continue
		}
		made = append(made, o)
		r.note("work order %s: %s on %s", o.text("Uuid"), r.blueprint, text(orElse(b["Machine"], b["Filter"])))
	}
	if !r.stay {
		if made, err = r.follow(ctx, made); err != nil {
			return err
		}
	}
	if len(bodies) == 1 && len(made) == 1 {
		err = r.print("work_orders", made[0])
	} else {
		err = r.print("work_orders", made)
	}
	if err != nil || r.stay && len(r.failed) == 0 {
		return err
	}
	return r.verdict(ctx, made, len(bodies))
}

func asList(objects []object) []any {
	out := make([]any, len(objects))
	for i, o := range objects {
		out[i] = o
	}
	return out
}

func orElse(a, b any) any {
	if text(a) != "" {
		return a
	}
	return b
}

func (r *orderRun) bodies(ctx context.Context) ([]object, error) {
	body := func(field, value string) object {
		return object{"Blueprint": r.blueprint, field: value, "Params": r.params}
	}
	if r.filter != "" && !r.all {
		return []object{body("Filter", r.filter)}, nil
	}
	if r.filter != "" {
		q, err := filters(strings.Fields(r.filter))
		if err != nil {
			return nil, err
		}
		q.Set("slim", "Params,Meta")
		var list []object
		if err := r.conn().get(ctx, "/machines", q, &list); err != nil {
			return nil, about(err, "find machines with %s", r.filter)
		}
		if len(list) == 0 {
			return nil, failf(exitNotFound, "no machine matches %s", r.filter)
		}
		var out []object
		for _, m := range list {
			out = append(out, body("Machine", text(m["Uuid"])))
		}
		return out, nil
	}
	var out []object
	for _, t := range r.targets {
		key, err := r.runnerKey(ctx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, body("Machine", key))
	}
	return out, nil
}

// runnerKey finds the machine, cluster or broker with that name.
func (s *session) runnerKey(ctx context.Context, ref string) (string, error) {
	for _, k := range api.MachineLike() {
		o, err := s.fetch(ctx, k, ref, nil)
		if err == nil {
			return keyOf(resource.Any(k), o), nil
		}
		if !isNotFound(err) {
			return "", err
		}
	}
	return "", &failure{code: exitNotFound, what: fmt.Sprintf("there is no machine, cluster or resource broker %q", ref), fix: "drpcli machines list"}
}

// follow waits for the end of every order and returns how they ended.
func (r *orderRun) follow(ctx context.Context, list []doc) ([]doc, error) {
	told := map[string]string{}
	err := r.poll(ctx, func(ctx context.Context) (bool, error) {
		over := true
		for i, v := range list {
			id := v.text("Uuid")
			if ended(v) {
				continue
			}
			var o doc
			if err := r.conn().get(ctx, at("work_orders", id), nil, &o); err != nil {
				return false, err
			}
			list[i] = o
			if l := r.progress(ctx, o); l != told[id] {
				told[id] = l
				r.note("%s work_order=%s %s", r.cfg.Now().UTC().Format("2006-01-02T15:04:05Z"), shortID(id), l)
			}
			over = over && ended(o)
		}
		return over, nil
	})
	return list, about(err, "run %s", r.blueprint)
}

func ended(v any) bool {
	st := api.OrderState(text(field(v, "State")))
	return slices.Contains([]api.OrderState{api.OrderFinished, api.OrderFailed, api.OrderCancelled}, st)
}

func (r *orderRun) progress(ctx context.Context, o doc) string {
	tasks := o.list("Tasks")
	at, _ := o.at("CurrentTask").(float64)
	l := fmt.Sprintf("state=%s task=%d/%d", o.text("State"), max(int(at), 0), len(tasks))
	if why := o.text("Status"); why != "" {
		l += fmt.Sprintf(" status=%q", why)
	}
	if j, err := r.job(ctx, o.text("CurrentJob")); err == nil && j != nil && !ended(o) {
		l += " " + jobLine(j)
	}
	return l
}

// verdict turns failed orders into the exit code.
func (r *orderRun) verdict(ctx context.Context, list []doc, wanted int) error {
	bad, logs := len(r.failed), ""
	for _, o := range list {
		if st := o.text("State"); ended(o) && st != string(api.OrderFinished) {
			if bad++; logs == "" && o.text("CurrentJob") != "" {
				logs = "drpcli jobs log " + shortID(o.text("CurrentJob"))
				for _, l := range r.logTail(ctx, o.text("CurrentJob"), logLines) {
					r.note("  | %s", l)
				}
			}
		}
	}
	switch {
	case bad == 0:
		return nil
	case bad == wanted:
		return &failure{code: exitWorkFailed, what: fmt.Sprintf("%s failed on %d of %d", r.blueprint, bad, wanted), cause: statusOf(list), fix: logs}
	}
	return &failure{code: exitSomeFailed, what: fmt.Sprintf("%s failed on %d of %d", r.blueprint, bad, wanted), cause: statusOf(list), fix: logs}
}

func statusOf(list []doc) string {
	for _, o := range list {
		if s := o.text("Status"); s != "" {
			return s
		}
	}
	return ""
}

func (g *group) orderCancelCmd() *cobra.Command {
	return g.cmd("cancel <id>", "Cancel an order that has not ended.", func(ctx context.Context, args []string) error {
		return g.set(ctx, args[0], setField("State", string(api.OrderCancelled)))
	})
}

// listQuery is a query of Field=value pairs given as words in one string.
func listQuery(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}
