package daemon

import (
	"context"
	"time"

	"drpd/pkg/datadir"
	"drpd/pkg/proof"
)

// MachineToken is the token of a machine's agent.
func (d *Daemon) MachineToken(id string) (string, error) {
	return d.auth.MachineToken(none, id, time.Hour)
}

// ClaimToken is the token of who speaks for a machine now.
func (d *Daemon) ClaimToken(id string) (string, error) {
	c, err := proof.Claims.Get(d.DB.View(), id)
	if err != nil {
		return "", err
	}
	return d.auth.ClaimToken(c, time.Hour)
}

// Activate is what drpd activate does.
func (d *Daemon) Activate(ctx context.Context, a Activation) ([]string, error) {
	return d.activate(ctx, "test", a)
}

// Admin is a call on the socket.
func (d *Daemon) Admin(ctx context.Context, do string, args map[string]string) AdminReply {
	return d.admin(ctx, "test", AdminCall{Do: do, Args: args})
}

// BeginMasterRotation leaves a stopped server's directory as a kill does in the
// middle of a rotation.
func BeginMasterRotation(t interface{ Fatal(...any) }, dir string) {
	d, err := Open(context.Background(), Config{DataDir: dir, Offline: true})
	if err == nil {
		err = d.dir.SaveKeys(datadir.PartMaster, append([]datadir.Key{datadir.NewKey(time.Now())}, d.dir.Master.Keys...))
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// MasterKeys is how many master keys are in use.
func MasterKeys(d *Daemon) int { return len(d.dir.Master.Keys) }

// TokenKeys are the token keys that are valid now.
func TokenKeys(d *Daemon) [][]byte { return d.dir.Token.Valid(time.Now()) }

// UseTokenKeys is what the server does every minute.
func UseTokenKeys(d *Daemon, before [][]byte) { d.useTokenKeys(before) }
