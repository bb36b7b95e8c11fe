package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Follow fires event triggers in the update that changed the objects; it is
// what resource.Config.Follow wants. A trigger that fails never fails the
// update: it remembers the problem.
func (x *Triggers) Follow(tx *resource.Tx, changes []resource.Event) error {
	var all []*api.Trigger
	for t := range api.Triggers.By(tx, api.ByProvider, Event) {
		if blocked(t) == "" {
			all = append(all, t)
		}
	}
	for _, t := range all {
		for _, e := range changes {
			if own(t, e) {
				continue
			}
			if err := x.see(tx, t, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// own keeps a trigger from firing at what triggers do, without end.
func own(t *api.Trigger, e resource.Event) bool {
	if e.Type == Firings.Name || e.Type == api.Triggers.Name && e.Key == t.Name {
		return true
	}
	if m, ok := e.New.(*api.Machine); ok && e.Old != nil && m.SameButOrders(e.Old.(*api.Machine)) {
		return true
	}
	o, ok := e.New.(*api.WorkOrder)
	return ok && o.Meta[MetaTrigger] != ""
}

// see fires a trigger if it was waiting for the event.
func (x *Triggers) see(tx *resource.Tx, t *api.Trigger, e resource.Event) error {
	match, err := x.patterns(tx, t)
	if err != nil || !match(e) {
		return nil // the rule says what is wrong with the pattern
	}
	f := remembered(tx, t.Name)
	fits, err := x.comesToFit(tx, t, e)
	if err != nil {
		f.Problem = fmt.Sprintf("param %s: %v", ParamFilter, err)
		return Firings.Put(tx, f)
	}
	if !fits {
		return nil
	}
	if _, err = x.fire(tx, tx.Now(), t, f, dataOf(e)); err != nil {
		return err
	}
	return Firings.Put(tx, f)
}

// comesToFit says whether the object fits the filter now and did not before:
// an object that goes on fitting does not fire at each of its changes.
func (x *Triggers) comesToFit(r resource.Reader, t *api.Trigger, e resource.Event) (bool, error) {
	filter := text(r, t, ParamFilter)
	if filter == "" {
		return true, nil
	}
	is, was := resource.Object{Kind: e.Type, Key: e.Key, Val: e.New, JSON: e.Object}, resource.Object{Kind: e.Type, Key: e.Key, Val: e.Old, JSON: e.Original}
	if e.New == nil && e.Old != nil { // deleted
		return x.Object(r, was, filter)
	}
	if e.New == nil {
		return false, nil // no change of an object: nothing can fit
	}
	fits, err := x.Object(r, is, filter)
	if err != nil || !fits || e.Old == nil {
		return fits, err
	}
	before, err := x.Object(r, was, filter)
	return !before, err
}

// Want says whether an event trigger waits for events like this one.
func (x *Triggers) Want(r resource.Reader, e resource.Event) bool {
	for t := range api.Triggers.By(r, api.ByProvider, Event) {
		if blocked(t) != "" {
			continue
		}
		if match, err := x.patterns(r, t); err == nil && match(e) {
			return true
		}
	}
	return false
}

// patterns reads the param that says which events a trigger waits for.
func (x *Triggers) patterns(r resource.Reader, t *api.Trigger) (func(resource.Event) bool, error) {
	v, _, ok := Setting(r, t, ParamMatch)
	if !ok {
		return nil, fmt.Errorf("param %s is not set: name the events, such as machines.create.*", ParamMatch)
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	var all []func(resource.Event) bool
	for _, p := range list {
		s, ok := p.(string)
		if !ok {
			return nil, fmt.Errorf("param %s: a pattern is text such as machines.create.*", ParamMatch)
		}
		match, err := x.Pattern(s)
		if err != nil {
			return nil, fmt.Errorf("param %s: %w", ParamMatch, err)
		}
		all = append(all, match)
	}
	return func(e resource.Event) bool {
		return slices.ContainsFunc(all, func(match func(resource.Event) bool) bool { return match(e) })
	}, nil
}

// dataOf is what an order is told of an event.
func dataOf(e resource.Event) map[string]any {
	out := map[string]any{"type": e.Type, "action": e.Action, "key": e.Key, "principal": e.Principal}
	var object any
	if json.Unmarshal(e.Object, &object) == nil && object != nil {
		out["object"] = object
	}
	return out
}

// Run fires event triggers for events that are no changes of objects, until
// ctx ends.
func (x *Triggers) Run(ctx context.Context, db *resource.DB, log *slog.Logger) error {
	kinds := map[string]bool{}
	for _, k := range db.Kinds() {
		kinds[k.KindName()] = true
	}
	published := func(e *resource.Event) bool { return !kinds[e.Type] && api.Triggers.Len(db.View()) > 0 }
	for ctx.Err() == nil {
		for evs, err := range db.Watch(ctx, db.Seq(), published) {
			if err != nil {
				log.Warn("triggers fell behind: published events were lost to them", "err", err)
				break
			}
			if err := db.Update(ctx, func(tx *resource.Tx) error { return x.Follow(tx, evs) }); err != nil && ctx.Err() == nil {
				log.Error("published events fired no triggers", "err", err)
			}
		}
	}
	return nil
}
