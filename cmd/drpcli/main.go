// Command drpcli operates a drpd server.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"drpd/pkg/agent"
	"drpd/pkg/cli"
)

func main() {
	// The first Ctrl-C stops watching; a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	cfg := cli.Config{Extra: []*cobra.Command{agent.Command()}}
	if b, ok := debug.ReadBuildInfo(); ok {
		cfg.Version = b.Main.Version
	}
	code := cfg.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
