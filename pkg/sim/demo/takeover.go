package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// takeOver backs the server up while the cluster and the API are written to,
// restores it into another directory and activates it. Measured from outside of
// drpd: what was done to each machine's power and boot order (by its BMC, the
// only way to it), the first MiB of each disk (partition table and boot loader,
// which no guest in service writes), and the ids that the guests' kernels took
// at their boot. What the guests write themselves is etcd's, which misses none.
func (s *site) takeOver(ctx context.Context) (string, error) {
	before, err := s.outside(ctx)
	if err != nil {
		return "", err
	}
	load, err := s.startLoad(ctx)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.dir, "backup")
	err = errors.Join(s.backUp(ctx, file), s.rack.KillProcess(ctx, "drpd", syscall.SIGTERM))
	var lines string
	if err == nil {
		lines, err = s.startElsewhere(ctx, file)
	}
	writes, _, failed := load.stop()
	if err != nil {
		return "", err
	}
	if failed > 0 || writes == 0 {
		return "", fmt.Errorf("%d of %d writes to etcd failed", failed, writes)
	}
	if _, err := s.live(ctx, 1); err != nil {
		return "", err
	}
	after, err := s.outside(ctx)
	if err != nil {
		return "", err
	}
	if !maps.Equal(before, after) {
		return "", fmt.Errorf("machines were touched: before %v, after %v; activate said:\n%s", before, after, lines)
	}
	return fmt.Sprintf("3 boot ids, power and boot order as before, first MiB of 3 disks unchanged; %d writes to etcd, 0 failed", writes), nil
}

// local runs drpd on the server, as root does there.
func (s *site) local(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.drpd, args...)
	var out bytes.Buffer
	cmd.Env = append(os.Environ(), "DRPD_BACKUP_PASSPHRASE=rack backup secret")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("drpd %s: %w: %s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

// backUp takes the backup while somebody writes to the API.
func (s *site) backUp(ctx context.Context, file string) error {
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		quiet := *s
		quiet.out = io.Discard
		for i := 0; writing.Err() == nil; i++ {
			_, _ = quiet.cli(writing, "profiles", "create", fmt.Sprintf("load-%d", i))
		}
	})
	_, err := s.local(ctx, "backup", file, "--data-dir", s.data)
	stop()
	wg.Wait()
	return err
}

// startElsewhere restores the backup into another directory, waits until the
// agents have told what they run, and activates it.
func (s *site) startElsewhere(ctx context.Context, file string) (string, error) {
	s.data = filepath.Join(s.dir, "data-restored")
	if err := os.Mkdir(s.data, 0o700); err != nil {
		return "", err
	}
	if _, err := s.local(ctx, "restore", file, "--data-dir", s.data); err != nil {
		return "", err
	}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	err := s.await(ctx, "all agents have told what they run", 3*time.Minute, func() (bool, error) {
		out, err := s.local(ctx, "activate", "--dry-run", "--data-dir", s.data)
		if err == nil && strings.Contains(out, "was not heard of") {
			err = errors.New(out)
		}
		return err == nil, err
	})
	if err != nil {
		return "", err
	}
	return s.local(ctx, "activate", "--old-server-is-dead", "--data-dir", s.data)
}

// outside is what of the machines can be seen without drpd, and their boot ids.
func (s *site) outside(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for _, n := range s.nodes {
		acts, err := n.Acts()
		if err != nil {
			return nil, err
		}
		out[n.Name+" acts"] = strings.Join(acts, " ")
		f, err := os.Open(n.DiskPath())
		if err != nil {
			return nil, err
		}
		sum := sha256.New()
		_, err = io.CopyN(sum, f, 1<<20)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		out[n.Name+" first MiB"] = fmt.Sprintf("%x", sum.Sum(nil))
	}
	ids, err := s.bootIDs(ctx)
	out["boot ids"] = strings.Join(ids, " ")
	return out, err
}

// bootIDs asks the members' kernels.
func (s *site) bootIDs(ctx context.Context) ([]string, error) {
	err := s.follow(ctx, "work_orders", "run", "run-command", "--filter", "cluster/tags=In(etcd)", "--all",
		`command/script="echo $(hostname) $(cat /proc/sys/kernel/random/boot_id)"`, "--timeout", "3m")
	if err != nil {
		return nil, err
	}
	list, err := s.jobs(ctx, "", "run-command")
	if err != nil {
		return nil, err
	}
	if len(list) < 3 {
		return nil, fmt.Errorf("run-command ran %d times, want 3 at least", len(list))
	}
	var ids []string
	for _, j := range list[len(list)-3:] {
		log, err := s.cli(ctx, "jobs", "log", j.Uuid)
		if err != nil {
			return nil, err
		}
		ids = append(ids, strings.TrimSpace(log))
	}
	slices.Sort(ids)
	return ids, nil
}
