//go:build linux

package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

// DefaultConfig is where the agent of an installed system has its configuration.
const DefaultConfig = "/etc/drp-agent/config.json"

// Command is "agent" with its subcommands.
func Command() *cobra.Command {
	c := &cobra.Command{Use: "agent", Short: "Run tasks on this machine"}
	c.AddCommand(runCommand(), whoamiCommand(), joinCommand())
	return c
}

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "run", Short: "Run the agent until it is stopped", Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := ReadConfig(path)
			if err != nil {
				return err
			}
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return Run(ctx, cfg)
		},
	}
	c.Flags().StringVar(&path, "config", DefaultConfig, "configuration file")
	return c
}

func whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Print what the agent would tell the server about this machine", Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			who, err := WhoAmI()
			if err != nil {
				return err
			}
			out, err := json.MarshalIndent(who, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(out))
			return err
		},
	}
}

// WhoAmI is what the agent would tell the server about this machine.
func WhoAmI() (client.WhoAmIRequest, error) {
	inv, err := thisMachine().Facts.Collect()
	if err != nil {
		return client.WhoAmIRequest{}, err
	}
	return client.WhoAmIRequest{MacAddrs: hardwareAddrs(inv), Fingerprint: fingerprint(inv.System)}, nil
}
