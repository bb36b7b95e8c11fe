//go:build linux

package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

const (
	callLimit = workflow.DefaultTimeout // of one call of a task list
	patience  = 2 * time.Minute         // with a plugin that does not run
	maxKept   = 64 << 10                // bytes kept of an answer
)

// Native is the operation behind "action:[plugin:]command" in task lists, for
// what is no operation of the server: an action of a plugin, whose refusal
// fails the job.
func Native(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
	c, err := api.PluginCalls.Get(tx, job)
	switch {
	case err != nil:
		return wish(tx, now, job)
	case c.State == api.CallbackFailed:
		return engine.Result{}, resource.Errorf(resource.Refused, api.Plugins.Name, c.Plugin, "%s", c.Error)
	case c.State == api.CallbackDone:
		return engine.Result{Done: true}, api.Jobs.Modify(tx, job, func(j *api.Job) error {
			j.Note = resource.Params{workflow.NoteLog: fmt.Sprintf("plugin %s answered to %s: %s\n", c.Plugin, c.Command, c.Answer)}
			return nil
		})
	case c.Error != "":
		return engine.Result{Waiting: fmt.Sprintf("plugin %s is asked again: %s", c.Plugin, c.Error), Until: c.NextTry}, nil
	}
	return engine.Result{Waiting: "plugin " + c.Plugin + " carries it out"}, nil
}

// wish stores the call that a job waits for.
func wish(tx *resource.Tx, now time.Time, job string) (engine.Result, error) {
	j, err := api.Jobs.Get(tx, job)
	if err != nil {
		return engine.Result{}, err
	}
	op := api.Operation(tx, j.Task)
	k, m := api.Runner(tx, j.Machine)
	if m == nil {
		return engine.Result{}, resource.Errorf(resource.NotFound, api.Machines.Name, j.Machine, "not found")
	}
	c := &api.PluginCall{Job: job, Machine: m.Uuid, Created: now}
	of, command, named := strings.Cut(op, ":")
	if !named {
		of, command = "", op
	}
	if c.Plugin, c.Command = offering(tx, k.Name, of, command), command; c.Plugin == "" {
		return engine.Result{}, resource.Errorf(resource.NotFound, "", "", "this server has no action %q, and no plugin has it for %s", op, k.Name)
	}
	return engine.Result{Waiting: "plugin " + c.Plugin + " is about to be asked"}, api.PluginCalls.Create(tx, c)
}

// offering is the first plugin by name that has a command for objects of a
// kind, of one plugin or provider if it is named.
func offering(r resource.Reader, kind, of, command string) string {
	var names []string
	for p := range api.Plugins.All(r) {
		def, err := api.PluginProviders.Get(r, p.Provider)
		if err != nil || of != "" && of != p.Name && of != p.Provider {
			continue
		}
		if slices.ContainsFunc(def.AvailableActions, func(a api.AvailableAction) bool { return a.Command == command && a.Model == kind }) {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// Caller asks plugins what task lists want of them.
type Caller struct {
	DB  *resource.DB
	Sup *Supervisor // nil: plugins are switched off; set before the engine runs
	Now func() time.Time
}

// Action is the engine's row for calls. What a plugin did when the server ended
// meanwhile cannot be known, so that call fails instead of being repeated.
func (c *Caller) Action() engine.Action[api.PluginCall] {
	return engine.Action[api.PluginCall]{
		Name: "plugin calls", Kind: api.PluginCalls, Timeout: callLimit, Parallel: 16,
		Due: func(o *api.PluginCall, now time.Time) (bool, time.Time) {
			if o.Over() {
				return false, time.Time{}
			}
			return !now.Before(o.NextTry), o.NextTry
		},
		Claim: func(o *api.PluginCall, _ time.Time) {
			o.Lost = o.State == api.CallbackWorking
			o.State, o.Tries = api.CallbackWorking, o.Tries+1
		},
		Do: func(ctx context.Context, o *api.PluginCall) func(*api.PluginCall) error {
			answer, again, err := c.call(ctx, o)
			return func(o *api.PluginCall) error { settle(o, c.Now(), answer, again, err); return nil }
		},
	}
}

// call asks the plugin; again says that another try may do better.
func (c *Caller) call(ctx context.Context, o *api.PluginCall) (answer string, again bool, err error) {
	switch {
	case o.Lost:
		return "", false, errors.New("the server ended while the plugin carried it out: see whether it did, then set Runnable to try again")
	case c.Sup == nil:
		return "", false, errors.New("plugins are switched off on this server")
	}
	k, m := api.Runner(c.DB.View(), o.Machine)
	if m == nil {
		return "", false, errors.New("its machine is gone")
	}
	on, err := k.Lookup(c.DB.View(), m.Uuid)
	if err != nil {
		return "", false, err
	}
	wish := Call{Object: &on, Command: o.Command, Plugin: o.Plugin, Params: map[string]any{}}
	if !c.Sup.Has(wish) {
		return "", true, errors.New("the plugin does not run (drpcli why plugins " + o.Plugin + ")")
	}
	data, err := c.Sup.Do(ctx, wish)
	return string(data), false, err
}

// settle records one try.
func settle(o *api.PluginCall, now time.Time, answer string, again bool, err error) {
	if err == nil {
		o.State, o.Ended, o.Error, o.Answer = api.CallbackDone, now, "", strings.ToValidUTF8(answer[:min(len(answer), maxKept)], "")
		return
	}
	o.Error = strings.Join(messages(err), "; ")
	if o.NextTry = now.Add(engine.Backoff(o.Tries)); again && o.NextTry.Before(o.Created.Add(patience)) {
		o.State = api.CallbackWanted
		return
	}
	o.State, o.Ended = api.CallbackFailed, now
}

// CallHook removes a call with the end of the job that waited for it.
func CallHook() resource.Hook {
	return resource.OnSave(api.Jobs, func(tx *resource.Tx, old, new *api.Job) error {
		if old == nil || new != nil && !new.Ended() || !api.PluginCalls.Has(tx, old.Uuid) {
			return nil
		}
		return api.PluginCalls.Delete(tx, old.Uuid)
	})
}
