package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/guard"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// bootAgain is POST /machines/<id>/boot: after repair, boots are tried anew.
func (d *Daemon) bootAgain(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, o.Key, func(m *api.Machine) error {
			claim, err := proof.Claims.Get(tx, o.Key)
			if m.Boot == nil || m.Boot.Home && (err != nil || claim.Rival == nil) {
				return resource.Errorf(resource.Refused, "machines", o.Key, "%s does not wait for a boot", m.Name)
			}
			if err := guard.Entry(tx, m, "bootenv:"+m.BootEnv); err != nil {
				return err
			}
			m.Boot.Intent, m.Boot.Since = uuid.NewString(), tx.Now()
			m.Boot.Tries, m.Boot.Error, m.Boot.Served, m.Boot.Home = 0, "", false, false
			return nil
		})
	})
	if err != nil {
		return 0, nil, err
	}
	m, err := api.Machines.Get(d.DB.View(), o.Key)
	return http.StatusOK, m, err
}

// why explains one object from what is stored, and what an agent does just now.
func (d *Daemon) why(_ context.Context, o resource.Object) (rest.WhyReply, error) {
	v := d.DB.View()
	r := rest.WhyReply{Object: o.Kind + "/" + o.Key}
	for _, w := range d.Engine.Reasons(o.Kind, o.Key) {
		r.Waits = append(r.Waits, w)
		r.Says = append(r.Says, sentence(w))
	}
	m, ok := o.Val.(*api.Machine)
	if !ok {
		return r, nil
	}
	r.Says = append(r.Says, proof.Says(v, m)...)
	if env, err := api.BootEnvs.Get(v, m.BootEnv); err == nil && env.OneShot() && m.Boot != nil && !m.Boot.Home && !m.Boot.Served {
		if err := guard.Destroy(v, m, guard.Install); err != nil {
			r.Says = append(r.Says, "boots its disk, not "+env.Name+": "+err.Error())
		}
	}
	if j, err := api.Jobs.Get(v, m.CurrentJob); err == nil {
		r.LastJob = j
	}
	for _, mac := range m.HardwareAddrs {
		if rec, err := api.BootRecords.Get(v, mac); err == nil {
			r.BootSteps = append(r.BootSteps, rec.Steps...)
		}
	}
	for a := range api.BMCActions.By(v, "Machine", m.Uuid) {
		r.Actions = append(r.Actions, a)
	}
	slices.SortFunc(r.Actions, func(a, b *api.BMCAction) int { return a.Created.Compare(b.Created) })
	for o := range api.WorkOrders.By(v, "Active", m.Uuid) {
		for _, w := range d.Engine.Reasons(api.WorkOrders.Name, o.Uuid) {
			r.Waits = append(r.Waits, w)
			r.Says = append(r.Says, fmt.Sprintf("work order %s: %s", o.Blueprint, sentence(w)))
		}
	}
	if len(r.Says) == 0 {
		r.Says = []string{"it waits for nothing"}
	}
	return r, nil
}

func sentence(w *engine.Wait) string {
	text := fmt.Sprintf("%s, since %s", w.Waiting, w.Since.UTC().Format(time.RFC3339))
	if !w.Until.IsZero() {
		text += ", looked at again at " + w.Until.UTC().Format(time.RFC3339)
	}
	if w.LastError != "" {
		text += fmt.Sprintf("; last error (try %d): %s", w.Tries, w.LastError)
	}
	return text
}

// APIURL is the API's URL at an address of this host, once Run is ready.
func (d *Daemon) APIURL(addr string) string { return d.apiURL(addr) }

// BootToken is the token of a boot script for unknown hardware: good for
// whoami and nothing else.
func (d *Daemon) BootToken(ttl time.Duration) (string, error) { return d.auth.BootToken(ttl) }
