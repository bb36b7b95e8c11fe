package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"drpd/pkg/sim/lab"
	"drpd/pkg/sim/redfish"
)

func chassisCommand() *cobra.Command {
	var dir, node string
	cmd := &cobra.Command{
		Use:   "chassis --dir DIR --node NAME get power|boot | set power|boot|reset|shutdown VALUE",
		Short: "Read or switch a machine as ipmi_sim's chassis_control program",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := openNode(dir, node)
			if err != nil {
				return err
			}
			return n.Chassis(cmd.Context(), args, cmd.OutOrStdout())
		},
	}
	nodeFlags(cmd, &dir, &node)
	return cmd
}

func redfishCommand() *cobra.Command {
	var dir, node, listen string
	cmd := &cobra.Command{
		Use:   "redfish",
		Short: "Serve the simulated Redfish service of a machine",
		Long: `Serve the simulated Redfish service of a machine over HTTPS until stopped.
The file redfish-fault.json in the machine's directory switches faults on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := openNode(dir, node)
			if err != nil {
				return err
			}
			return serveRedfish(cmd.Context(), n, filepath.Join(dir, "nodes", node), listen)
		},
	}
	nodeFlags(cmd, &dir, &node)
	cmd.Flags().StringVar(&listen, "listen", "", "address and port, such as 192.168.124.201:443")
	must(cmd.MarkFlagRequired("listen"))
	return cmd
}

func serveRedfish(ctx context.Context, n *lab.Node, dir, listen string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	service, err := redfish.New(redfish.Config{
		User: n.BMC.User, Password: n.BMC.Password,
		System:  redfish.System{Name: n.Name, UUID: n.UUID, MAC: n.MAC, UEFI: n.Firmware == lab.UEFI},
		Machine: machine{n},
		Faults:  &redfish.Faults{File: filepath.Join(dir, "redfish-fault.json")},
		Log:     log,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("serve redfish of node %s: %w", n.Name, err)
	}
	log.Info("redfish service listens", "node", n.Name, "address", ln.Addr().String())
	return service.Run(ctx, ln)
}

// machine puts a lab node behind the Redfish service.
type machine struct {
	node *lab.Node
}

func (m machine) On(context.Context) (bool, error) { return m.node.Power() == lab.On, nil }

func (m machine) Press(ctx context.Context, action redfish.Action) error {
	switch action {
	case redfish.PowerOn:
		return m.node.PowerOn(ctx)
	case redfish.PowerOff:
		return m.node.PowerOff(ctx)
	case redfish.PowerReset:
		return m.node.Reset(ctx)
	case redfish.SoftOff:
		return m.node.SoftOff(ctx)
	}
	return fmt.Errorf("power action %q: not simulated", action)
}

func (m machine) Boot(context.Context) (redfish.Boot, error) {
	boot, err := m.node.Boot()
	if err != nil {
		return redfish.Boot{}, err
	}
	out := redfish.Boot{Target: redfish.TargetNone, Enabled: redfish.Continuous}
	switch boot.Device {
	case lab.BootPXE:
		out.Target = redfish.TargetPXE
	case lab.BootDisk:
		out.Target = redfish.TargetDisk
	}
	if boot.Once {
		out.Enabled = redfish.Once
	}
	return out, nil
}

func (m machine) SetBoot(ctx context.Context, boot redfish.Boot) error {
	out := lab.Boot{Once: boot.Enabled == redfish.Once}
	switch boot.Target {
	case redfish.TargetPXE:
		out.Device = lab.BootPXE
	case redfish.TargetDisk:
		out.Device = lab.BootDisk
	}
	return m.node.SetBoot(ctx, out)
}
