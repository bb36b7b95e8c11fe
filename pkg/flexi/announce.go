package flexi

import (
	"context"
	"encoding/json"
	"log/slog"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// noteEvent is the note of a job that is to be told of, with the callback's action.
const noteEvent = "event"

// EventType is that of events which callbacks publish; their Action is the
// callback's, their Key the machine's.
const EventType = "callback"

// Announced is the object of such an event.
type Announced struct {
	Action   string
	Kind     string // machines, clusters or resource_brokers
	Machine  string // uuid
	Name     string
	Job      string
	Workflow string
	Stage    string
}

// Announce publishes an event for each callback that is over and whose stage
// sets callback/event, from event number after on until ctx ends. One that is over just before a crash may
// not be told of.
func Announce(ctx context.Context, db *resource.DB, after uint64, log *slog.Logger) error {
	for ctx.Err() == nil {
		for evs, err := range db.Watch(ctx, after, wantsTelling) {
			if err != nil {
				log.Warn("events of callbacks were lost", "err", err)
				after = db.Seq()
				break
			}
			for _, e := range evs {
				after = e.Seq
				publish(db, announced(db.View(), e))
			}
		}
	}
	return nil
}

// wantsTelling picks the ends of callbacks that are to be told of.
func wantsTelling(e *resource.Event) bool {
	j, ok := e.New.(*api.Job)
	if !ok || j.State != api.JobFinished || j.Note[noteEvent] == nil {
		return false
	}
	was, ok := e.Old.(*api.Job)
	return !ok || was == nil || was.State != api.JobFinished
}

// announced is what to tell because of an event that wantsTelling picked.
func announced(r resource.Reader, e resource.Event) *Announced {
	j := e.New.(*api.Job)
	action, _ := j.Note[noteEvent].(string)
	out := &Announced{Action: action, Machine: j.Machine, Job: j.Uuid, Workflow: j.Workflow, Stage: j.Stage}
	if k, m := api.Runner(r, j.Machine); m != nil {
		out.Kind, out.Name = k.Name, m.Name
	}
	return out
}

func publish(db *resource.DB, a *Announced) {
	if data, err := json.Marshal(a); err == nil { // texts only
		db.Publish(resource.Event{Type: EventType, Action: a.Action, Key: a.Machine, Principal: "job:" + a.Job, Object: data})
	}
}
