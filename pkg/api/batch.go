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
)

// batchMoves are the legal moves of a batch.
var batchMoves = map[BatchState][]BatchState{
	BatchCreated: {BatchSetup, BatchRunning, BatchFailed},
	BatchSetup:   {BatchRunning, BatchFailed},
	BatchRunning: {BatchPost, BatchFinished, BatchFailed},
	BatchPost:    {BatchFinished, BatchFailed},
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
	Engine: append([]string{"Id", "SetupWorkOrder", "PostWorkOrder", "State", "Status", "StartTime", "EndTime"}, engineCommon...),
	Indexes: []resource.Index[Batch]{
		keyed(ById, func(o *Batch) string { return o.Id }),
		{Name: "State", Of: func(o *Batch) []string { return one(string(o.State)) }},
		{Name: "SetupWorkOrder", Of: func(o *Batch) []string { return one(o.SetupWorkOrder) }, Type: "UUID"},
		{Name: "PostWorkOrder", Of: func(o *Batch) []string { return one(o.PostWorkOrder) }, Type: "UUID"},
		timeIndex("StartTime", func(o *Batch) time.Time { return o.StartTime }),
		timeIndex("EndTime", func(o *Batch) time.Time { return o.EndTime }),
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
func (o *Batch) Ended() bool { return o.State == BatchFinished || o.State == BatchFailed }

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
