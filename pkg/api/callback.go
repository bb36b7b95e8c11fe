package api

import (
	"time"

	"drpd/pkg/resource"
)

// The states of a callback.
const (
	CallbackWanted  = "wanted"
	CallbackWorking = "working"
	CallbackDone    = "done"
	CallbackFailed  = "failed"
)

// Callback is one HTTP request to a service outside, from wish to outcome. It
// is stored before anything is sent, and goes when the job that asked for it
// has ended. What is sent, with its secrets, is looked up when it is sent.
type Callback struct {
	Job      string // uuid of the job that waits for it
	Machine  string // uuid of the machine, cluster or broker
	Action   string // which entry of callback/callbacks
	State    string // wanted, working, done, failed
	Tries    int
	Created  time.Time
	NextTry  time.Time
	Ended    time.Time
	Status   int    `json:",omitempty"` // HTTP status of the last reply
	Error    string `json:",omitempty"` // the last error
	Response any    `json:",omitempty"` // what the caller wanted kept, 64 KiB at most
}

// Callbacks by the job that waits.
var Callbacks = &resource.Kind[Callback]{
	Name: "callbacks", Key: func(o *Callback) string { return o.Job }, Sealed: true,
	Indexes: []resource.Index[Callback]{
		keyed("Job", func(o *Callback) string { return o.Job }),
		textual("Machine", func(o *Callback) string { return o.Machine }),
		textual("State", func(o *Callback) string { return o.State }),
	},
	Engine: []string{"Job", "Machine", "Action", "State", "Tries", "Created", "NextTry", "Ended", "Status", "Error", "Response"},
	Default: func(o *Callback) {
		if o.State == "" {
			o.State = CallbackWanted
		}
	},
}

// Over reports whether the callback has an outcome.
func (o *Callback) Over() bool { return o.State == CallbackDone || o.State == CallbackFailed }
