package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/agent"
	"drpd/pkg/agent/disk"
	"drpd/pkg/agent/facts"
	"drpd/pkg/agent/ops"
	"drpd/pkg/cli"
)

// local are the verbs about the machine that drpcli runs on, which need the
// agent's eyes and hands.
func local(s cli.Shared) map[string][]*cobra.Command {
	whoami := func(context.Context, []string) error {
		who, err := agent.WhoAmI()
		if err != nil {
			return err
		}
		return s.Print(who)
	}
	return map[string][]*cobra.Command{
		"": {
			s.Verb("gohai", "Print the inventory of this machine.", func(context.Context, []string) error {
				inv, err := facts.Source{}.Collect()
				if err != nil {
					return err
				}
				return s.Print(inv)
			}),
			s.Verb("fingerprint", "Print by what the server knows this machine.", whoami),
		},
		"machines": {
			processJobs(s),
			s.Verb("whoami", "Ask the server which of its machines this one is.", func(ctx context.Context, _ []string) error {
				who, err := agent.WhoAmI()
				if err != nil {
					return err
				}
				var out any
				if err := s.Post(ctx, "/whoami", who, &out); err != nil {
					return err
				}
				return s.Print(out)
			}),
		},
	}
}

// jobOptions are how processjobs works.
type jobOptions struct {
	oneshot, exitOnFailure, skipPower bool
	stateDir, context                 string
}

func processJobs(s cli.Shared) *cobra.Command {
	o := &jobOptions{}
	c := s.Verb("processjobs [<id>]", "Run the tasks of a machine (or RS_UUID) here, as its agent does.", func(ctx context.Context, args []string) error {
		return o.run(ctx, s, args)
	})
	f := c.Flags()
	f.BoolVar(&o.oneshot, "oneshot", false, "end when the task list is done, or stands still after a failure")
	f.BoolVar(&o.exitOnFailure, "exit-on-failure", false, "end when a task failed")
	f.BoolVar(&o.skipPower, "skip-power", false, "never reboot or switch off")
	f.StringVar(&o.stateDir, "state-dir", "", "where the agent keeps what it must remember; default a new folder")
	f.StringVar(&o.context, "context", os.Getenv("RS_CONTEXT"), "take jobs of this context (RS_CONTEXT)")
	f.BoolVar(&o.skipPower, "skipPower", false, "the same as --skip-power")
	f.StringVar(&o.stateDir, "stateDir", "", "the same as --state-dir")
	_, _ = f.MarkHidden("skipPower"), f.MarkHidden("stateDir")
	c.Example = "  drpcli machines processjobs n1 --oneshot\n  RS_UUID=3b7e8a12-... drpcli machines processjobs --skip-power"
	return c
}

// errDone ends the agent when its work is.
var errDone = errors.New("done")

func (o *jobOptions) run(ctx context.Context, s cli.Shared, args []string) error {
	seat, err := s.Sit(ctx, args)
	if err != nil {
		return err
	}
	if o.stateDir == "" {
		if o.stateDir, err = os.MkdirTemp("", "drpcli-agent-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.stateDir)
	}
	cfg := agent.Config{Endpoint: seat.Endpoint, Token: seat.Token, CAFingerprint: seat.CAFingerprint, Machine: seat.Machine, Env: seat.Env,
		Context: o.context, StateDir: o.stateDir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Hardware: ops.Hardware{Facts: facts.Source{}, Disks: disk.Host{}, Power: noPower{}}}
	if !o.skipPower {
		cfg.Hardware = ops.Hardware{}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return agent.Run(ctx, cfg) })
	if want := o.until(); len(want) > 0 {
		g.Go(func() error {
			if err := s.Await(ctx, seat.Machine, want...); err != nil {
				return err
			}
			return errDone
		})
	}
	if err := g.Wait(); !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// until is when to end, as conditions of machines await.
func (o *jobOptions) until() []string {
	switch {
	case o.oneshot:
		return []string{"WorkflowComplete=true", "or", "Runnable=false"}
	case o.exitOnFailure:
		return []string{"Runnable=false"}
	}
	return nil
}

// noPower leaves the machine on, whatever its tasks want.
type noPower struct{}

func (noPower) Reboot(context.Context) error   { return errors.New("not rebooted: --skip-power") }
func (noPower) PowerOff(context.Context) error { return errors.New("not switched off: --skip-power") }
