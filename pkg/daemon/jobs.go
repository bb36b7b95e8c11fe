package daemon

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/guard"
	"drpd/pkg/param"
	"drpd/pkg/proof"
	"drpd/pkg/pxe"
	"drpd/pkg/render"
	"drpd/pkg/resource"
	"drpd/pkg/workflow"
)

// nextJob answers POST /jobs.
func (d *Daemon) nextJob(ctx context.Context, by auth.Identity, machine, jobContext string) (*api.Job, int, string, error) {
	var n workflow.Next
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		err := d.speaks(tx, by, machine)
		if err != nil {
			return err
		}
		n, err = d.Flow.NextJob(tx, tx.Now(), machine, jobContext)
		return err
	})
	switch {
	case err != nil:
		return nil, 0, "", err
	case n.Job == nil:
		return nil, http.StatusNoContent, n.Waiting, nil
	}
	if n.Job, err = d.elevate(by, n.Job); err != nil {
		return nil, 0, "", err
	}
	if n.Resumed {
		return n.Job, http.StatusAccepted, "", nil
	}
	return n.Job, http.StatusCreated, "", nil
}

// elevate gives the job of a task with extra claims a token that is good while
// it is current. The token is in this reply and stored nowhere.
func (d *Daemon) elevate(by auth.Identity, j *api.Job) (*api.Job, error) {
	if len(j.ExtraClaims) == 0 || j.Ended() {
		return j, nil
	}
	c := *j
	var err error
	c.Token, err = d.auth.JobToken(by, j, j.ExtraClaims)
	return &c, err
}

// speaks refuses work to the agent of a machine whom another has followed, or
// while the system of a boot is awaited, in whatever context it asks.
func (d *Daemon) speaks(r resource.Reader, by auth.Identity, machine string) error {
	claim, _, _, _ := by.Held()
	m, err := api.Machines.Get(r, machine)
	if err != nil || claim == "" || by.Machine() != machine {
		return nil
	}
	if proof.Awaited(r, m) {
		return resource.Errorf(resource.Conflict, "machines", machine, "%s has yet to boot into %s, as its BMC was told", m.Name, m.BootEnv)
	}
	return by.Present(r)
}

// jobActions renders the templates of a job's task for its agent.
func (d *Daemon) jobActions(ctx context.Context, by auth.Identity, job, base, os string) ([]api.JobAction, error) {
	v := d.DB.View()
	j, err := api.Jobs.Get(v, job)
	if err != nil {
		return nil, err
	}
	_, m := api.Runner(v, j.Machine)
	task, err := api.Tasks.Get(v, j.Task)
	if err != nil || m == nil {
		return nil, resource.Errorf(resource.Invalid, "jobs", job, "task %q or its machine does not exist any more", j.Task)
	}
	if by.Machine() != "" && j.Ended() {
		return nil, resource.Errorf(resource.Conflict, "jobs", job, "the job is %s: there is nothing to do any more", j.State)
	}
	if err := d.speaks(v, by, m.Uuid); err != nil {
		return nil, err
	}
	c := d.context(v, m, hostOf(base))
	c.Token = func(kind, object string, ttl time.Duration) (string, error) {
		return d.renderToken(by, m, kind, object, ttl)
	}
	c.Ctx, c.Job, c.Task, c.OS = ctx, j, task, os
	c.Stage, _ = api.Stages.Get(v, m.Stage)
	c.Env, _ = api.BootEnvs.Get(v, m.BootEnv)
	if o, err := api.WorkOrders.Get(v, j.WorkOrder); err == nil {
		c.Order = o
		c.Blueprint, _ = api.Blueprints.Get(v, o.Blueprint)
	}
	list, err := render.Actions(c, task.Templates)
	if err != nil {
		return nil, err
	}
	return guard.Actions(v, m, list)
}

func hostOf(base string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(base, "https://"), "http://")
	if ap, err := netip.ParseAddrPort(host); err == nil {
		return ap.Addr().String()
	}
	host, _, _ = strings.Cut(host, ":")
	return host
}

