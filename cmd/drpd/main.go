// Command drpd is the provisioning server: DHCP, TFTP, HTTP boot, BMCs, the
// API, and the engine that runs workflows.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/agent"
	"drpd/pkg/daemon"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run is main for args, of which the first is the name that we were called by.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(endWithin, func() { giveUp(stderr) }) })()
	c := command(args, stdout, stderr)
	c.SetArgs(args[1:])
	c.SetOut(stdout)
	c.SetErr(stderr)
	err := c.ExecuteContext(ctx)
	if s, ok := errors.AsType[exitStatus](err); ok {
		return int(s)
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

// endWithin is how long the end may take from the signal on. Requests have five
// seconds of it; what takes longer is cut off like by a crash, which loses nothing.
const endWithin = 10 * time.Second

func giveUp(stderr io.Writer) {
	fmt.Fprintf(stderr, "error: something did not end within %v; ended all the same\n", endWithin)
	os.Exit(1)
}

func command(args []string, stdout, stderr io.Writer) *cobra.Command {
	name := filepath.Base(args[0])
	o := options{cfg: daemon.Config{Version: version, Contexts: true, Plugins: true}}
	c := &cobra.Command{
		Use: name, Short: "Provision bare-metal machines and clusters", Args: cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true, Version: version,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config(stderr)
			if err != nil {
				return err
			}
			return o.serve(cmd.Context(), cfg, args, stdout)
		},
	}
	c.AddCommand(agent.ContextCommand(), stageCommand())
	c.AddCommand(localCommands(name)...)
	o.addOurs(c.Flags())
	o.addDRP(c.Flags())
	if name == dropIn {
		o.asDRP()
	}
	return c
}

func serve(ctx context.Context, cfg daemon.Config, stdout io.Writer) error {
	d, err := daemon.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Run(ctx, func() {
		sayFirst(stdout, d, cfg.DataDir)
		fmt.Fprintf(stdout, "ready: certificate authority sha256 %s\n", d.Fingerprint())
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
