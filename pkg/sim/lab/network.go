package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Check says what this host lacks for a rack: nil, or an error naming every
// missing piece. Tests skip on it.
func Check() error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, tool := range []string{"ip", "nsenter", "sysctl", qemuProgram} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = append(missing, "/dev/net/tun")
	}
	if len(missing) > 0 {
		return fmt.Errorf("a lab rack needs %s", strings.Join(missing, ", "))
	}
	return nil
}

// setUpNetwork makes the namespace and leaves nothing behind if a step fails.
func (r *Rack) setUpNetwork(ctx context.Context) error {
	if err := run(exec.CommandContext(ctx, "ip", "netns", "add", r.Namespace)); err != nil {
		return err
	}
	for _, step := range r.networkSteps() {
		if err := run(r.Command(ctx, step[0], step[1:]...)); err != nil {
			return errors.Join(err, r.deleteNamespace(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// networkSteps are the commands to run inside a new namespace. Devices made
// later have no IPv6 of their own, and the bridge neither autoconfigures nor
// snoops, so that what is on the wire comes from the machines and the servers
// under test.
func (r *Rack) networkSteps() [][]string {
	return [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"},
		{"ip", "link", "add", r.Bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"},
		{
			"sysctl", "-qw",
			"net.ipv6.conf." + r.Bridge + ".accept_ra=0",
			"net.ipv6.conf." + r.Bridge + ".autoconf=0",
			"net.ipv6.conf." + r.Bridge + ".accept_dad=0",
			"net.ipv6.conf." + r.Bridge + ".router_solicitations=0",
			"net.ipv6.conf." + r.Bridge + ".disable_ipv6=0",
		},
		{"ip", "addr", "add", r.CIDR, "dev", r.Bridge},
		{"ip", "addr", "add", r.CIDR6, "dev", r.Bridge, "nodad"},
		{"ip", "link", "set", r.Bridge, "up"},
	}
}

// addTap makes the machine's network port and plugs it into the bridge.
func (r *Rack) addTap(ctx context.Context, tap string) error {
	if err := run(r.Command(ctx, "ip", "tuntap", "add", tap, "mode", "tap")); err != nil {
		return err
	}
	return run(r.Command(ctx, "ip", "link", "set", tap, "master", r.Bridge, "up"))
}

// addAddress gives the bridge a further address, on which a BMC listens.
func (r *Rack) addAddress(ctx context.Context, addr string) error {
	return run(r.Command(ctx, "ip", "addr", "replace", addr+"/32", "dev", r.Bridge))
}

// deleteNamespace takes the taps and the bridge with it.
func (r *Rack) deleteNamespace(ctx context.Context) error {
	if _, err := os.Stat("/run/netns/" + r.Namespace); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return run(exec.CommandContext(ctx, "ip", "netns", "del", r.Namespace))
}

// strangers lists the pids left in the namespace, or "".
func (r *Rack) strangers(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "ip", "netns", "pids", r.Namespace).Output()
	if err != nil {
		return "" // no such namespace: nobody is in it
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// run runs a command to its end and puts its output into the error.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
