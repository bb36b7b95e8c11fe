// Command drpd is the provisioning server: DHCP, TFTP, HTTP boot, BMCs, the
// API, and the engine that runs workflows.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"drpd/pkg/auth"
	"drpd/pkg/daemon"
)

// version is set by the linker.
var version = "devel"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c := command(stdout, stderr)
	c.SetArgs(args)
	c.SetOut(stdout)
	c.SetErr(stderr)
	if err := c.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "error: %v\n", err)
		return 1
	}
	return 0
}

func command(stdout, stderr io.Writer) *cobra.Command {
	cfg := daemon.Config{Version: version}
	var addresses []string
	var level string
	c := &cobra.Command{
		Use: "drpd", Short: "Provision bare-metal machines and clusters", Args: cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true, Version: version,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, a := range addresses {
				addr, err := netip.ParseAddr(a)
				if err != nil {
					return fmt.Errorf("--address %q: %w", a, err)
				}
				cfg.Addresses = append(cfg.Addresses, addr)
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level: %w", err)
			}
			cfg.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l}))
			return serve(cmd.Context(), cfg, stdout)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.DataDir, "data-dir", "/var/lib/drpd", "where everything is kept: database, files, keys")
	f.StringVar(&cfg.APIAddr, "api", ":8092", "address of the API (HTTPS)")
	f.StringVar(&cfg.FileAddr, "files", ":8091", "address of the boot files (HTTP)")
	f.StringVar(&cfg.TFTPAddr, "tftp", ":69", "address of TFTP, or off")
	f.StringSliceVar(&cfg.Interfaces, "dhcp-interface", nil, "interface to serve DHCP on; may be repeated; none: DHCP is off")
	f.IntVar(&cfg.DHCPPort, "dhcp-port", 67, "UDP port of DHCP")
	f.IntVar(&cfg.BINLPort, "binl-port", 4011, "UDP port of BINL (proxy DHCP), -1: off")
	f.StringSliceVar(&cfg.Names, "name", nil, "host name for the certificate; may be repeated")
	f.StringSliceVar(&addresses, "address", nil, "address for the certificate besides this host's; may be repeated")
	f.StringVar(&cfg.Loaders, "loaders", "/usr/lib/ipxe", "directory of iPXE's boot loaders")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return c
}

func serve(ctx context.Context, cfg daemon.Config, stdout io.Writer) error {
	d, err := daemon.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Run(ctx, func() {
		if d.FirstPassword != "" {
			fmt.Fprintf(stdout, "first start: user %s, password %s (shown once; change it with drpcli users password)\n", auth.FirstUser, d.FirstPassword)
		}
		fmt.Fprintf(stdout, "ready: certificate authority sha256 %s\n", d.Fingerprint())
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
