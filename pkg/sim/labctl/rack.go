package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"drpd/pkg/sim/lab"
)

func createCommand() *cobra.Command {
	var cfg lab.Config
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a rack: a network namespace with a bridge",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if cfg.Labctl, err = os.Executable(); err != nil {
				return fmt.Errorf("find labctl: %w", err)
			}
			rack, err := lab.Create(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "namespace %s, bridge %s with %s\n", rack.Namespace, rack.Bridge, rack.CIDR)
			return nil
		},
	}
	dirFlag(cmd, &cfg.Dir)
	cmd.Flags().StringVar(&cfg.Namespace, "namespace", "", "network namespace (default: a random name)")
	cmd.Flags().StringVar(&cfg.Bridge, "bridge", "", "bridge (default br0)")
	cmd.Flags().StringVar(&cfg.CIDR, "cidr", "", "address of the bridge (default 192.168.124.1/24)")
	return cmd
}

func destroyCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "End all machines and processes of a rack and remove its namespace; logs and disks stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rack, err := lab.Open(dir)
			if err != nil {
				return err
			}
			return rack.Destroy(cmd.Context())
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func addCommand() *cobra.Command {
	var dir string
	var cfg lab.NodeConfig
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a machine, powered off, and start its BMC",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rack, err := lab.Open(dir)
			if err != nil {
				return err
			}
			_, err = rack.AddNode(cmd.Context(), cfg)
			return err
		},
	}
	nodeFlags(cmd, &dir, &cfg.Name)
	f := cmd.Flags()
	f.StringVar(&cfg.MAC, "mac", "", "hardware address")
	f.StringVar(&cfg.UUID, "uuid", "", "system UUID")
	f.StringVar(&cfg.Firmware, "firmware", lab.BIOS, "bios or uefi")
	f.BoolVar(&cfg.HTTPBoot, "http-boot", false, "UEFI HTTP boot in place of PXE")
	f.BoolVar(&cfg.NetFirst, "net-first", false, "network before disk whenever no override says otherwise")
	f.StringVar(&cfg.Disk, "disk", lab.Virtio, "virtio, nvme or ahci")
	f.StringVar(&cfg.DiskSerial, "disk-serial", "", "serial number of the disk (default: the name)")
	f.Int64Var(&cfg.DiskSize, "disk-size", 2<<30, "size of the disk in bytes")
	f.IntVar(&cfg.MemoryMiB, "memory", 512, "memory in MiB")
	f.StringVar(&cfg.BMC.Kind, "bmc", lab.NoBMC, "ipmi, redfish or none")
	f.StringVar(&cfg.BMC.Address, "bmc-address", "", "address of the BMC on the bridge")
	f.StringVar(&cfg.BMC.User, "bmc-user", "", "user of the BMC")
	f.StringVar(&cfg.BMC.Password, "bmc-password", "", "password of the BMC")
	return cmd
}

func listCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the machines and their power",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rack, err := lab.Open(dir)
			if err != nil {
				return err
			}
			nodes, err := rack.Nodes()
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "NAME\tPOWER\tFIRMWARE\tMAC\tBMC\tADDRESS")
			for _, n := range nodes {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Power(), n.Firmware, n.MAC, n.BMC.Kind, n.BMC.Address)
			}
			return table.Flush()
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

func execCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "exec --dir DIR -- COMMAND...",
		Short: "Run a command inside the rack's namespace",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rack, err := lab.Open(dir)
			if err != nil {
				return err
			}
			inner := rack.Command(cmd.Context(), args[0], args[1:]...)
			inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
			return inner.Run()
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}
