package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/datadir"
	"drpd/pkg/pxe"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/restored"
	"drpd/pkg/store"
)

// gate stands before the store of a server that was restored: whoever writes,
// by whatever way, is refused until it is activated. It is the last guard; the
// routes refuse before, with the same words.
type gate struct {
	store.Store
	closed *atomic.Pointer[datadir.Restored]
	open   *atomic.Bool // while the server takes over
}

// Commit implements store.Store.
func (g gate) Commit(ctx context.Context, ops []store.Op) (store.Rev, error) {
	if r := g.closed.Load(); r != nil && !g.open.Load() {
		for _, op := range ops {
			if op.Kind != restored.Adoptions.Name { // what machines report
				return 0, notActive(r)
			}
		}
	}
	return g.Store.Commit(ctx, ops)
}

// NotActiveType is the type of the error replies of a server that was restored
// and does not act yet.
const NotActiveType = "Restored"

// notActive refuses what a restored server does not do, and says the cure.
func notActive(r *datadir.Restored) error {
	return rest.ErrorReply{Type: NotActiveType, Code: http.StatusServiceUnavailable, Messages: []string{notActiveText(r)}}
}

func notActiveText(r *datadir.Restored) string {
	from := "from a backup of " + r.Taken.UTC().Format("2006-01-02 15:04:05 UTC")
	if r.Why != "" {
		from = "(" + r.Why + ")"
	}
	return "this server was restored " + from + " and is not active: it answers reads only, and does nothing to power, disks or boot order; when the old server is dead, run on the server: drpd activate"
}

// closedTo says what is refused to a caller: on a restored server every write,
// and everything to the agents of machines but to say what they are; on one that
// has taken over, everything to the agents of machines that have not said so
// yet, which may stand where the server does not think them.
func (d *Daemon) closedTo(id auth.Identity, method, path string) error {
	r := d.closed.Load()
	reports := strings.HasSuffix(path, "/api/v3/whoami") || strings.HasSuffix(path, "/api/v3/info")
	reads := method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
	switch m := id.Machine(); {
	case reports:
		return nil
	case r != nil && (m != "" || !reads):
		return notActive(r)
	case r == nil && m != "" && restored.Adoptions.Len(d.DB.View()) > 0 && restored.Pending(d.DB.View(), m):
		return rest.ErrorReply{Type: NotActiveType, Code: http.StatusServiceUnavailable, Model: "machines", Key: m,
			Messages: []string{"this server was restored from a backup: the machine's agent has yet to say what runs on it (POST whoami), or an operator that it is as in the backup (on the server: drpd activate --accept-unreported)"}}
	}
	return nil
}

// report takes what an agent says of its machine while the server is not
// active; it is told to wait.
func (d *Daemon) report(ctx context.Context, by auth.Identity, req rest.WhoAmIRequest) error {
	r := d.closed.Load()
	if r == nil {
		return nil
	}
	err := d.DB.Update(ctx, func(tx *resource.Tx) error {
		key := ""
		if len(req.MacAddrs) > 0 {
			key, _ = api.MAC(req.MacAddrs[0])
		}
		m := recognize(tx, by, req)
		if m == nil && key == "" || m != nil && !by.SpeaksFor(m.Uuid) {
			return nil // what anybody can say of a machine is no report of it
		}
		return restored.Note(tx, m, key, restored.Report{Env: req.Env, Address: resource.OriginOf(ctx).Address, At: tx.Now()})
	})
	if err != nil {
		return err
	}
	return notActive(r)
}

// takeReport ends the wait for a machine after the server has taken over. held
// says that it is at home nowhere: it stays as it is until it is let go.
func takeReport(ctx context.Context, tx *resource.Tx, m *api.Machine, env string) (held bool, err error) {
	if restored.Adoptions.Len(tx) == 0 {
		return false, nil
	}
	_, err = restored.Reported(tx, m, restored.Report{Env: env, Address: resource.OriginOf(ctx).Address, At: tx.Now()})
	return restored.Held(tx, m), err
}

// whenActive runs fn once the server may act.
func (d *Daemon) whenActive(ctx context.Context, fn func() error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.active:
		return fn()
	}
}

// bootGate answers boot requests of a restored server: scripts say to boot from
// the disk, all else is not to be had.
func (d *Daemon) bootGate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := d.closed.Load()
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		text := pxe.LocalScript(r.URL.Path, notActiveText(c))
		if text == "" {
			http.Error(w, notActiveText(c), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, text)
	})
}

// restoredRoute is GET /restored: what became of each machine.
func (d *Daemon) restoredRoute(_ context.Context, r rest.Request) (int, any, error) {
	if err := r.Allow("info", "get", ""); err != nil {
		return 0, nil, err
	}
	v := d.DB.View()
	out := restored.Reply{Active: d.closed.Load() == nil, Machines: []restored.Entry{}}
	if c := d.closed.Load(); c != nil {
		out.Restored, out.Says = c, notActiveText(c)
	}
	for _, a := range restored.All(v) {
		if r.Allow("machines", "get", a.Machine) == nil {
			out.Machines = append(out.Machines, restored.Entry{Adoption: *a, Differs: a.Differs()})
		}
	}
	return http.StatusOK, out, nil
}
