package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
)

// proxyCmd keeps one connection and one login for the calls of many short runs
// of drpcli: a script that makes hundreds need not shake hands for each.
func (s *session) proxyCmd() *cobra.Command {
	return s.verb("proxy <socket>", "Pass on the calls of other runs of drpcli that have RS_LOCAL_PROXY=<socket>.", func(ctx context.Context, args []string) error {
		if s.env["RS_LOCAL_PROXY"] != "" {
			return failf(exitUsage, "this drpcli would itself go through a proxy: unset RS_LOCAL_PROXY")
		}
		c := s.conn()
		if c.err != nil {
			return c.err
		}
		if err := c.get(ctx, "/info", nil, nil); err != nil {
			return about(err, "proxy")
		}
		return s.serveProxy(ctx, args[0], c.api.Proxy())
	})
}

// serveProxy listens where only the user may connect.
func (s *session) serveProxy(ctx context.Context, socket string, h http.Handler) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", socket, err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("protect %s: %w", socket, err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	end := context.AfterFunc(ctx, func() { srv.Close() })
	defer end()
	s.note("export RS_LOCAL_PROXY=%s", socket)
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}
