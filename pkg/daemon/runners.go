package daemon

import (
	"net"
	"time"

	"drpd/pkg/runner"
)

// runnerToken is the life of a context runner's token. A runner that outlives
// it ends and is started with a new one.
const runnerToken = 24 * time.Hour

func (d *Daemon) runners() *runner.Supervisor {
	return runner.New(runner.Config{DB: d.DB, Keeper: d.cfg.Keeper, Log: d.cfg.Log, Credentials: d.runnerCredentials})
}

func (d *Daemon) runnerCredentials(k runner.Key) (runner.Credentials, error) {
	t, err := d.auth.MachineToken(none, k.ID, runnerToken)
	return runner.Credentials{Endpoint: d.apiURL(d.ownAddr()), CAFingerprint: d.Fingerprint(), Token: t}, err
}

// ownAddr is where this host reaches the API itself.
func (d *Daemon) ownAddr() string {
	host, _, err := net.SplitHostPort(d.cfg.APIAddr)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}
