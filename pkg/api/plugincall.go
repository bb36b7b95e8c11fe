package api

import (
	"time"

	"drpd/pkg/resource"
)

// PluginCall is one action of a plugin that an entry of a task list asks for,
// from wish to outcome. It goes when the job that asked for it has ended. Its
// states are those of a Callback.
type PluginCall struct {
	Job     string // uuid of the job that waits for it
	Machine string // uuid of the machine, cluster or broker
	Plugin  string
	Command string
	State   string // wanted, working, done, failed
	Tries   int
	Created time.Time
	NextTry time.Time
	Ended   time.Time
	Error   string `json:",omitempty"` // why it failed, or is tried again
	Answer  string `json:",omitempty"` // the plugin's JSON, cut off after 64 KiB
	// Lost says that the server ended while the plugin was at work.
	Lost bool `json:",omitempty"`
}

// PluginCalls by the job that waits.
var PluginCalls = &resource.Kind[PluginCall]{
	Name: "plugin_calls", Key: func(o *PluginCall) string { return o.Job }, Sealed: true,
	Indexes: []resource.Index[PluginCall]{
		keyed("Job", func(o *PluginCall) string { return o.Job }),
		textual("Machine", func(o *PluginCall) string { return o.Machine }),
		textual("State", func(o *PluginCall) string { return o.State }),
	},
	Default: func(o *PluginCall) {
		if o.State == "" {
			o.State = CallbackWanted
		}
	},
}

// Over reports whether the call has an outcome.
func (o *PluginCall) Over() bool { return o.State == CallbackDone || o.State == CallbackFailed }
