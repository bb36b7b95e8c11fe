package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drpd/pkg/api"
)

// runDemo is the whole path on three machines.
func runDemo(ctx context.Context, o options) (err error) {
	rep := newReport(os.Stdout)
	defer func() {
		if err == nil {
			rep.Result = "passed"
		}
		if o.ci {
			err = joinErr(err, rep.save("demo-report.json"))
		}
	}()
	var b built
	if err := rep.phase("build", func() (string, error) {
		b, err = build(ctx, o.build)
		return "binaries, discovery image, OS image", err
	}); err != nil {
		return err
	}
	s, err := newSite(ctx, b, o.dir, 3, os.Stderr)
	if s != nil && o.ci && !o.keep {
		defer func() { err = joinClose(err, s) }()
	}
	if err != nil {
		return err
	}
	begun := time.Now()
	for _, p := range s.path(ctx) {
		if err := rep.phase(p.name, p.do); err != nil {
			return s.explain(ctx, err)
		}
	}
	rep.Phases = append(rep.Phases, phase{Name: "all after the build", Seconds: seconds(time.Since(begun)), Verified: s.cost()})
	rep.table()
	n := len(rep.Phases)
	if o.ci {
		fmt.Printf("%d passed, 0 failed\n", n)
		return nil
	}
	fmt.Printf("\nThe rack is running: cluster demo is live on n1, n2, n3.\n  make demo-shell   a shell in the rack with drpcli set up\n  make demo-down    stop and remove it\n")
	return nil
}

type step struct {
	name string
	do   func() (string, error)
}

// path is the main job, as an operator does it.
func (s *site) path(ctx context.Context) []step {
	return []step{
		{"upload images", func() (string, error) { return s.prepare(ctx) }},
		{"enroll by BMC and discover", func() (string, error) { return s.discoverAll(ctx) }},
		{"create cluster", func() (string, error) { return s.createCluster(ctx) }},
		{"WorkOrder mode refuses workflows", func() (string, error) { return s.refusals(ctx) }},
		{"rolling restart under load", func() (string, error) { return s.rollingRestart(ctx) }},
		{"command on members by filter", func() (string, error) { return s.filteredCommand(ctx) }},
		{"restored from a backup", func() (string, error) { return s.takeOver(ctx) }},
		{"destroy cluster", func() (string, error) { return s.destroy(ctx) }},
		{"restore cluster", func() (string, error) { return s.restore(ctx) }},
		{"forget", func() (string, error) { return s.forget(ctx) }},
	}
}

func (s *site) discoverAll(ctx context.Context) (string, error) {
	if err := s.enroll(ctx); err != nil {
		return "", err
	}
	if err := s.awaitFree(ctx, 6*time.Minute); err != nil {
		return "", err
	}
	return s.discovered(ctx)
}

// members are the cluster's: two writers and an observer, for filters.
const members = `{"writer": {"names": ["demo-1", "demo-2"], "tags": ["etcd", "writer"]}, "observer": {"names": ["demo-3"], "tags": ["etcd", "observer"]}}`

func (s *site) createCluster(ctx context.Context) (string, error) {
	err := s.follow(ctx, "clusters", "create", "demo", `Profiles=["etcd-application"]`, "image-deploy/image=debian-12-image",
		"cluster/machines="+members, "--timeout", "12m")
	if err != nil {
		return "", err
	}
	return s.live(ctx, 1)
}

// live checks a live cluster from outside: state, members, etcd's own view.
func (s *site) live(ctx context.Context, generation int) (string, error) {
	var c api.Machine
	if err := s.get(ctx, &c, "clusters", "show", "demo"); err != nil {
		return "", err
	}
	if !c.WorkflowComplete || !c.WorkOrderMode || c.Generation != generation {
		return "", fmt.Errorf("cluster demo: WorkflowComplete %v, WorkOrderMode %v, generation %d; want true, true, %d", c.WorkflowComplete, c.WorkOrderMode, c.Generation, generation)
	}
	list, err := s.etcdMembers(ctx)
	if err != nil {
		return "", err
	}
	if got := strings.Join(list, " "); got != "demo-1 demo-2 demo-3" {
		return "", fmt.Errorf("etcd has members %s, want demo-1 demo-2 demo-3", got)
	}
	return fmt.Sprintf("generation %d, WorkOrder mode, etcd lists %s", generation, strings.Join(list, " ")), nil
}

func (s *site) refusals(ctx context.Context) (string, error) {
	_, err := s.cli(ctx, "clusters", "workflow", "demo", "universal-cluster-provision")
	if err == nil {
		_, err = s.cli(ctx, "clusters", "workflow", "demo", "universal-local")
	}
	if err == nil || !strings.Contains(err.Error(), "WorkOrder mode") {
		return "", fmt.Errorf("a workflow was not refused in WorkOrder mode: %v", err)
	}
	_, err = s.cli(ctx, "clusters", "forget", "demo", "--silent", "--yes", "demo")
	if err == nil || !strings.Contains(err.Error(), "live") {
		return "", fmt.Errorf("forget of a live cluster was not refused: %v", err)
	}
	return "workflow and forget refused with the reason", nil
}

