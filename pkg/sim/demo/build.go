package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"drpd/pkg/image"
)

// built is what the rack needs: binaries and images.
type built struct {
	drpd, drpcli, labctl string
	kernel, initrd       string
	os                   string // path without .zst
	info                 image.OSInfo
}

// build makes the binaries and images; what did not change comes from the cache.
func build(ctx context.Context, dir string) (built, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return built{}, err
	}
	at := func(name string) string { return filepath.Join(abs, name) }
	b := built{drpd: at("drpd"), drpcli: at("drpcli"), labctl: at("labctl"), kernel: at("vmlinuz"), initrd: at("initrd.zst"), os: at("debian")}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return b, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", abs, "./cmd/drpd", "./cmd/drpcli", "./pkg/sim/labctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return b, fmt.Errorf("build the binaries: %w", err)
	}
	return b, b.images(ctx, filepath.Join(abs, "cache"))
}

func (b *built) images(ctx context.Context, cache string) error {
	set, _ := image.FindModuleSet("generic")
	from := image.Packages{Mirror: os.Getenv("DEBIAN_MIRROR")}
	kernel, err := image.FetchKernel(ctx, image.KernelConfig{Package: set.Package, Cache: cache, From: from, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return fmt.Errorf("fetch the kernel: %w", err)
	}
	if err := image.Discovery(ctx, image.DiscoveryConfig{Agent: b.drpcli, Kernel: kernel, Modules: set.Modules, Out: b.initrd}); err != nil {
		return fmt.Errorf("build the discovery image: %w", err)
	}
	data, err := os.ReadFile(kernel.Image)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.kernel, data, 0o644); err != nil {
		return err
	}
	return b.osImage(ctx, cache, from)
}

// osImage builds the OS image unless the one at hand was made with this drpcli.
func (b *built) osImage(ctx context.Context, cache string, from image.Packages) error {
	sum, err := fileSum(b.drpcli)
	if err != nil {
		return err
	}
	mark := b.os + ".drpcli"
	if was, err := os.ReadFile(mark); err == nil && string(was) == sum {
		if data, err := os.ReadFile(b.os + ".json"); err == nil {
			return json.Unmarshal(data, &b.info)
		}
	}
	if b.info, err = image.OS(ctx, image.OSConfig{Drpcli: b.drpcli, Cache: cache, From: from, Out: b.os, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}); err != nil {
		return fmt.Errorf("build the OS image: %w", err)
	}
	return os.WriteFile(mark, []byte(sum), 0o644)
}
