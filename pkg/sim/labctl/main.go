// Command labctl makes and drives the simulated racks of package lab. It is
// also what the simulated BMCs run: "chassis" is ipmi_sim's chassis_control
// program, "redfish" serves the Redfish side of one machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"drpd/pkg/sim/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "labctl:", err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "labctl",
		Short:         "Make and drive a simulated rack",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(createCommand(), destroyCommand(), addCommand(), listCommand(), execCommand(), chassisCommand(), redfishCommand())
	return cmd
}

// dirFlag adds the flag that every command has.
func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "", "directory of the rack")
	must(cmd.MarkFlagRequired("dir"))
}

// nodeFlags adds the flags of commands about one machine.
func nodeFlags(cmd *cobra.Command, dir, node *string) {
	dirFlag(cmd, dir)
	cmd.Flags().StringVar(node, "node", "", "name of the machine")
	must(cmd.MarkFlagRequired("node"))
}

// must is for errors that only a misspelled flag name in this file can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func openNode(dir, name string) (*lab.Node, error) {
	rack, err := lab.Open(dir)
	if err != nil {
		return nil, err
	}
	return rack.Node(name)
}
