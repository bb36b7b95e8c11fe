package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
)

// qmpCommand is one command of the QEMU machine protocol.
type qmpCommand struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments,omitempty"`
}

type qmpReply struct {
	Return json.RawMessage `json:"return"`
	Event  string          `json:"event"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

func setProperty(path, property string, value any) qmpCommand {
	return qmpCommand{
		Execute:   "qom-set",
		Arguments: map[string]any{"path": path, "property": property, "value": value},
	}
}

// qmp connects to QEMU's socket and runs the commands one after the other. QEMU
// serves one connection at a time, so callers hold the node's lock.
func qmp(ctx context.Context, socket string, commands ...qmpCommand) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("connect to QEMU: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connect to QEMU: %w", err)
		}
	}
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting struct{}
	if err := in.Decode(&greeting); err != nil {
		return fmt.Errorf("read QEMU's greeting: %w", err)
	}
	for _, command := range append([]qmpCommand{{Execute: "qmp_capabilities"}}, commands...) {
		if err := out.Encode(command); err != nil {
			return fmt.Errorf("send %s to QEMU: %w", command.Execute, err)
		}
		if err := readReply(in); err != nil {
			return fmt.Errorf("QEMU command %s: %w", command.Execute, err)
		}
	}
	return nil
}

// readReply skips events, which may come at any time.
func readReply(in *json.Decoder) error {
	for {
		var reply qmpReply
		if err := in.Decode(&reply); err != nil {
			return err
		}
		switch {
		case reply.Error != nil:
			return fmt.Errorf("%s: %s", reply.Error.Class, reply.Error.Desc)
		case reply.Event == "":
			return nil
		}
	}
}
