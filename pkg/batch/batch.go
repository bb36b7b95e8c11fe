// Package batch carries out batches: one work order that prepares, then one for
// each machine or item, so many at a time, then one that looks at what became
// of them.
package batch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/workorder"
)

// What templates and their orders say in Params.
const (
	ParamItems    = "batch/items"    // a list: one order for each; the setup order may set it on itself
	ParamItem     = "batch/item"     // in an order: its item
	ParamId       = "batch/id"       // in an order: the batch
	ParamFinished = "batch/finished" // in the post order: how many orders did
	ParamFailed   = "batch/failed"   // in the post order: how many did not
	// ParamParallel is how many orders run at a time; also a key of the batch's Meta.
	ParamParallel = "batch/parallel"
)

// Limits of a batch.
const (
	DefaultParallel = 10
	maxParallel     = 1000
	maxParts        = 10000
)

// MetaBatch names, in an order, its batch.
const MetaBatch = "batch"

// Rule moves batches on.
func Rule(match workorder.Match) engine.Rule {
	look := func(tx *resource.Tx, now time.Time, id string) (engine.Result, error) {
		return Step(tx, now, id, match)
	}
	return engine.Rule{Name: "batch", Kind: api.Batches, Step: look, Wake: map[string]engine.Wake{
		"work_orders": func(_ resource.Reader, e resource.Event) []string {
			for _, v := range []any{e.New, e.Old} {
				if o, ok := v.(*api.WorkOrder); ok && o.Meta[MetaBatch] != "" {
					return []string{o.Meta[MetaBatch]}
				}
			}
			return nil
		},
	}}
}

// Step is the step of Rule.
func Step(tx *resource.Tx, now time.Time, id string, match workorder.Match) (engine.Result, error) {
	b, err := api.Batches.Get(tx, id)
	if err != nil || b.Ended() {
		return engine.Result{}, err
	}
	s := step{tx, now, b, match}
	var why string
	switch b.State {
	case api.BatchCreated:
		why, err = s.begin()
	case api.BatchSetup:
		why, err = s.setup()
	case api.BatchRunning:
		why, err = s.running()
	case api.BatchPost:
		why, err = s.post()
	}
	if code := resource.CodeOf(err); code == resource.Invalid || code == resource.Refused {
		return engine.Result{}, s.move(api.BatchFailed, err.Error(), nil)
	}
	if err != nil || why == "" {
		return engine.Result{}, err
	}
	return engine.Result{Waiting: why}, s.change(func(b *api.Batch) { b.Status = why })
}

// step is one look at a batch.
type step struct {
	tx    *resource.Tx
	now   time.Time
	b     *api.Batch
	match workorder.Match
}

func (s step) change(fn func(b *api.Batch)) error {
	return api.Batches.Modify(s.tx, s.b.Id, func(b *api.Batch) error { fn(b); return nil })
}

func (s step) move(to api.BatchState, status string, also func(b *api.Batch)) error {
	return api.Batches.Modify(s.tx, s.b.Id, func(b *api.Batch) error {
		if err := b.Move(to, s.now); err != nil {
			return err
		}
		if b.Status = status; also != nil {
			also(b)
		}
		return nil
	})
}

// make makes one order of a template.
func (s step) make(t *api.WorkOrderTemplate, p api.BatchPart, more resource.Params) (*api.WorkOrder, error) {
	o := &api.WorkOrder{Blueprint: t.Blueprint, Machine: p.Machine, Filter: p.Filter, Params: resource.Params{},
		Profiles: slices.Clone(t.Profiles), CreateTime: s.now, For: s.b.Id}
	maps.Copy(o.Params, t.Params)
	delete(o.Params, ParamItems)
	maps.Copy(o.Params, more)
	o.Params[ParamId] = s.b.Id
	o.Meta = map[string]string{}
	maps.Copy(o.Meta, t.Meta)
	o.Meta[MetaBatch] = s.b.Id
	return o, api.WorkOrders.Create(s.tx, o)
}

func (s step) begin() (string, error) {
	if !s.b.Available {
		return "not available: " + strings.Join(s.b.Errors, "; "), nil
	}
	t := s.b.SetupWorkOrderTemplate
	if t == nil {
		return "", s.plan(nil)
	}
	o, err := s.make(t, api.BatchPart{Machine: t.Machine, Filter: t.Filter}, nil)
	if err != nil {
		return "", err
	}
	return "", s.move(api.BatchSetup, "", func(b *api.Batch) { b.SetupWorkOrder = o.Uuid })
}

// setup waits for the order that prepares. Without it there is no batch.
func (s step) setup() (string, error) {
	o, err := api.WorkOrders.Get(s.tx, s.b.SetupWorkOrder)
	switch {
	case err != nil:
		return "", resource.Errorf(resource.Refused, "work_orders", s.b.SetupWorkOrder, "the setup work order was deleted")
	case !o.Ended():
		return "setup: " + waits(o), nil
	case o.State != api.OrderFinished:
		return "", resource.Errorf(resource.Refused, "work_orders", o.Uuid, "the setup work order %s: %s", o.State, o.Status)
	}
	return "", s.plan(o)
}

