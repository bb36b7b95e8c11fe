package api

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// OrderState is where a work order is in its life.
type OrderState string

// The states of a work order.
const (
	OrderCreated   OrderState = "created"
	OrderRunning   OrderState = "running"
	OrderFinished  OrderState = "finished"
	OrderFailed    OrderState = "failed"
	OrderCancelled OrderState = "cancelled"
)

var orderMoves = map[OrderState][]OrderState{
	OrderCreated: {OrderRunning, OrderFailed, OrderCancelled},
	OrderRunning: {OrderFinished, OrderFailed, OrderCancelled},
}

// WorkOrder is a request to run a Blueprint on one machine, cluster or broker
// in WorkOrder mode: Machine, or the first one that Filter matches.
type WorkOrder struct {
	resource.Common
	Documented
	Uuid            string
	Blueprint       string
	Machine         string
	Filter          string
	Mode            string
	State           OrderState
	Status          string
	Tasks           []string
	CurrentTask     int
	CurrentJob      string
	Context         string
	Params          resource.Params
	Profiles        []string
	CreateTime      time.Time
	StartTime       time.Time
	EndTime         time.Time
	JobState        JobState
	JobExitState    string
	JobResultErrors []string
	Archived        bool
	// For names who asked: the uuid of the cluster, "" for a person.
	For string `json:",omitempty"`
	// Yields says that the order has nothing in hand and waits for machines:
	// other orders of its broker go first meanwhile.
	Yields bool `json:",omitempty"`
	// Copied says what the order has of its blueprint, since it began.
	Copied *CopiedParts `json:",omitempty"`
}

// CopiedParts names what a work order got from its blueprint.
type CopiedParts struct {
	Params   []string `json:",omitempty"`
	Profiles []string `json:",omitempty"`
	Meta     []string `json:",omitempty"`
}

// WorkOrders, indexed by who runs them.
var WorkOrders = &resource.Kind[WorkOrder]{
	Name: "work_orders", Key: func(o *WorkOrder) string { return o.Uuid },
	Common: func(o *WorkOrder) *resource.Common { return &o.Common },
	Engine: append([]string{"Uuid", "Tasks", "CurrentTask", "CurrentJob", "CreateTime", "StartTime", "EndTime", "JobState", "JobExitState", "JobResultErrors", "Status", "For", "Yields", "Copied"}, engineCommon...),
	Indexes: []resource.Index[WorkOrder]{
		byUUID(func(o *WorkOrder) string { return o.Uuid }),
		typed("Machine", typeUUID, func(o *WorkOrder) string { return o.Machine }),
		textual("Blueprint", func(o *WorkOrder) string { return o.Blueprint }),
		textual("State", func(o *WorkOrder) string { return string(o.State) }),
		textual("For", func(o *WorkOrder) string { return o.For }),
		scan(several(ByProfile, func(o *WorkOrder) []string { return o.Profiles })),
		paramIndex(func(o *WorkOrder) resource.Params { return o.Params }),
		scan(typed("CurrentJob", typeUUID, func(o *WorkOrder) string { return o.CurrentJob })),
		scan(textual("Mode", func(o *WorkOrder) string { return o.Mode })),
		scan(textual("Context", func(o *WorkOrder) string { return o.Context })),
		scan(boolean("Archived", func(o *WorkOrder) bool { return o.Archived })),
		timed("CreateTime", func(o *WorkOrder) time.Time { return o.CreateTime }),
		timed("StartTime", func(o *WorkOrder) time.Time { return o.StartTime }),
		timed("EndTime", func(o *WorkOrder) time.Time { return o.EndTime }),
		{Name: "Unbound", Of: (*WorkOrder).unbound},
		{Name: "Active", Of: (*WorkOrder).active},
	},
	Default: func(o *WorkOrder) {
		if o.Uuid == "" {
			o.Uuid, o.CurrentTask = uuid.NewString(), -1
		}
		if o.State == "" {
			o.State = OrderCreated
		}
		if o.Mode == "" {
			o.Mode = "task"
		}
		o.Tasks, o.Profiles, o.JobResultErrors = full(o.Tasks), full(o.Profiles), full(o.JobResultErrors)
		o.Params = fullParams(o.Params)
	},
	Validate: (*WorkOrder).problems,
	Refs:     func(o *WorkOrder) []resource.Ref { return o.refs() },
	Params:   func(o *WorkOrder) *resource.Params { return &o.Params },
	Profiles: func(o *WorkOrder) *[]string { return &o.Profiles },
}

func (o *WorkOrder) unbound() []string {
	if o.Machine == "" && o.State == OrderCreated {
		return []string{"true"}
	}
	return nil
}

// active is the machine of an order that has not ended.
func (o *WorkOrder) active() []string {
	if o.Ended() {
		return nil
	}
	return one(o.Machine)
}

func (o *WorkOrder) refs() []resource.Ref {
	if o.Ended() {
		return nil
	}
	return refs("blueprints", one(o.Blueprint))
}

func (o *WorkOrder) problems() []string {
	p := problems{}
	if o.Blueprint == "" {
		p.add("Blueprint is empty: name what the order shall do")
	}
	if (o.Machine == "") == (o.Filter == "") && o.State == OrderCreated {
		p.add("give exactly one of Machine and Filter")
	}
	p.uuid("Uuid", o.Uuid)
	p.names("Profile", o.Profiles, machineName)
	p = append(p, paramNames(o.Params)...)
	if o.Mode != "task" {
		p.add("Mode %q is not supported; use task", o.Mode)
	}
	return p
}

// Ended says that the order will not change any more.
func (o *WorkOrder) Ended() bool {
	return o.State == OrderFinished || o.State == OrderFailed || o.State == OrderCancelled
}

// Move changes the state if that is legal, and stamps the times.
func (o *WorkOrder) Move(to OrderState, now time.Time) error {
	if !slices.Contains(orderMoves[o.State], to) {
		return resource.Errorf(resource.Conflict, "work_orders", o.Uuid, "a %s work order cannot become %s", o.State, to)
	}
	o.State, o.Status = to, ""
	switch {
	case to == OrderRunning:
		o.StartTime = now
	case o.Ended():
		o.EndTime = now
	}
	return nil
}
