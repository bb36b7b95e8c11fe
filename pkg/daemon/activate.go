package daemon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/datadir"
	"drpd/pkg/pki"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/restored"
)

// Activation is what drpd activate asks for.
type Activation struct {
	DryRun           bool
	OldServerIsDead  bool // stated: its endpoints are not known
	DespiteOldServer bool // though it answers: it is kept from the machines otherwise
	AcceptUnreported bool // machines that have not reported are as in the backup
}

// activateBatch is how many machines are taken over in one update.
const activateBatch = 200

// activate makes a restored server act. Each step bears being repeated, so a
// kill in the middle loses nothing: it is still not active then.
func (d *Daemon) activate(ctx context.Context, by string, a Activation) ([]string, error) {
	d.activating.Lock() // two at once would take over twice
	defer d.activating.Unlock()
	c := d.closed.Load()
	if c == nil {
		if a.AcceptUnreported {
			return d.acceptUnreported(ctx, by, a.DryRun)
		}
		return nil, errors.New("this server is active")
	}
	lines, err := d.oldServer(ctx, c, a)
	if err != nil {
		return nil, err
	}
	if a.DryRun {
		return append(lines, d.plan()...), nil
	}
	d.auth.Audit(ctx, auth.Record{Action: "activate", Actor: by, Note: fmt.Sprintf("old server stated dead: %t, activated despite its answer: %t", a.OldServerIsDead, a.DespiteOldServer)})
	d.takingOver.Store(true)
	defer d.takingOver.Store(false)
	did, err := d.takeOver(ctx)
	if err == nil {
		err = d.DB.Update(ctx, func(tx *resource.Tx) error {
			return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error { s.Restored = nil; return nil })
		})
	}
	if err != nil {
		return nil, fmt.Errorf("not activated, try again: %w", err)
	}
	d.closed.Store(nil)
	close(d.active)
	return append(append(lines, did...), "active"), nil
}

// oldServer makes sure that the server which the backup was taken of is dead.
func (d *Daemon) oldServer(ctx context.Context, c *datadir.Restored, a Activation) ([]string, error) {
	var lines []string
	at := d.oldEndpoints(c)
	for _, e := range at {
		alive, what := d.probe(ctx, e)
		if alive && !a.DespiteOldServer {
			return nil, fmt.Errorf("the old server is alive at %s (%s): stop it first, two servers must not drive the same machines; if it is kept from them otherwise, say --despite-old-server", e, what)
		}
		lines = append(lines, fmt.Sprintf("old server at %s: %s", e, what))
	}
	if len(at) == 0 && !a.OldServerIsDead && !a.DryRun {
		return nil, errors.New("where the old server answered is not known: if it is dead, say so with --old-server-is-dead")
	}
	return lines, nil
}

// oldEndpoints are where the old server answered when it last started, and what
// the preference has said since.
func (d *Daemon) oldEndpoints(c *datadir.Restored) []string {
	out := slices.Clone(c.Endpoints)
	if p, err := api.Preferences.Get(d.DB.View(), PrefEndpoints); err == nil {
		for _, e := range splitList(p.Value) {
			if !slices.Contains(out, e) {
				out = append(out, e)
			}
		}
	}
	return out
}