func waits(o *api.WorkOrder) string {
	if o.Status == "" {
		return "work order " + o.Uuid + " is " + string(o.State)
	}
	return o.Status
}

// tally is how the orders of a batch stand.
type tally struct {
	finished, failed, open int
	why                    string // of one that is open
	bad                    string // of one that failed
}

func (s step) tally() (t tally) {
	for o := range api.WorkOrders.By(s.tx, "For", s.b.Id) {
		switch {
		case o.Uuid == s.b.SetupWorkOrder || o.Uuid == s.b.PostWorkOrder:
		case o.State == api.OrderFinished:
			t.finished++
		case o.Ended():
			t.bad = o.Status
		default:
			t.open++
			t.why = waits(o)
		}
	}
	// One that was deleted did not finish.
	t.failed = s.b.Begun - t.finished - t.open
	return t
}

// running keeps as many orders going as may.
func (s step) running() (string, error) {
	n, err := parallel(s.b)
	if err != nil {
		return "", err
	}
	t, begun := s.tally(), s.b.Begun
	for t.open < n && begun < len(s.b.Parts) {
		p := s.b.Parts[begun]
		more := resource.Params{}
		if p.Item != nil {
			more[ParamItem] = p.Item
		}
		if _, err := s.make(s.b.WorkOrderTemplate, p, more); err != nil {
			return "", err
		}
		t.open, begun = t.open+1, begun+1
	}
	if begun != s.b.Begun {
		if err := s.change(func(b *api.Batch) { b.Begun = begun }); err != nil {
			return "", err
		}
	}
	if t.open > 0 {
		return strings.TrimSuffix(fmt.Sprintf("%d of %d work orders finished, %d failed, %d are open: %s", t.finished, len(s.b.Parts), t.failed, t.open, t.why), ": "), nil
	}
	return "", s.afterAll(t)
}

// afterAll begins the last order, if there is one.
func (s step) afterAll(t tally) error {
	if s.b.PostWorkOrderTemplate == nil {
		return s.close(t)
	}
	p := s.b.PostWorkOrderTemplate
	o, err := s.make(p, api.BatchPart{Machine: p.Machine, Filter: p.Filter}, resource.Params{ParamFinished: float64(t.finished), ParamFailed: float64(t.failed)})
	if err != nil {
		return err
	}
	return s.move(api.BatchPost, "", func(b *api.Batch) { b.PostWorkOrder = o.Uuid })
}

func (s step) post() (string, error) {
	o, err := api.WorkOrders.Get(s.tx, s.b.PostWorkOrder)
	switch {
	case err != nil:
		return "", resource.Errorf(resource.Refused, "work_orders", s.b.PostWorkOrder, "the post work order was deleted")
	case !o.Ended():
		return "post: " + waits(o), nil
	case o.State != api.OrderFinished:
		return "", resource.Errorf(resource.Refused, "work_orders", o.Uuid, "the post work order %s: %s", o.State, o.Status)
	}
	return "", s.close(s.tally())
}

func (s step) close(t tally) error {
	if t.failed > 0 {
		return s.move(api.BatchFailed, fmt.Sprintf("%d of %d work orders failed: %s", t.failed, len(s.b.Parts), t.bad), nil)
	}
	return s.move(api.BatchFinished, fmt.Sprintf("%d work orders finished", t.finished), nil)
}

// Cancel ends a batch and all of its orders that have not ended.
func Cancel(tx *resource.Tx, now time.Time, id, why string) error {
	b, err := api.Batches.Get(tx, id)
	if err != nil {
		return err
	}
	if err := (step{tx, now, b, nil}).move(api.BatchCancelled, why, nil); err != nil {
		return err
	}
	for _, o := range slices.Collect(api.WorkOrders.By(tx, "For", id)) {
		if o.Ended() {
			continue
		}
		if err := workorder.Cancel(tx, now, o.Uuid, "its batch was "+why); err != nil {
			return err
		}
	}
	return nil
}

// Rerun makes a new batch like one that has ended.
func Rerun(tx *resource.Tx, id string) (*api.Batch, error) {
	b, err := api.Batches.Get(tx, id)
	if err != nil {
		return nil, err
	}
	if !b.Ended() {
		return nil, resource.Errorf(resource.Refused, "batches", id, "the batch is %s: wait for its end, or cancel it", b.State)
	}
	again := &api.Batch{SetupWorkOrderTemplate: b.SetupWorkOrderTemplate, WorkOrderTemplate: b.WorkOrderTemplate, PostWorkOrderTemplate: b.PostWorkOrderTemplate}
	again.Description, again.Documentation, again.Meta = b.Description, b.Documentation, maps.Clone(b.Meta)
	return again, api.Batches.Create(tx, again)
}
