package flexi

import (
	"encoding/json"
	"fmt"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
)

// Params of callbacks.
const (
	ParamCallbacks = "callback/callbacks" // action -> request
	ParamAction    = "callback/action"    // which of them a stage makes
	ParamNoCall    = "callback/skip"
	ParamAuths     = "callback/auths"         // name -> credentials, for Auth of a request
	ParamBody      = "callback/data-override" // the body, instead of the machine
	ParamEvent     = "callback/event"         // publish that the callback is over
)

// request is one entry of callback/callbacks.
type request struct {
	Url            string
	Method         string // default POST
	Headers        map[string]string
	Auth           string // an entry of callback/auths
	Auths          []string
	NoBody         bool
	RawBody        bool // a text in callback/data-override is sent as it is, not as JSON
	Aggregate      bool // the body's Params are those of all layers
	Decode         bool // secure params are opened
	ExcludeParams  []string
	JsonResponse   bool // keep the reply, as JSON
	StringResponse bool // keep the reply, as text
	Delay          int  // seconds between tries
	Retry          int  // tries after the first
	Timeout        int  // seconds for all tries, default 7200
}

// Limits of callbacks.
const (
	defaultTimeout = 7200     // seconds
	maxTimeout     = 86400    // seconds
	maxRetry       = 1000     // tries
	maxBody        = 4 << 20  // bytes of a request
	maxReply       = 1 << 20  // bytes read of a reply
	maxKept        = 64 << 10 // bytes kept of a reply
)

// callback waits for one request to a service outside, which it asks for at
// first. With nothing configured for the action it passes at once.
func (x *run) callback() (engine.Result, error) {
	action := x.text(ParamAction)
	if action == "" {
		return engine.Result{}, x.invalid("param %s is not set: the stage must name the callback", ParamAction)
	}
	cb, err := api.Callbacks.Get(x.tx, x.job.Uuid)
	switch {
	case err != nil:
		return x.call(action)
	case cb.State == api.CallbackFailed:
		return engine.Result{}, resource.Errorf(resource.Refused, "callbacks", action, "%s", cb.Error)
	case cb.State == api.CallbackDone:
		return x.replied(cb)
	}
	text := fmt.Sprintf("callback %s is being sent", action)
	if cb.Error != "" {
		text = fmt.Sprintf("callback %s is tried again after try %d: %s", action, cb.Tries, cb.Error)
	}
	return engine.Result{Waiting: text}, nil
}

func (x *run) call(action string) (engine.Result, error) {
	if x.yes(ParamNoCall) {
		return done()
	}
	if v, _ := param.Compose(x.tx, x.scope, ParamCallbacks); !param.IsSealed(v) { // else only the Caller can tell
		if req, err := asked(v, action); err != nil || req == nil {
			if err == nil {
				return x.over(action)
			}
			return engine.Result{}, err
		}
	}
	cb := &api.Callback{Job: x.job.Uuid, Machine: x.on.Uuid, Action: action, Created: x.now}
	if err := api.Callbacks.Create(x.tx, cb); err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Waiting: fmt.Sprintf("callback %s is about to be sent", action)}, nil
}

func (x *run) replied(cb *api.Callback) (engine.Result, error) {
	if cb.Status == 0 {
		x.say("nothing is configured for callback %s", cb.Action)
		return x.over(cb.Action)
	}
	x.say("callback %s answered with HTTP status %d at try %d", cb.Action, cb.Status, cb.Tries)
	if cb.Response != nil {
		if err := x.note("response", cb.Response); err != nil {
			return engine.Result{}, err
		}
	}
	return x.over(cb.Action)
}

// over ends the callback. The note is what Announce goes by.
func (x *run) over(action string) (engine.Result, error) {
	if x.yes(ParamEvent) {
		if err := x.note(noteEvent, action); err != nil {
			return engine.Result{}, err
		}
	}
	return done()
}

// asked finds what is configured for an action, nil if nothing is.
func asked(v any, action string) (*request, error) {
	all, _ := v.(map[string]any)
	entry, ok := all[action]
	if !ok {
		return nil, nil
	}
	req := &request{}
	text, err := json.Marshal(entry)
	if err == nil {
		err = json.Unmarshal(text, req)
	}
	if err != nil {
		return nil, refuse(action, "its fields do not have the types they need")
	}
	return req, req.check(action)
}

func (r *request) check(action string) error {
	switch {
	case r.Url == "":
		return refuse(action, "Url is missing")
	case r.Timeout < 0 || r.Timeout > maxTimeout:
		return refuse(action, "Timeout must be 0 to 86400 seconds")
	case r.Retry < 0 || r.Retry > maxRetry:
		return refuse(action, "Retry must be 0 to 1000")
	case r.Delay < 0 || r.Delay > maxTimeout:
		return refuse(action, "Delay must be 0 to 86400 seconds")
	}
	if r.Timeout == 0 {
		r.Timeout = defaultTimeout
	}
	if r.Method == "" {
		r.Method = "POST"
	}
	return nil
}

// refuse never quotes values: they may be secrets.
func refuse(action, why string) error {
	return resource.Errorf(resource.Invalid, "params", ParamCallbacks, "entry %s: %s", action, why)
}
