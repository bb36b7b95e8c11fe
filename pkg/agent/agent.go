//go:build linux

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"drpd/pkg/api"
	"drpd/pkg/client"
)

// agent is one running agent.
type agent struct {
	cfg  Config
	log  *slog.Logger
	bell chan struct{} // something of the machine may have changed

	mu   sync.Mutex     // guards below
	uuid string         // of the machine; "" before it is identified
	api  *client.Client // with the token at hand
	at   place          // where it is called

	// What follows belongs to the loop alone.
	begun   bool   // jobs of an earlier agent have been looked after
	reboots string // the boot intent for which the agent has rebooted already
	told    string // why it waits, as last logged
}

// Run works for the machine until ctx ends; then it returns nil. A script that
// runs at that moment is killed, and its job is failed by the next agent. An
// error means that the configuration cannot work.
func Run(ctx context.Context, cfg Config) error {
	a, err := newAgent(cfg)
	if err != nil {
		return err
	}
	defer func() { a.client().Close() }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.watch(ctx) })
	g.Go(func() error { return a.loop(ctx) })
	return g.Wait()
}

func newAgent(cfg Config) (*agent, error) {
	if err := cfg.fill(); err != nil {
		return nil, fmt.Errorf("agent configuration: %w", err)
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("agent configuration: %w", err)
	}
	a := &agent{cfg: cfg, api: c, log: cfg.Log, bell: make(chan struct{}, 1)}
	a.at = a.knownPlace()
	a.redial()
	return a, nil
}

// loop never gives up: what goes wrong is logged and tried again.
func (a *agent) loop(ctx context.Context) error {
	wait := pace()
	for ctx.Err() == nil {
		err := a.round(ctx)
		if err == nil {
			wait.Reset()
			continue
		}
		if ctx.Err() != nil {
			break
		}
		a.log.Error("round failed, trying again", "err", err)
		if !wait.Sleep(ctx) {
			break
		}
	}
	return nil
}

// round does the next thing: say who we are, reboot, run one job, or wait.
func (a *agent) round(ctx context.Context) error {
	if a.machine() == "" {
		if err := a.identify(ctx); err != nil {
			return err
		}
	}
	id := a.machine()
	m, err := a.getMachine(ctx, id)
	if err != nil {
		// Deleted, most likely: the server may create it again.
		a.setMachine("")
		return err
	}
	switch {
	case m.BootEnv != a.cfg.Env:
		return a.away(ctx, m)
	case m.Boot != nil && !m.Boot.Home:
		return a.comeHome(ctx, m)
	}
	return a.work(ctx, m)
}

// comeHome tells the server once more that we run where it wants the machine.
func (a *agent) comeHome(ctx context.Context, m *api.Machine) error {
	if a.told == "home "+m.Boot.Intent {
		a.rest(ctx) // told already, and still not home: the server has its reasons
	}
	a.told = "home " + m.Boot.Intent
	return a.identify(ctx)
}

func (a *agent) work(ctx context.Context, m *api.Machine) error {
	if !a.begun {
		if err := a.begin(ctx, m); err != nil {
			return err
		}
		a.begun = true
	}
	return a.nextTask(ctx, m.Uuid)
}

// nextTask asks for a job and runs it, or waits.
func (a *agent) nextTask(ctx context.Context, machine string) error {
	j, err := a.nextJob(ctx, machine)
	if client.Status(err) == http.StatusConflict {
		a.tell(err.Error())
		j, err = a.claimed(ctx, machine)
	}
	if err != nil {
		return err
	}
	if j == nil {
		a.rest(ctx)
		return nil
	}
	a.told = ""
	return a.run(ctx, j)
}

// tell logs why the agent waits, once.
func (a *agent) tell(why string) {
	if a.told != why {
		a.log.Info("waiting", "why", why)
	}
	a.told = why
}
