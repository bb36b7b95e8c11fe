package daemon

import (
	"context"
	"time"
)

// MachineToken is the token of a machine's agent.
func (d *Daemon) MachineToken(id string) (string, error) {
	return d.auth.MachineToken(none, id, time.Hour)
}

// Activate is what drpd activate does.
func (d *Daemon) Activate(ctx context.Context, a Activation) ([]string, error) {
	return d.activate(ctx, "test", a)
}

// Admin is a call on the socket.
func (d *Daemon) Admin(ctx context.Context, do string, args map[string]string) AdminReply {
	return d.admin(ctx, "test", AdminCall{Do: do, Args: args})
}
