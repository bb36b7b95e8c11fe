package api

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// BatchState is where a batch is in its life.
type BatchState string

// The states of a batch: what runs now, or how it ended.
const (
	BatchCreated  BatchState = "created"
	BatchSetup    BatchState = "setup"   // SetupWorkOrder makes the work orders
	BatchRunning  BatchState = "running" // they run
	BatchPost     BatchState = "post"    // PostWorkOrder looks at what became of them
	BatchFinished BatchState = "finished"
	BatchFailed   BatchState = "failed"

	BatchCancelled BatchState = "cancelled"
)

// batchMoves are the legal moves of a batch.
var batchMoves = map[BatchState][]BatchState{
	BatchCreated: {BatchSetup, BatchRunning, BatchFailed, BatchCancelled},
	BatchSetup:   {BatchRunning, BatchFailed, BatchCancelled},
	BatchRunning: {BatchPost, BatchFinished, BatchFailed, BatchCancelled},
	BatchPost:    {BatchFinished, BatchFailed, BatchCancelled},
}

// Batch is many work orders as one piece of work: one order that makes them,
// they themselves, and one after all of them.
type Batch struct {
	resource.Common
	Documented
	Id                     string // a uuid
	SetupWorkOrderTemplate *WorkOrderTemplate
	WorkOrderTemplate      *WorkOrderTemplate
	PostWorkOrderTemplate  *WorkOrderTemplate
	SetupWorkOrder         string // uuid, "" before it is made
	PostWorkOrder          string
	State                  BatchState
	Status                 string // what it does or waits for, or why it failed
	StartTime              time.Time
	EndTime                time.Time
	// Parts are its work orders, in the order in which they begin; Begun of them
	// exist.
	Parts []BatchPart `json:",omitempty"`
	Begun int         `json:",omitempty"`
}

// BatchPart is one work order of a batch: for a machine, or for one item of a
// list, on any machine that the filter fits.
type BatchPart struct {
	Machine string `json:",omitempty"`
	Filter  string `json:",omitempty"`
	Item    any    `json:",omitempty"`
}

// WorkOrderTemplate is what a work order is made of.
type WorkOrderTemplate struct {
	Blueprint string
	Filter    string            `json:",omitempty"`
	Machine   string            `json:",omitempty"`
	Params    resource.Params   `json:",omitempty"`
	Profiles  []string          `json:",omitempty"`
	Meta      map[string]string `json:",omitempty"`
}

// ById indexes the kinds whose key is called Id.
const ById = "Id"

// Batches by Id.
var Batches = &resource.Kind[Batch]{
	Name: "batches", Key: func(o *Batch) string { return o.Id },
	Common: func(o *Batch) *resource.Common { return &o.Common },
	Engine: append([]string{"Id", "SetupWorkOrder", "PostWorkOrder", "State", "Status", "StartTime", "EndTime", "Parts", "Begun"}, engineCommon...),
	Indexes: []resource.Index[Batch]{
		keyed(ById, func(o *Batch) string { return o.Id }),
		textual("State", func(o *Batch) string { return string(o.State) }),
		typed("SetupWorkOrder", typeUUID, func(o *Batch) string { return o.SetupWorkOrder }),
		typed("PostWorkOrder", typeUUID, func(o *Batch) string { return o.PostWorkOrder }),
		timed("StartTime", func(o *Batch) time.Time { return o.StartTime }),
		timed("EndTime", func(o *Batch) time.Time { return o.EndTime }),
	},
	Default: func(o *Batch) {
		if o.Id == "" {
			o.Id = uuid.NewString()
		}
		if o.State == "" {
			o.State = BatchCreated
		}
	},
	Validate: (*Batch).problems,
	Refs:     (*Batch).refs,
}

func (o *Batch) templates() []*WorkOrderTemplate {
	all := []*WorkOrderTemplate{o.SetupWorkOrderTemplate, o.WorkOrderTemplate, o.PostWorkOrderTemplate}
	return slices.DeleteFunc(all, func(t *WorkOrderTemplate) bool { return t == nil })
}

func (o *Batch) problems() []string {
	p := problems{}
	p.uuid("Id", o.Id)
	if o.WorkOrderTemplate == nil {
		p.add("WorkOrderTemplate is empty: say what the batch shall do")
	}
	for _, t := range o.templates() {
		p.name("Blueprint", t.Blueprint, plainName)
		if (t.Machine == "") == (t.Filter == "") {
			p.add("give exactly one of Machine and Filter to the order of blueprint %s", t.Blueprint)
		}
		p = append(p, paramNames(t.Params)...)
	}
	return p
}

func (o *Batch) refs() []resource.Ref {
	if o.Ended() {
		return nil
	}
	var out []resource.Ref
	for _, t := range o.templates() {
		out = append(out, refs("blueprints", one(t.Blueprint))...)
		out = append(out, refs("profiles", t.Profiles)...)
	}
	return out
}

// Ended says that the batch will not change any more.
func (o *Batch) Ended() bool {
	return o.State == BatchFinished || o.State == BatchFailed || o.State == BatchCancelled
}

// Move changes the state if that is legal, and stamps the times.
func (o *Batch) Move(to BatchState, now time.Time) error {
	if !slices.Contains(batchMoves[o.State], to) {
		return resource.Errorf(resource.Conflict, "batches", o.Id, "a %s batch cannot become %s", o.State, to)
	}
	if o.State == BatchCreated {
		o.StartTime = now
	}
	o.State, o.Status = to, ""
	if o.Ended() {
		o.EndTime = now
	}
	return nil
}
