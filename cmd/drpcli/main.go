// Command drpcli operates a drpd server, and is the agent on machines: as a
// service of an installed system, or as the first process of the discovery
// image.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	jq "github.com/itchyny/gojq/cli"
	"github.com/spf13/cobra"

	"drpd/pkg/agent"
	"drpd/pkg/cli"
)

// version is set by the linker.
var version = "devel"

func main() {
	if os.Getpid() == 1 {
		agent.Init() // never returns
	}
	if args, is := isJQ(os.Args); is {
		os.Args = args
		os.Exit(jq.Run())
	}
	// The first Ctrl-C stops watching; a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	cfg := cli.Config{Version: version, Extra: []*cobra.Command{agent.Command(), jqCommand()}, Under: local}
	code := cfg.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
