package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"drpd/pkg/api"
)

// seen is what the killer looks at to choose its instants.
type seen struct {
	machines []*api.Machine
	jobs     []*api.Job
	orders   []*api.WorkOrder
	actions  []*api.BMCAction
	boots    []*api.BootRecord
}

// instant is one moment of the path at which drpd is killed, once.
type instant struct {
	name string
	when func(seen) bool
}

func running(task string) func(seen) bool {
	return func(s seen) bool {
		return slices.ContainsFunc(s.jobs, func(j *api.Job) bool { return j.Task == task && j.State == api.JobRunning })
	}
}

func step2(step string, machine int) func(seen) bool {
	return func(s seen) bool {
		return slices.ContainsFunc(s.boots, func(r *api.BootRecord) bool {
			return strings.HasSuffix(r.Mac, fmt.Sprintf("%02x", machine)) && slices.ContainsFunc(r.Steps, func(b api.BootStep) bool { return b.Step == step })
		})
	}
}

func order(blueprint string, nth int) func(seen) bool {
	return func(s seen) bool {
		n := 0
		for _, o := range s.orders {
			if o.Blueprint == blueprint && o.State != api.OrderCreated {
				n++
			}
		}
		return n >= nth
	}
}

func status(want api.PoolStatus) func(seen) bool {
	return func(s seen) bool {
		return slices.ContainsFunc(s.machines, func(m *api.Machine) bool { return m.PoolStatus == want })
	}
}

// instants are spread over the whole path.
func instants() []instant {
	return []instant{
		{"BMC action in hand", func(s seen) bool {
			// Not before all are declared: what an operator sends is not repeated.
			return len(s.machines) == 3 && slices.ContainsFunc(s.actions, func(a *api.BMCAction) bool { return a.State == "working" })
		}},
		{"DHCP answered", step2("dhcp", 1)},
		{"TFTP loader fetched", step2("tftp", 2)},
		{"HTTP script fetched", step2("http", 1)},
		{"kernel fetched", step2("kernel", 3)},
		{"inventory known", func(s seen) bool {
			return slices.ContainsFunc(s.machines, func(m *api.Machine) bool { return m.Params["inventory/data"] != nil })
		}},
		{"machines allocated", status(api.Building)},
		{"image being written", running("image-deploy")},
		{"first system on line", status(api.InUse)},
		{"member elected", order("etcd-join", 1)},
		{"second member joins", order("etcd-join", 2)},
		{"rolling restart runs", order("etcd-restart", 1)},
		{"second restart", order("etcd-restart", 2)},
		{"member leaves", order("etcd-leave", 1)},
		{"machines released", status(api.Destroying)},
		{"disk being wiped", running("disk-wipe")},
		{"wipe being verified", running("disk-verify-blank")},
		{"first machine Free again", func(s seen) bool {
			return slices.ContainsFunc(s.orders, func(o *api.WorkOrder) bool { return o.Blueprint == "broker-release" }) && status(api.Free)(s)
		}},
	}
}

// killer kills drpd at each instant and starts it again.
type killer struct {
	s    *site
	wg   sync.WaitGroup
	stop context.CancelFunc
	rows []string // read after wg.Wait
	err  error
}

func (s *site) startKiller(ctx context.Context) *killer {
	ctx, cancel := context.WithCancel(ctx)
	k := &killer{s: s, stop: cancel}
	k.wg.Go(func() { k.err = k.run(ctx) })
	return k
}

func (k *killer) run(ctx context.Context) error {
	quiet := *k.s
	quiet.out = discard{}
	todo, begun := instants(), time.Now()
	for len(todo) > 0 && ctx.Err() == nil {
		v, err := quiet.look(ctx)
		if err != nil {
			continue // drpd is just coming up
		}
		i := slices.IndexFunc(todo, func(t instant) bool { return t.when(v) })
		if i < 0 {
			continue
		}
		down := time.Now()
		if err := errors.Join(k.s.kill(ctx), k.s.start(ctx)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("kill at %q: %w", todo[i].name, err)
		}
		row := fmt.Sprintf("%-28s at %6.1f s, back after %4.1f s", todo[i].name, seconds(down.Sub(begun)), seconds(time.Since(down)))
		fmt.Fprintln(k.s.out, "   killed:", row)
		k.rows = append(k.rows, row)
		todo = slices.Delete(todo, i, i+1)
	}
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// look reads all that the instants depend on.
func (s *site) look(ctx context.Context) (v seen, err error) {
	for kind, into := range map[string]any{"machines": &v.machines, "jobs": &v.jobs, "work_orders": &v.orders, "bmc_actions": &v.actions, "boot_records": &v.boots} {
		err = errors.Join(err, s.get(ctx, into, kind, "list"))
	}
	return v, err
}

// runKill is the path to the end of destroy with a kill at every instant; then
// each dangerous thing must have happened exactly once.
func runKill(ctx context.Context, o options) (err error) {
	rep := newReport(os.Stdout)
	b, err := build(ctx, o.build)
	if err != nil {
		return err
	}
	s, err := newSite(ctx, b, o.dir, 3, os.Stderr)
	if s != nil && !o.keep {
		defer func() { err = joinClose(err, s) }()
	}
	if err != nil {
		return err
	}
	steps := s.path(ctx)
	if err := rep.phase(steps[0].name, steps[0].do); err != nil {
		return s.explain(ctx, err)
	}
	k := s.startKiller(ctx)
	for _, p := range append(slices.Clone(steps[1:3]), steps[4], steps[7]) {
		if err := rep.phase(p.name, p.do); err != nil {
			k.stop()
			k.wg.Wait()
			return s.explain(ctx, errors.Join(err, k.err))
		}
	}
	k.stop()
	k.wg.Wait()
	if err := rep.phase("exactly once", func() (string, error) { return s.exactlyOnce(ctx) }); err != nil {
		return s.explain(ctx, err)
	}
	rep.table()
	fmt.Println("\nkilled -9:")
	for _, row := range k.rows {
		fmt.Println("  " + row)
	}
	if k.err == nil && len(k.rows) < o.kills {
		k.err = fmt.Errorf("only %d kills, want at least %d", len(k.rows), o.kills)
	}
	if k.err == nil {
		fmt.Printf("%d passed, 0 failed\n", len(k.rows)+len(rep.Phases))
	}
	return k.err
}

// exactlyOnce counts what must not be repeated.
func (s *site) exactlyOnce(ctx context.Context) (string, error) {
	want := map[string]int{"image-deploy": 3, "disk-wipe": 3, "action:cluster/elect": 1, "action:broker/allocate": 1, "action:broker/release": 1}
	for task, n := range want {
		list, err := s.jobs(ctx, "", task)
		if err != nil {
			return "", err
		}
		if len(list) != n {
			return "", fmt.Errorf("%s ran %d times, want %d", task, len(list), n)
		}
		for _, j := range list {
			if j.State != api.JobFinished {
				return "", fmt.Errorf("%s on %s is %s: %v", task, j.Machine, j.State, j.ResultErrors)
			}
		}
	}
	return "allocate and elect once, install and wipe once for each machine", nil
}
