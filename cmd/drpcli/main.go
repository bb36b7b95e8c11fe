// Command drpcli operates a drpd server.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"drpd/pkg/cli"
)

func main() {
	// The first Ctrl-C stops watching; a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
