package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// explanation is the server's answer to why.
type explanation struct {
	Object    string
	Waits     []waitFact
	BootSteps []api.BootStep
	LastJob   *api.Job         `json:",omitempty"`
	Actions   []*api.BMCAction `json:",omitempty"`
	Says      []string
	Log       []string `json:",omitempty"` // the end of the log of a failed LastJob
}

// waitFact is one stored reason why an object does not move.
type waitFact struct {
	Rule, Object, Waiting string
	Since                 time.Time
	Until                 time.Time `json:",omitzero"`
	Tries                 int       `json:",omitempty"`
	LastError             string    `json:",omitempty"`
}

func (s *session) whyCmd() *cobra.Command {
	c := s.verb("why <kind> <id>", "Say what an object waits for, and what its last boot and job did.", func(ctx context.Context, args []string) error {
		return s.why(ctx, args[0], args[1])
	})
	c.Example = "  drpcli why machines n1\n  drpcli why clusters web"
	c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		kinds := []string{"machines", "clusters", "resource_brokers", "work_orders", "jobs"}
		if len(args) == 1 {
			kinds = s.names(c.Context(), args[0])
		}
		return kinds, cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// kindNamed finds a kind by its name or an alias.
func kindNamed(name string) (resource.Any, error) {
	for _, k := range kinds() {
		if k.KindName() == name {
			return k, nil
		}
		for _, a := range aliases(k.KindName()) {
			if a == name {
				return k, nil
			}
		}
	}
	return nil, failf(exitUsage, "there is no kind of object %q; drpcli --help lists them", name)
}

func (s *session) why(ctx context.Context, kind, ref string) error {
	k, err := kindNamed(kind)
	if err != nil {
		return err
	}
	key, err := s.keyFor(ctx, k, ref)
	if err != nil {
		return err
	}
	var e explanation
	if err := s.conn().get(ctx, at("why", k.KindName(), key), nil, &e); err != nil {
		return about(err, "why %s %s", kind, ref)
	}
	if j := e.LastJob; j != nil && j.State == api.JobFailed {
		e.Log = s.logTail(ctx, j.Uuid, logLines)
	}
	if !s.isTable() {
		return s.print("", e)
	}
	return s.line("%s", strings.Join(e.tell(ref, s.cfg.Now()), "\n"))
}

// tell is the explanation in lines for a person.
func (e explanation) tell(name string, now time.Time) []string {
	out := append([]string{}, e.Says...)
	for _, w := range e.Waits {
		l := fmt.Sprintf("waits for: %s (%s, since %s)", w.Waiting, w.Rule, when(w.Since, now))
		if !w.Until.IsZero() {
			l += fmt.Sprintf("; next look %s", when(w.Until, now))
		}
		out = append(out, l)
		if w.LastError != "" {
			out = append(out, fmt.Sprintf("  last error: %s (%d tries)", w.LastError, w.Tries))
		}
	}
	for i, b := range e.BootSteps {
		if i == len(e.BootSteps)-1 {
			out = append(out, strings.TrimRight(fmt.Sprintf("last boot step: %s %s %s", b.Step, when(b.Time, now), b.Detail), " "))
		}
	}
	for _, a := range e.Actions {
		if !a.Over() || a.Error != "" {
			out = append(out, strings.TrimSpace(fmt.Sprintf("bmc: %s is %s, %d tries %s", a.Want, a.State, a.Tries, a.Error)))
		}
	}
	if j := e.LastJob; j != nil {
		out = append(out, fmt.Sprintf("last job: %s %s (drpcli jobs log %s)", j.Task, j.State, shortID(j.Uuid)))
		for _, l := range e.Log {
			out = append(out, "  | "+l)
		}
	}
	if len(out) == 0 {
		out = append(out, name+" waits for nothing")
	}
	return out
}

// when is a time seen from now.
func when(t, now time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	if d := t.Sub(now); d > 0 {
		return "in " + ago(d)
	}
	return ago(now.Sub(t)) + " ago"
}

func (s *session) stuckCmd() *cobra.Command {
	return s.verb("stuck", "List what does not move: waits past their time, failed and held objects.", func(ctx context.Context, _ []string) error {
		return s.stuck(ctx)
	})
}

func (s *session) stuck(ctx context.Context) error {
	rows := []any{}
	for _, k := range api.MachineLike() {
		var list []*api.Machine
		if err := s.conn().get(ctx, at(k.Name), listQuery("slim", "Params,Meta"), &list); err != nil {
			return about(err, "list %s", k.Name)
		}
		for _, m := range list {
			if what := standsStill(m); what != "" {
				rows = append(rows, object{"Kind": k.Name, "Name": m.Name, "What": what, "Fix": "drpcli why " + k.Name + " " + m.Name})
			}
		}
	}
	var failed []*api.WorkOrder
	if err := s.conn().get(ctx, "/work_orders", listQuery("State", string(api.OrderFailed), "slim", "Params,Meta"), &failed); err != nil {
		return about(err, "list work orders")
	}
	for _, o := range failed {
		if !o.Archived {
			rows = append(rows, object{"Kind": "work_orders", "Name": shortID(o.Uuid), "What": o.Blueprint + " failed: " + o.Status, "Since": o.EndTime, "Fix": "drpcli why work_orders " + shortID(o.Uuid)})
		}
	}
	overdue, err := s.overdueWaits(ctx)
	if err != nil {
		return err
	}
	if rows = append(rows, overdue...); len(rows) == 0 {
		s.note("nothing is stuck")
	}
	return s.print("stuck", rows)
}

// standsStill says what a person must look at, "" if nothing.
func standsStill(m *api.Machine) string {
	switch {
	case m.PoolHoldReason != "" || strings.HasPrefix(string(m.PoolStatus), "Hold"):
		return fmt.Sprintf("%s: %s", m.PoolStatus, m.PoolHoldReason)
	case m.Boot != nil && m.Boot.Error != "":
		return m.Boot.Error
	case idle(m) && m.Workflow != "":
		return fmt.Sprintf("%s stopped at %s", m.Workflow, taskAt(m))
	case len(m.Errors) > 0:
		return strings.Join(m.Errors, "; ")
	}
	return ""
}

// overdueWaits lists waits that ought to have been looked at again, or whose
// last try failed. A server that shows no waits has none to tell of.
func (s *session) overdueWaits(ctx context.Context) ([]any, error) {
	var waits []waitFact
	err := s.conn().get(ctx, "/waits", nil, &waits)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, about(err, "list waits")
	}
	var out []any
	for _, w := range waits {
		if w.LastError == "" && (w.Until.IsZero() || w.Until.After(s.cfg.Now())) {
			continue
		}
		kind, key, _ := strings.Cut(w.Object, "/")
		what := w.Waiting
		if w.LastError != "" {
			what += ": " + w.LastError
		}
		out = append(out, object{"Kind": kind, "Name": shortID(key), "What": what, "Since": w.Since, "Fix": "drpcli why " + kind + " " + shortID(key)})
	}
	return out, nil
}
