// Package trigger makes work orders when something happens: at a time, when an
// object changes, when somebody calls a URL.
//
// That a trigger fired is stored in the update that makes its orders, so that
// it fires once for each cause, whenever the server is killed. Schedules: the
// rule stores up to when it has fired; runs that were missed make up for
// themselves by one. Changes of objects: the trigger fires inside the very
// update that changes the object (resource.Config.Follow), so there is no
// backlog that could be lost or repeated. Calls: one delivery fires once if the
// caller numbers its deliveries, as GitHub does. Events that are no change of
// an object (POST /events) are not stored: if the server dies before it has
// seen one, that event is lost, and so is its firing.
package trigger

import (
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/workorder"
)

// The providers that drpd itself can serve; content declares them.
const (
	Cron    = "cron-trigger"
	Event   = "event-trigger"
	Webhook = "webhook-trigger"
)

// Params of triggers.
const (
	ParamSchedule = "cron-trigger/schedule"
	ParamMatch    = "event-trigger/event-match"   // "type.action.key", or a list of such
	ParamFilter   = "event-trigger/object-filter" // on the object of the event
	ParamKey      = "webhook-trigger/key"         // secret of the callers
)

// DataPrefix begins the params that MergeDataIntoParams makes.
const DataPrefix = "trigger/"

// Firing is what a trigger remembers.
type Firing struct {
	Trigger    string
	Schedule   string    `json:",omitempty"` // the one that From belongs to
	From       time.Time // all that was due until then has fired
	Fired      time.Time // last time it made orders
	Count      int       // times it fired
	WorkOrders []string  // of the last time
	Deliveries []string  `json:",omitempty"` // numbers of the last calls
	Problem    string    `json:",omitempty"` // why its last cause made no order
}

// Firings by trigger.
var Firings = &resource.Kind[Firing]{
	Name: "trigger_firings", Key: func(f *Firing) string { return f.Trigger }, Sealed: true,
	Engine: []string{"Trigger", "Schedule", "From", "Fired", "Count", "WorkOrders", "Deliveries", "Problem"},
	Default: func(f *Firing) {
		if f.WorkOrders == nil {
			f.WorkOrders = []string{}
		}
	},
}

// Triggers decides when triggers fire.
type Triggers struct {
	Match workorder.Match // filters of machines
	// Object says whether a filter fits any object.
	Object func(r resource.Reader, o resource.Object, filter string) (bool, error)
	// Pattern reads "type.action.key".
	Pattern func(s string) (func(resource.Event) bool, error)
}

// Setting finds a param of a trigger: its own, its profiles', its provider's,
// the global one, the default. Secret values are as stored; from says whose
// they are.
func Setting(r resource.Reader, t *api.Trigger, name string) (v any, from param.Source, ok bool) {
	if v, ok := t.Params[name]; ok {
		return v, param.Source{Kind: "triggers", Key: t.Name}, true
	}
	for _, p := range t.Profiles {
		if profile, err := api.Profiles.Get(r, p); err == nil {
			if v, ok := profile.Params[name]; ok {
				return v, param.Source{Kind: "profiles", Key: p}, true
			}
		}
	}
	if p, err := api.TriggerProviders.Get(r, t.TriggerProvider); err == nil {
		if v, ok := p.Params[name]; ok {
			return v, param.Source{Kind: "trigger_providers", Key: p.Name}, true
		}
	}
	return param.Get(r, param.Scope{}, name)
}

func text(r resource.Reader, t *api.Trigger, name string) string {
	v, _, _ := Setting(r, t, name)
	s, _ := v.(string)
	return s
}

// remembered is what a trigger remembers, nothing at first.
func remembered(r resource.Reader, name string) *Firing {
	f, err := Firings.Get(r, name)
	if err != nil {
		return &Firing{Trigger: name}
	}
	c := *f
	c.WorkOrders, c.Deliveries = slices.Clone(f.WorkOrders), slices.Clone(f.Deliveries)
	return &c
}
