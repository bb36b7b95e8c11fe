package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/api"
	"drpd/pkg/rest"
)

// features are what clients and content of DRP may rely on here. Each is true.
var features = []string{
	"api-v3", "sane-exit-codes", "job-exit-states", "profileless-machine", "fsm-runner", "workflows", "default-workflow",
	"http-range-header", "roles", "secure-params", "separate-meta-api", "slim-objects", "secure-param-upgrade", "sprig",
	"actions-in-task-list", "bundle-objects", "task-prerequisites", "content-prerequisite-version-checking",
	"stage-paramer", "partial-objects", "regex-string-filters", "overridable-bootloaders", "elevated-tasks", "log-has-head-method",
	"tenants", "change-stage-map", "selective-job-purge",
}

// info is GET /info. base is how the caller reached us.
func (d *Daemon) info(_ context.Context, base string) (rest.Info, error) {
	v := d.DB.View()
	mac, says, errs := firstMAC(), "", []string{}
	if r := d.closed.Load(); r != nil {
		says = notActiveText(r)
		errs = append(errs, says)
	}
	id := cmp.Or(d.cfg.ID, mac)
	node := rest.NodeHA{ConsensusID: d.serverID().String(), ApiUrl: base}
	all := rest.GlobalHA{HaID: id, ServerHostname: hostName(base), ActiveUri: base, Valid: true, Roots: []any{}}
	return rest.Info{
		Arch: runtime.GOARCH, OS: runtime.GOOS, Version: d.cfg.Version, ID: id, LocalID: mac, HAID: id,
		APIPort: number(d.apiPort), FilePort: number(d.filePort), TFTPPort: portOf(d.cfg.TFTPAddr),
		DHCPPort: cmp.Or(d.cfg.DHCPPort, 67), BINLPort: max(cmp.Or(d.cfg.BINLPort, 4011), 0),
		TFTPEnabled: d.cfg.TFTPAddr != "off", DHCPEnabled: d.servesDHCP(),
		BINLEnabled: d.servesDHCP() && d.cfg.BINLPort >= 0, ProvEnabled: true,
		SecureFilePort: portOf(d.cfg.SecureAddr), SecureProvEnabled: d.cfg.SecureAddr != "",
		Address: d.address(), Stats: []rest.Stat{
			{Name: "machines.count", Count: api.Machines.Len(v)},
			{Name: "subnets.count", Count: api.Subnets.Len(v)},
			{Name: "contexts.count", Count: api.Contexts.Len(v)},
		},
		Features: features, Scopes: rest.Scopes(d.DB.Kinds()), License: rest.License{Licenses: []any{}}, Errors: errs,
		HAIsActive: true, HAStatus: "Up", HAActiveID: id, HAPassiveState: []any{},
		ClusterState:  rest.ClusterState{GlobalHA: all, Nodes: []rest.NodeInfo{{NodeHA: node}}},
		CAFingerprint: d.tls.fingerprint(), Started: d.started.UTC().Format(time.RFC3339),
		APIEndpoints: d.endpoints(v), Instance: d.instance, ServerID: d.dir.Server(), Restored: says,
	}, nil
}

// infoMap is info as templates see it.
func (d *Daemon) infoMap() (map[string]any, error) {
	i, err := d.info(context.Background(), d.apiURL(d.address()))
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(data, &out)
}

// serverID is the same for the life of the data directory.
func (d *Daemon) serverID() uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(d.pki.Fingerprint()))
}

// address is the one that machines most likely reach.
func (d *Daemon) address() string {
	for _, a := range append(d.cfg.Addresses, hostAddrs()...) {
		if !a.IsLoopback() {
			return a.String()
		}
	}
	return "127.0.0.1"
}

// firstMAC is the lowest MAC address of this host, by which DRP names a server.
func firstMAC() string {
	list, err := net.Interfaces()
	if err != nil {
		return ""
	}
	var low net.HardwareAddr
	for _, i := range list {
		if i.Flags&net.FlagLoopback == 0 && len(i.HardwareAddr) > 0 && (low == nil || bytes.Compare(i.HardwareAddr, low) < 0) {
			low = i.HardwareAddr
		}
	}
	return low.String()
}

func hostName(base string) string {
	u, err := url.Parse(base)
	if err != nil || net.ParseIP(u.Hostname()) != nil {
		return ""
	}
	return u.Hostname()
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

func portOf(addr string) int {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	return number(p)
}
