package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/bmc"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
)

// bmcCommands are the actions on machines that go to their BMC.
var bmcCommands = []api.BMCWant{api.BMCOn, api.BMCOff, api.BMCCycle, api.BMCBootPXE, api.BMCBootDisk, api.BMCStatus}

// action is POST /machines/<id>/actions/<cmd>: the effect is stored as an
// object, which the reply names, and carried out from there.
func (d *Daemon) action(ctx context.Context, o resource.Object, cmd string, _ map[string]any) (any, error) {
	m, ok := o.Val.(*api.Machine)
	if !ok || o.Kind != api.Machines.Name || !slices.Contains(bmcCommands, api.BMCWant(cmd)) {
		return nil, resource.Errorf(resource.NotFound, o.Kind, o.Key, "no action %q; machines have %v", cmd, bmcCommands)
	}
	if !bmc.Has(d.DB.View(), m) {
		return nil, resource.Errorf(resource.Refused, o.Kind, o.Key, "%s has no BMC: set params %s, %s and %s", m.Name, bmc.ParamAddress, bmc.ParamUser, bmc.ParamPassword)
	}
	var id string
	err := d.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		id, err = bmc.Order(tx, tx.Now(), m.Uuid, api.BMCWant(cmd), "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.BMCActions.Get(d.DB.View(), id)
}

// bootAgain is POST /machines/<id>/boot: after repair, boots are tried anew.
func (d *Daemon) bootAgain(ctx context.Context, o resource.Object, _ []byte, _ url.Values) (int, any, error) {
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, o.Key, func(m *api.Machine) error {
			if m.Boot == nil || m.Boot.Home {
				return resource.Errorf(resource.Refused, "machines", o.Key, "%s does not wait for a boot", m.Name)
			}
			m.Boot.Intent, m.Boot.Since = uuid.NewString(), tx.Now()
			m.Boot.Tries, m.Boot.Error, m.Boot.Served = 0, "", false
			return nil
		})
	})
	if err != nil {
		return 0, nil, err
	}
	m, err := api.Machines.Get(d.DB.View(), o.Key)
	return http.StatusOK, m, err
}

// why explains one object from what is stored.
func (d *Daemon) why(_ context.Context, o resource.Object) (rest.WhyReply, error) {
	v := d.DB.View()
	r := rest.WhyReply{Object: o.Kind + "/" + o.Key}
	for w := range engine.Waits.By(v, engine.ByObject, r.Object) {
		r.Waits = append(r.Waits, w)
		r.Says = append(r.Says, sentence(w))
	}
	m, ok := o.Val.(*api.Machine)
	if !ok {
		return r, nil
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
		for w := range engine.Waits.By(v, engine.ByObject, "work_orders/"+o.Uuid) {
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

// info is GET /info, with DRP's names.
func (d *Daemon) info(context.Context) (map[string]any, error) {
	v := d.DB.View()
	return map[string]any{
		"version": d.cfg.Version, "arch": runtime.GOARCH, "os": runtime.GOOS, "api_port": json.Number(d.apiPort), "file_port": json.Number(d.filePort),
		"tftp_enabled": d.cfg.TFTPAddr != "off", "dhcp_enabled": d.servesDHCP(), "prov_enabled": true,
		"ca_fingerprint": d.tls.fingerprint, "started": d.started.UTC(), "ha_enabled": false, "ha_is_active": true,
		"features": []string{"api-v3", "sane-exit-codes", "job-exit-states", "fsm-runner", "workflows", "default-workflow", "actions-in-task-list"},
		"stats":    []map[string]any{{"name": "machines.count", "count": api.Machines.Len(v)}, {"name": "subnets.count", "count": api.Subnets.Len(v)}},
	}, nil
}

// APIURL is the API's URL at an address of this host, once Run is ready.
func (d *Daemon) APIURL(addr string) string { return d.apiURL(addr) }

// BootToken is the token of a boot script for unknown hardware: good for
// whoami and nothing else.
func (d *Daemon) BootToken(ttl time.Duration) (string, error) { return d.auth.BootToken(ttl) }