// probe asks an endpoint whether a server of our authority answers that is not
// this one.
func (d *Daemon) probe(ctx context.Context, endpoint string) (alive bool, what string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	t := &http.Transport{TLSClientConfig: pki.PinnedClient(d.pki.Fingerprint())}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/api/v3/info", nil)
	if err != nil {
		return false, err.Error()
	}
	token, err := d.auth.UnknownToken(time.Minute)
	if err != nil {
		return true, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := t.RoundTrip(req)
	var cert *tls.CertificateVerificationError
	var dial *net.OpError
	switch {
	case errors.Is(err, pki.ErrPin) || errors.As(err, &cert):
		// The old server may have another authority by now, or an operator's certificate.
		return true, "who answers shows another certificate than this server's authority makes: it may be the old server with a newer one"
	case errors.As(err, &dial) && dial.Op == "dial":
		return false, "no answer"
	case err != nil:
		// Something took the connection: a server that hangs still drives machines.
		return true, "something is there and gives no answer"
	}
	defer resp.Body.Close()
	var is rest.Info
	if json.NewDecoder(resp.Body).Decode(&is) == nil && is.Instance == d.instance {
		return false, "that is this server"
	}
	return true, "it answers with this server's certificate authority"
}

// plan says what activation would do.
func (d *Daemon) plan() []string {
	v := d.DB.View()
	var lines []string
	for m := range api.Machines.All(v) {
		a := restored.Of(v, m.Uuid)
		switch {
		case a == nil:
			lines = append(lines, fmt.Sprintf("machine %s: has %s in the backup, was not heard of: its agent waits until it says what it is", m.Name, m.BootEnv))
		case a.Differs() != "":
			lines = append(lines, fmt.Sprintf("machine %s: %s: it is adopted as what it runs", m.Name, a.Differs()))
		}
		if m.PoolStatus == api.Free {
			lines = append(lines, fmt.Sprintf("machine %s: Free in the backup: it is held until it is proven blank again", m.Name))
		}
		if !m.WorkflowComplete && len(m.Tasks) > 0 && !m.WorkOrderMode {
			lines = append(lines, fmt.Sprintf("machine %s: workflow %s is not complete: it is set aside", m.Name, m.Workflow))
		}
	}
	for _, a := range restored.All(v) {
		if a.Name == "" {
			lines = append(lines, fmt.Sprintf("machine %s: %s", a.Machine, a.Differs()))
		}
	}
	return append(lines, "nothing was done")
}

// takeOver goes through all objects, some at a time.
func (d *Daemon) takeOver(ctx context.Context) ([]string, error) {
	var lines []string
	var ids []string
	if err := d.DB.Update(ctx, restored.Forget); err != nil {
		return nil, err
	}
	for m := range api.Machines.All(d.DB.View()) {
		ids = append(ids, m.Uuid)
	}
	for batch := range slices.Chunk(ids, activateBatch) {
		err := d.DB.Update(ctx, func(tx *resource.Tx) error {
			for _, id := range batch {
				if err := restored.Machine(tx, id, d.cfg.HoldFree); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		for _, k := range api.MachineLike() {
			if k == api.Machines {
				continue
			}
			for m := range k.All(tx) {
				did, err := restored.Group(tx, k, m.Uuid)
				if err != nil {
					return err
				}
				lines = append(lines, did...)
			}
		}
		did, err := restored.Rest(tx)
		lines = append(lines, did...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range lines {
		lines[i] = "set aside: " + lines[i]
	}
	for _, a := range restored.All(d.DB.View()) {
		for _, what := range a.Aside {
			lines = append(lines, fmt.Sprintf("set aside: machine %s: %s", a.Name, what))
		}
		if a.Held != "" {
			lines = append(lines, fmt.Sprintf("held: machine %s: %s", a.Name, a.Held))
		}
		if why := a.Differs(); why != "" {
			lines = append(lines, fmt.Sprintf("differs: machine %s: %s", a.Name, why))
		}
	}
	return lines, nil
}

// acceptUnreported takes machines that have not said what they are for what the
// backup says, on an operator's word.
func (d *Daemon) acceptUnreported(ctx context.Context, by string, dry bool) ([]string, error) {
	var lines []string
	if dry {
		for a := range restored.Adoptions.All(d.DB.View()) {
			if a.Pending {
				lines = append(lines, fmt.Sprintf("machine %s: would be taken for %s, as in the backup", a.Name, a.Said))
			}
		}
		return append(lines, "nothing was done"), nil
	}
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		lines = nil
		for a := range restored.Adoptions.All(tx) {
			if !a.Pending {
				continue
			}
			lines = append(lines, fmt.Sprintf("machine %s: taken for %s, as in the backup", a.Name, a.Said))
			if err := restored.Adoptions.Modify(tx, a.Machine, func(a *restored.Adoption) error { a.Pending = false; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	d.auth.Audit(ctx, auth.Record{Action: "activate", Actor: by, Note: fmt.Sprintf("%d machines accepted as in the backup", len(lines))})
	return lines, err
}

// noteSelf notes where this server answers: a backup says it to whoever must
// make sure that it is dead.
func (d *Daemon) noteSelf(ctx context.Context) error {
	if d.closed.Load() != nil {
		return nil
	}
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		s, err := datadir.Servers.Get(tx, datadir.Self)
		at := d.endpoints(tx)
		if err != nil || slices.Equal(s.Endpoints, at) {
			return nil
		}
		return datadir.Servers.Modify(tx, datadir.Self, func(s *datadir.Server) error { s.Endpoints = at; return nil })
	})
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Warn("where this server answers is not noted for backups", "err", err)
	}
	return nil
}

// PrefEndpoints names further addresses of the API, separated by spaces or
// commas: agents are told all of them.
const PrefEndpoints = "apiEndpoints"

// endpoints are where the API answers: what the preference says, then the
// addresses of this host.
func (d *Daemon) endpoints(r resource.Reader) []string {
	var out []string
	if p, err := api.Preferences.Get(r, PrefEndpoints); err == nil {
		out = splitList(p.Value)
	}
	for _, a := range append(slices.Clone(d.cfg.Addresses), hostAddrs()...) {
		if u := d.apiURL(a.String()); !a.IsLoopback() && !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}