// context is what templates for a machine see, with this server at the
// address by which the machine reached it.
func (d *Daemon) context(r resource.Reader, m *api.Machine, addr string) render.Context {
	return render.Context{Reader: r, Machine: m, Vault: d.vault, Cache: d.cache,
		Server: render.Server{ApiURL: d.apiURL(addr), ProvisionerURL: d.fileURL(addr), Address: addr, CAFingerprint: d.tls.fingerprint()},
		Info:   d.infoMap,
		Has:    d.hasFile,
		Token: func(kind, object string, ttl time.Duration) (string, error) {
			return d.renderToken(none, m, kind, object, ttl)
		}}
}

// renderToken makes the tokens that templates ask for.
func (d *Daemon) renderToken(by auth.Identity, m *api.Machine, kind, object string, ttl time.Duration) (string, error) {
	switch {
	case kind == render.TokenMachine && m != nil:
		return d.auth.AgentToken(by, m.Uuid, ttl)
	case kind == render.TokenUnknown:
		return d.auth.UnknownToken(ttl)
	case kind == render.TokenProfile && m != nil:
		return d.auth.ProfileToken(by, m.Uuid, object, ttl)
	}
	return "", resource.Errorf(resource.Refused, "", "", "this server makes no %s tokens", kind)
}

// ticket makes the tokens that boot files ask for: these go over plain HTTP, so
// they are good for whoever uses them first, in time, and proves to be m.
func (d *Daemon) ticket(m *api.Machine, kind, object string, ttl time.Duration) (string, error) {
	lapse := auth.LapseKnown
	if ttl > lapse {
		lapse = auth.LapseInfinite
	}
	switch {
	case kind == render.TokenMachine && m != nil:
		return d.auth.Ticket(m, "", lapse)
	case kind == render.TokenProfile && m != nil:
		return d.auth.Ticket(m, object, lapse)
	}
	return d.renderToken(none, m, kind, object, ttl)
}

// hasFile says whether the static tree has a file.
func (d *Daemon) hasFile(path string) bool {
	if !strings.HasPrefix(path, "files/") && !strings.HasPrefix(path, "isos/") {
		path = pxe.MediaRoot + path
	}
	_, err := d.blobs.Stat(path)
	return err == nil
}

// paramOf finds a parameter of any object through its profiles and defaults.
func paramOf(r resource.Reader, val any, name string) (any, bool) {
	s, ok := scopeOf(val)
	if !ok {
		return nil, false
	}
	v, _, found := param.Get(r, s, name)
	return v, found
}

func scopeOf(val any) (param.Scope, bool) {
	switch o := val.(type) {
	case *api.Machine:
		return param.Scope{Machine: o}, true
	case *api.Stage:
		return param.Scope{Stage: o}, true
	case *api.Blueprint:
		return param.Scope{Blueprint: o}, true
	case *api.WorkOrder:
		return param.Scope{Order: o}, true
	}
	return param.Scope{}, false
}

// params lists an object's parameters: its own, or all that apply to it.
func (d *Daemon) params(r resource.Reader, o resource.Object, aggregate, decode bool) (map[string]any, error) {
	s, scoped := scopeOf(o.Val)
	if aggregate && scoped {
		return d.aggregate(r, s, decode)
	}
	o = api.Stored(o)
	own := *d.DB.Kind(o.Kind).ParamsOf(o.Val)
	if !decode {
		return own, nil
	}
	open := resource.Params{}
	for name, v := range own {
		var err error
		if open[name], err = d.vault.Open(r, o.Kind, o.Key, v); err != nil {
			return nil, err
		}
	}
	return open, nil
}

func (d *Daemon) aggregate(r resource.Reader, s param.Scope, decode bool) (map[string]any, error) {
	out := param.All(r, s)
	if !decode {
		return out, nil
	}
	get := param.Resolver{Reader: r, Scope: s, Vault: d.vault}
	for name := range out {
		v, _, _, err := get.Get(name)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}
