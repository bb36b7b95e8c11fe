package trigger

import (
	"fmt"
	"time"

	"drpd/pkg/alert"
	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// Rule fires triggers whose time has come, and says why others cannot fire.
func (x *Triggers) Rule() engine.Rule {
	own := func(_ resource.Reader, e resource.Event) []string { return []string{e.Key} }
	return engine.Rule{Name: "trigger", Kind: api.Triggers, Step: x.Step, Wake: map[string]engine.Wake{
		Firings.Name: own,
		"machines":   overdue,
	}}
}

// overdue finds the triggers that wait for a machine to come into WorkOrder mode.
func overdue(r resource.Reader, e resource.Event) []string {
	old, _ := e.Old.(*api.Machine)
	m, ok := e.New.(*api.Machine)
	if !ok || !m.WorkOrderMode || !m.Runnable || old != nil && old.WorkOrderMode && old.Runnable {
		return nil
	}
	var out []string
	for t := range api.Triggers.By(r, api.ByProvider, Cron) {
		out = append(out, t.Name)
	}
	return out
}

// Hooks forget what a deleted trigger remembered.
func (x *Triggers) Hooks() []resource.Hook {
	return []resource.Hook{resource.OnSave(api.Triggers, func(tx *resource.Tx, old, new *api.Trigger) error {
		if new != nil || !Firings.Has(tx, old.Name) {
			return nil
		}
		return Firings.Delete(tx, old.Name)
	})}
}

// Step is the step of Rule.
func (x *Triggers) Step(tx *resource.Tx, now time.Time, name string) (engine.Result, error) {
	t, err := api.Triggers.Get(tx, name)
	if err != nil {
		return engine.Result{}, err
	}
	f := remembered(tx, name)
	if !t.Enabled && f.Schedule != "" { // once enabled again it makes up for nothing
		f.Schedule, f.Problem = "", ""
		return engine.Result{}, Firings.Put(tx, f)
	}
	if why := blocked(t); why != "" {
		return engine.Result{Waiting: why}, nil
	}
	switch t.TriggerProvider {
	case Cron:
		return x.cron(tx, now, t, f)
	case Event:
		if _, err := x.patterns(tx, t); err != nil {
			return engine.Result{Waiting: err.Error()}, nil
		}
	case Webhook:
		if _, _, ok := Setting(tx, t, ParamKey); !ok {
			return engine.Result{Waiting: "calls are refused: param " + ParamKey + " is not set"}, nil
		}
	}
	if f.Problem != "" {
		return engine.Result{Waiting: "its last cause made no work order: " + f.Problem}, nil
	}
	return engine.Result{}, nil
}

// blocked says why a trigger fires for nothing at all.
func blocked(t *api.Trigger) string {
	switch t.TriggerProvider {
	case Cron, Event, Webhook:
	default:
		return fmt.Sprintf("this server cannot serve trigger provider %q; it has %s, %s and %s", t.TriggerProvider, Cron, Event, Webhook)
	}
	switch {
	case !t.Enabled:
		return "disabled: set Enabled to true"
	case !t.Available:
		return fmt.Sprintf("not available: %v", t.Errors)
	}
	return ""
}

// cron fires when the schedule says so. Runs that were missed, because the
// server was down or no machine was there, are made up for by one.
func (x *Triggers) cron(tx *resource.Tx, now time.Time, t *api.Trigger, f *Firing) (engine.Result, error) {
	spec := text(tx, t, ParamSchedule)
	if spec == "" {
		return engine.Result{Waiting: "param " + ParamSchedule + " is not set"}, nil
	}
	s, err := ParseSchedule(spec)
	if err != nil {
		return engine.Result{Waiting: err.Error()}, nil
	}
	if f.Schedule != spec { // it counts from the moment that it is first seen
		f.Schedule, f.From, f.Problem = spec, now, ""
		if err := Firings.Put(tx, f); err != nil {
			return engine.Result{}, err
		}
	}
	due := s.Next(f.From)
	if now.Before(due) {
		return engine.Result{Waiting: "fires next at " + due.Format(time.RFC3339), Until: due}, nil
	}
	was := f.Problem
	problem, err := x.fire(tx, now, t, f, map[string]any{"due": due.Format(time.RFC3339), "trigger": t.Name})
	if err != nil {
		return engine.Result{}, err
	}
	if problem == "" {
		f.From = now
	}
	if err := Firings.Put(tx, f); err != nil {
		return engine.Result{}, err
	}
	if next := s.Next(now); problem == "" {
		return engine.Result{Waiting: "fires next at " + next.Format(time.RFC3339), Until: next}, nil
	}
	if was == "" {
		if err := alert.Raise(tx, now, api.AlertWarn, "trigger "+t.Name, "overdue since "+due.Format(time.RFC3339)+": "+problem); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Waiting: fmt.Sprintf("overdue since %s: %s", due.Format(time.RFC3339), problem), Until: now.Add(time.Minute)}, nil
}