// rollingRestart restarts etcd on each member while a client writes.
func (s *site) rollingRestart(ctx context.Context) (string, error) {
	load, err := s.startLoad(ctx)
	if err != nil {
		return "", err
	}
	err = s.follow(ctx, "work_orders", "run", "cluster-rolling", "on", "demo", "--timeout", "8m")
	writes, retries, failed := load.stop()
	if err != nil {
		return "", err
	}
	if failed > 0 || writes == 0 {
		return "", fmt.Errorf("%d of %d writes failed during the rolling restart", failed, writes)
	}
	if err := s.oneAtATime(ctx, "etcd-restart"); err != nil {
		return "", err
	}
	return fmt.Sprintf("3 restarts one at a time; %d writes, 0 failed, %d retried on another member", writes, retries), nil
}

// oneAtATime checks by the jobs' times that no two of a task overlapped.
func (s *site) oneAtATime(ctx context.Context, task string) error {
	list, err := s.jobs(ctx, "", task)
	if err != nil {
		return err
	}
	if len(list) != 3 {
		return fmt.Errorf("%s ran %d times, want 3", task, len(list))
	}
	for i := 1; i < len(list); i++ {
		if list[i].StartTime.Before(list[i-1].EndTime) {
			return fmt.Errorf("%s began on one member before it ended on another", task)
		}
	}
	return nil
}

func (s *site) filteredCommand(ctx context.Context) (string, error) {
	err := s.follow(ctx, "work_orders", "run", "run-command", "--filter", "cluster/tags=In(writer)", "--all",
		`command/script="echo ran on $(hostname)"`, "--timeout", "3m")
	if err != nil {
		return "", err
	}
	list, err := s.jobs(ctx, "", "run-command")
	if err != nil {
		return "", err
	}
	var said []string
	for _, j := range list {
		log, err := s.cli(ctx, "jobs", "log", j.Uuid)
		if err != nil {
			return "", err
		}
		said = append(said, strings.TrimSpace(log))
	}
	all := strings.Join(said, " | ")
	if len(list) != 2 || !strings.Contains(all, "ran on demo-1") || !strings.Contains(all, "ran on demo-2") {
		return "", fmt.Errorf("want the command on demo-1 and demo-2 only, got %d runs: %s", len(list), all)
	}
	return all, nil
}

func (s *site) destroy(ctx context.Context) (string, error) {
	before, err := s.definition(ctx)
	if err != nil {
		return "", err
	}
	if err := s.follow(ctx, "clusters", "destroy", "demo", "--silent", "--yes", "demo", "--timeout", "12m"); err != nil {
		return "", err
	}
	if err := s.awaitFree(ctx, time.Minute); err != nil {
		return "", err
	}
	after, err := s.definition(ctx)
	if err != nil {
		return "", err
	}
	if before != after {
		return "", fmt.Errorf("the definition changed:\n%s\n%s", before, after)
	}
	verified, err := s.blank()
	return verified + "; Free and off; definition unchanged", err
}

// definition is what of the cluster's profile a person has given.
func (s *site) definition(ctx context.Context) (string, error) {
	var p api.Profile
	if err := s.get(ctx, &p, "profiles", "show", "demo"); err != nil {
		return "", err
	}
	return fmt.Sprint(p.Params["cluster/machines"], p.Params["image-deploy/image"], p.Profiles), nil
}

func (s *site) restore(ctx context.Context) (string, error) {
	if err := s.follow(ctx, "clusters", "restore", "demo", "--timeout", "12m"); err != nil {
		return "", err
	}
	return s.live(ctx, 2)
}

// forget is refused for the live cluster and removes one that is only defined.
func (s *site) forget(ctx context.Context) (string, error) {
	if _, err := s.cli(ctx, "clusters", "define", "spare", "cluster/count=1"); err != nil {
		return "", err
	}
	if _, err := s.cli(ctx, "clusters", "forget", "spare", "--silent", "--yes", "spare"); err != nil {
		return "", err
	}
	if _, err := s.cli(ctx, "clusters", "show", "spare"); err == nil {
		return "", fmt.Errorf("cluster spare is still there after forget")
	}
	_, err := s.cli(ctx, "clusters", "forget", "demo", "--silent", "--yes", "demo")
	if err == nil {
		return "", fmt.Errorf("the live cluster was forgotten")
	}
	return "defined cluster removed, live one refused", nil
}

// cost is what the path took of the machine.
func (s *site) cost() string {
	var cpu float64
	for _, n := range s.nodes {
		if c, err := n.CPUSeconds(); err == nil {
			cpu += c
		}
	}
	return fmt.Sprintf("QEMU processes running now used %.0f CPU seconds; drpd's log is %s", cpu, filepath.Join(s.dir, "drpd.log"))
}

func joinErr(a, b error) error {
	if a == nil {
		return b
	}
	return a
}
