// Package flexi holds the server's operations behind the universal workflows:
// task lists that params extend (FlexiFlow), classification by rules,
// validation, callbacks to services outside, and which workflow follows which.
// Tasks of the names that users know call them by Meta "native".
package flexi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/param"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// Natives are the operations by name. None of them opens a secure param or
// renders a template: see Renderer and Caller.
func Natives() map[string]engine.Native {
	out := map[string]engine.Native{}
	for name, fn := range map[string]func(*run) (engine.Result, error){
		"flexiflow/start":     (*run).flexiStart,
		"flexiflow/stop":      (*run).stop,
		"flexiflow/workflow":  (*run).flexiWorkflow,
		"classify/list-start": (*run).listStart,
		"classify/list-stop":  (*run).stop,
		"classify/run":        (*run).classify,
		"validation/start":    (*run).validationStart,
		"validation/stop":     (*run).validationStop,
		"callback/call":       (*run).callback,
		"universal/skip":      (*run).skip,
		"universal/chain":     (*run).chain,
	} {
		out[name] = native(fn)
	}
	return out
}

// run is one operation at work: its job and the machine, cluster or broker.
type run struct {
	tx    *resource.Tx
	now   time.Time
	job   *api.Job
	kind  *resource.Kind[api.Machine]
	on    *api.Machine
	scope param.Scope // its Machine is always on
	log   strings.Builder
}

func native(fn func(*run) (engine.Result, error)) engine.Native {
	return func(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
		x, err := newRun(tx, now, job)
		if err != nil {
			return engine.Result{}, err
		}
		res, err := fn(x)
		if errors.Is(err, errParked) {
			return engine.Result{Waiting: "its templates are being rendered"}, nil
		}
		if err == nil && x.log.Len() > 0 {
			err = x.note(workflow.NoteLog, x.log.String())
		}
		return res, err
	}
}

func newRun(tx *resource.Tx, now time.Time, job string) (*run, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return nil, err
	}
	x := &run{tx: tx, now: now, job: j}
	if x.kind, x.on = api.Runner(tx, j.Machine); x.on == nil {
		return nil, resource.Errorf(resource.NotFound, "machines", j.Machine, "not found")
	}
	x.scope = scopeOf(tx, j, x.on)
	return x, nil
}

// scopeOf is where the params of a job come from.
func scopeOf(r resource.Reader, j *api.Job, m *api.Machine) param.Scope {
	s, stage := param.Scope{Machine: m}, j.Stage
	if o, err := api.WorkOrders.Get(r, j.WorkOrder); err == nil {
		s.Order = o
		if b, err := api.Blueprints.Get(r, o.Blueprint); err == nil {
			s.Blueprint = b
		}
		// An order has no stage of its own; the last one that it passed counts.
		for _, entry := range o.Tasks[:min(j.CurrentIndex, len(o.Tasks))] {
			if verb, name := api.Entry(entry); verb == "stage" {
				stage = name
			}
		}
	}
	if st, err := api.Stages.Get(r, stage); err == nil {
		s.Stage = st
	}
	return s
}

// say adds a line to the job's log.
func (x *run) say(format string, args ...any) { fmt.Fprintf(&x.log, format+"\n", args...) }

func (x *run) note(key string, value any) error {
	return api.Jobs.Modify(x.tx, x.job.Uuid, func(j *api.Job) error {
		if j.Note == nil {
			j.Note = resource.Params{}
		}
		j.Note[key] = value
		return nil
	})
}

// modify changes the machine and looks at it anew.
func (x *run) modify(change func(*api.Machine)) error {
	err := x.kind.Modify(x.tx, x.on.Uuid, func(m *api.Machine) error { change(m); return nil })
	if err == nil {
		x.on, err = x.kind.Get(x.tx, x.on.Uuid)
		x.scope.Machine = x.on
	}
	return err
}

func (x *run) invalid(format string, args ...any) error {
	return resource.Errorf(resource.Invalid, x.kind.Name, x.on.Uuid, format, args...)
}

func (x *run) value(name string) (any, bool) {
	v, _, ok := param.Get(x.tx, x.scope, name)
	return v, ok
}

func (x *run) text(name string) string {
	v, _ := x.value(name)
	s, _ := v.(string)
	return s
}

func (x *run) yes(name string) bool {
	v, _ := x.value(name)
	return v == true
}

// texts reads a list of strings; composed, of all layers, else of the nearest.
func (x *run) texts(name string, composed bool) ([]string, error) {
	v, ok := x.value(name)
	if composed {
		v, ok = param.Compose(x.tx, x.scope, name)
	}
	if !ok || v == nil {
		return nil, nil
	}
	list, isList := v.([]any)
	if !isList {
		return nil, x.invalid("param %s must be a list of strings", name)
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = e.(string); !ok {
			return nil, x.invalid("param %s: entry %d is not a string", name, i)
		}
	}
	return out, nil
}

func done() (engine.Result, error) { return engine.Result{Done: true}, nil }

func (x *run) stop() (engine.Result, error) { return done() }
