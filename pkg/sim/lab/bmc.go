package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

const ipmiProgram = "ipmi_sim"

// BMCProcess is the name under which the node's BMC is registered, for
// KillProcess: SIGSTOP makes it silent, SIGKILL unreachable.
func (n *Node) BMCProcess() string { return "bmc-" + n.Name }

// StartBMC starts the node's BMC if it does not run, and returns when it
// listens. AddNode has done it already; this is for after a KillProcess.
func (n *Node) StartBMC(ctx context.Context) error {
	if n.BMC.Kind == NoBMC {
		return nil
	}
	if _, running := n.rack.running(n.BMCProcess()); running {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	cmd, protocol, port, err := n.bmcCommand(ctx)
	if err != nil {
		return fmt.Errorf("start BMC of node %s: %w", n.Name, err)
	}
	if err := n.rack.addAddress(ctx, n.BMC.Address); err != nil {
		return fmt.Errorf("start BMC of node %s: %w", n.Name, err)
	}
	if err := n.rack.StartProcess(n.BMCProcess(), cmd, n.path("bmc.log")); err != nil {
		return fmt.Errorf("start BMC of node %s: %w", n.Name, err)
	}
	if err := n.waitListening(ctx, protocol, port); err != nil {
		return fmt.Errorf("start BMC of node %s: %w; see %s", n.Name, err, n.path("bmc.log"))
	}
	return nil
}

func (n *Node) bmcCommand(ctx context.Context) (cmd *exec.Cmd, protocol string, port uint16, err error) {
	if n.rack.Labctl == "" {
		return nil, "", 0, fmt.Errorf("a BMC needs the labctl program; set its path when creating the rack")
	}
	if n.BMC.Kind == Redfish {
		listen := n.BMC.Address + ":443"
		return n.rack.Command(ctx, n.rack.Labctl, "redfish", "--dir", n.rack.Dir, "--node", n.Name, "--listen", listen), "tcp", 443, nil
	}
	if _, err := exec.LookPath(ipmiProgram); err != nil {
		return nil, "", 0, fmt.Errorf("a simulated IPMI BMC needs Debian's package openipmi: %w", err)
	}
	state := n.path("ipmi")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, "", 0, err
	}
	for name, text := range map[string]string{"lan.conf": n.ipmiConfig(), "sim.emu": ipmiCommands} {
		// The configuration holds the password.
		if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
			return nil, "", 0, err
		}
	}
	return n.rack.Command(ctx, ipmiProgram, "-c", n.path("lan.conf"), "-f", n.path("sim.emu"), "-s", state, "-n"), "udp", 623, nil
}

// ipmiConfig is ipmi_lan(5). Its newest cipher suite that works is 3.
func (n *Node) ipmiConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "name %q\nset_working_mc 0x20\nstartlan 1\n", n.Name)
	fmt.Fprintf(&b, "  addr %s 623\n  priv_limit admin\n", n.BMC.Address)
	for _, level := range []string{"callback", "user", "operator", "admin"} {
		fmt.Fprintf(&b, "  allowed_auths_%s none md2 md5 straight\n", level)
	}
	fmt.Fprintf(&b, "  guid %s\nendlan\n", strings.ReplaceAll(n.UUID, "-", ""))
	fmt.Fprintf(&b, "chassis_control \"%s chassis --dir %s --node %s --\"\n", n.rack.Labctl, n.rack.Dir, n.Name)
	fmt.Fprintf(&b, "sol \"telnet:127.0.0.1:%d\" 115200\n", n.solPort())
	fmt.Fprintf(&b, "user 2 true %q %q admin 10 none md2 md5 straight\n", n.BMC.User, n.BMC.Password)
	return b.String()
}

// ipmiCommands make one management controller with a system event log.
const ipmiCommands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`

// waitListening looks into the socket table of the process's own namespace.
func (n *Node) waitListening(ctx context.Context, protocol string, port uint16) error {
	addr, err := netip.ParseAddr(n.BMC.Address)
	if err != nil {
		return err
	}
	want := " " + socketTableAddress(addr, port) + " "
	return poll(ctx, func() (bool, error) {
		p, running := n.rack.running(n.BMCProcess())
		if !running {
			return false, fmt.Errorf("the process ended")
		}
		table, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/net/" + protocol)
		return err == nil && strings.Contains(string(table), want), nil
	})
}

// socketTableAddress writes an address as /proc/net/tcp does: the four bytes as
// a number in the host's order.
func socketTableAddress(addr netip.Addr, port uint16) string {
	b := addr.As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(b[:]), port)
}
