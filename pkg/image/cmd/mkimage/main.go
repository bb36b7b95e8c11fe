// Command mkimage builds the discovery initramfs and the OS disk image.
//
//	mkimage kernel    -cache DIR -set generic
//	mkimage discovery -cache DIR -set generic -agent FILE -out initrd.zst [-kernel vmlinuz]
//	mkimage os        -cache DIR -drpcli FILE -out debian
//
// Packages come from the machine's own apt sources of Debian bookworm or, when
// DEBIAN_MIRROR is set, from the mirror at that URL.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"drpd/pkg/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, *flag.FlagSet, []string) error{
		"kernel": runKernel, "discovery": runDiscovery, "os": runOS,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return fmt.Errorf("say what to make: mkimage kernel|discovery|os -help")
	}
	return commands[args[0]](ctx, flag.NewFlagSet("mkimage "+args[0], flag.ExitOnError), args[1:])
}

// runKernel fetches a kernel and prints where it is, as JSON.
func runKernel(ctx context.Context, f *flag.FlagSet, args []string) error {
	cache, set := kernelFlags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	kernel, _, err := fetch(ctx, *cache, *set)
	if err != nil {
		return err
	}
	return printJSON(kernel)
}

func runDiscovery(ctx context.Context, f *flag.FlagSet, args []string) error {
	cache, set := kernelFlags(f)
	agent := f.String("agent", "", "static program that becomes /init")
	out := f.String("out", "", "initramfs to write")
	kernelOut := f.String("kernel", "", "copy the kernel to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *agent == "" || *out == "" {
		return fmt.Errorf("discovery image: give -agent and -out")
	}
	kernel, modules, err := fetch(ctx, *cache, *set)
	if err != nil {
		return err
	}
	cfg := image.DiscoveryConfig{Agent: *agent, Kernel: kernel, Modules: modules.Modules, Out: *out}
	if err := makeParents(*out, *kernelOut); err != nil {
		return err
	}
	if err := image.Discovery(ctx, cfg); err != nil {
		return err
	}
	if *kernelOut != "" {
		body, err := os.ReadFile(kernel.Image)
		if err != nil {
			return err
		}
		return os.WriteFile(*kernelOut, body, 0o644)
	}
	return nil
}

func runOS(ctx context.Context, f *flag.FlagSet, args []string) error {
	cfg := image.OSConfig{Log: newLog(), From: packages()}
	f.StringVar(&cfg.Cache, "cache", "build/cache", "directory of trees kept between runs")
	f.StringVar(&cfg.From.Suite, "suite", "bookworm", "Debian release")
	f.StringVar(&cfg.Kernel, "kernel", "linux-image-amd64", "kernel metapackage; linux-image-cloud-amd64 has no AHCI")
	f.StringVar(&cfg.Drpcli, "drpcli", "", "static drpcli program to put into the image")
	f.StringVar(&cfg.Out, "out", "", "result, without the suffixes .zst and .json")
	f.StringVar(&cfg.RootPassword, "root-password", "", "open a login for root (laboratories only)")
	f.IntVar(&cfg.SizeMiB, "size", 660, "raw disk size in MiB")
	extra := f.String("packages", "", "further packages, separated by commas")
	sources := f.String("sources", "", "apt source files, separated by commas (default: this machine's)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if cfg.Drpcli == "" || cfg.Out == "" {
		return fmt.Errorf("os image: give -drpcli and -out")
	}
	cfg.Packages, cfg.From.Sources = list(*extra), list(*sources)
	if err := makeParents(cfg.Out, filepath.Join(cfg.Cache, "x")); err != nil {
		return err
	}
	info, err := image.OS(ctx, cfg)
	if err != nil {
		return err
	}
	return printJSON(info)
}

func kernelFlags(f *flag.FlagSet) (cache, set *string) {
	return f.String("cache", "build/cache", "directory of kernels kept between runs"),
		f.String("set", "generic", "modules: cloud (virtual machines), generic or wide (servers)")
}

func fetch(ctx context.Context, cache, name string) (image.Kernel, image.ModuleSet, error) {
	set, ok := image.FindModuleSet(name)
	if !ok {
		return image.Kernel{}, set, fmt.Errorf("no module set %q: use cloud, generic or wide", name)
	}
	kernel, err := image.FetchKernel(ctx, image.KernelConfig{Package: set.Package, Cache: cache, From: packages(), Log: newLog()})
	return kernel, set, err
}

// packages takes the one setting that the programs using package image share.
func packages() image.Packages {
	return image.Packages{Mirror: os.Getenv("DEBIAN_MIRROR")}
}

func makeParents(files ...string) error {
	for _, file := range files {
		if file == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func newLog() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }
