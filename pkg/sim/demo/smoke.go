package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// runSmoke takes one machine through power-on, PXE, discovery, image
// deployment and local boot, and removes the rack.
func runSmoke(ctx context.Context, o options) (err error) {
	rep := newReport(os.Stdout)
	var b built
	if err := rep.phase("build", func() (string, error) { b, err = build(ctx, o.build); return "binaries and images", err }); err != nil {
		return err
	}
	s, err := newSite(ctx, b, o.dir, 1, os.Stderr)
	if s != nil && !o.keep {
		defer func() { err = joinClose(err, s) }()
	}
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		do   func() (string, error)
	}{
		{"upload images", func() (string, error) { return s.prepare(ctx) }},
		{"discover", func() (string, error) {
			if err := s.enroll(ctx); err != nil {
				return "", err
			}
			if err := s.awaitFree(ctx, 5*time.Minute); err != nil {
				return "", err
			}
			return s.discovered(ctx)
		}},
		{"deploy and boot the disk", func() (string, error) { return s.installOne(ctx) }},
	} {
		if err := rep.phase(p.name, p.do); err != nil {
			return s.explain(ctx, err)
		}
	}
	rep.table()
	fmt.Println("3 passed, 0 failed")
	return nil
}

// installOne installs the first machine by itself, without a cluster.
func (s *site) installOne(ctx context.Context) (string, error) {
	name := s.nodes[0].Name
	for _, args := range [][]string{
		{"machines", "set", name, "param", "image-deploy/image", "to", "debian-12-image"},
		{"machines", "set", name, "param", "hostname", "to", "smoke"},
		{"machines", "workflow", name, "universal-linux-install"},
	} {
		if _, err := s.cli(ctx, args...); err != nil {
			return "", err
		}
	}
	err := s.await(ctx, "installed system on line", 8*time.Minute, func() (bool, error) {
		list, err := s.machines(ctx)
		if err != nil {
			return false, err
		}
		m := list[name]
		return m.Workflow == "universal-linux-install" && m.WorkflowComplete, nil
	})
	if err != nil {
		return "", err
	}
	log, err := s.lastLog(ctx, name, "os-online")
	if err != nil {
		return "", err
	}
	if !strings.Contains(log, "smoke runs Debian") || !strings.Contains(log, "root is /dev/vda") {
		return "", fmt.Errorf("log of os-online does not show the installed system: %q", log)
	}
	return strings.Join(strings.Fields(log), " "), nil
}
