//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/client"
)

// envConfig tells a runner process the path of its configuration, which it
// removes once it has read it.
const envConfig = "DRPD_RUNNER_CONFIG"

// errLeave means that a context runner has nothing left to do here: what it
// worked for is gone, or its token is not accepted any more.
var errLeave = errors.New("the context runner has to leave")

// RunContext works in a context for one machine, cluster or broker, none of
// which it runs on: it never boots, reboots or touches disks. It returns nil
// when ctx ends, an error when it cannot go on; whoever started it starts it
// again with a new token.
func RunContext(ctx context.Context, cfg Config) error {
	if cfg.Context == "" || cfg.Machine == "" {
		return errors.New("agent configuration: a context runner needs Context and Machine")
	}
	a, err := newAgent(cfg)
	if err != nil {
		return err
	}
	defer func() { a.client().Close() }()
	a.setMachine(cfg.Machine)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.watch(ctx) })
	g.Go(func() error { return a.contextLoop(ctx) })
	return g.Wait()
}

func (a *agent) contextLoop(ctx context.Context) error {
	wait := pace()
	for ctx.Err() == nil {
		err := a.contextRound(ctx)
		switch {
		case err == nil:
			wait.Reset()
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLeave):
			return err
		}
		a.log.Error("round failed, trying again", "err", err)
		if !wait.Sleep(ctx) {
			break
		}
	}
	return nil
}

func (a *agent) contextRound(ctx context.Context) error {
	m, err := a.getMachine(ctx, a.cfg.Machine)
	if client.Status(err) == http.StatusNotFound {
		return fmt.Errorf("%w: %s/%s is gone", errLeave, a.cfg.Kind, a.cfg.Machine)
	}
	if err != nil {
		return err
	}
	if !m.WorkOrderMode && m.Context != a.cfg.Context { // an order has a context of its own
		a.rest(ctx)
		return nil
	}
	return a.nextTask(ctx, m.Uuid)
}

// ContextCommand is the hidden command by which a server runs itself as a
// context runner, in a cell that confines it.
func ContextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "context-runner", Short: "Run tasks of a context", Hidden: true, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			path := os.Getenv(envConfig)
			cfg, err := ReadConfig(path)
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove configuration with its token: %w", err)
			}
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return RunContext(ctx, cfg)
		},
	}
}
