package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kernel is an unpacked Debian kernel package.
type Kernel struct {
	// Release is what uname -r prints under this kernel.
	Release string
	// Image is the path of the bootable kernel (vmlinuz).
	Image string
	// Modules is the directory lib/modules/<Release>, with depmod's files.
	Modules string
}

// KernelConfig says which kernel to fetch and where to keep it.
type KernelConfig struct {
	// Package is a metapackage such as linux-image-amd64, or a kernel package itself.
	Package string
	// Cache is the directory that keeps unpacked kernels (0.1 to 0.4 GB each).
	Cache string
	// From says where the package comes from.
	From Packages
	Log  *slog.Logger
}

// FetchKernel downloads the newest kernel the sources offer for the package
// and unpacks it, once per version. With the package lists of an earlier run
// and its kernel in the cache it needs no network.
func FetchKernel(ctx context.Context, cfg KernelConfig) (Kernel, error) {
	if err := requireTools("apt-get", "apt-cache", "dpkg-deb", "depmod"); err != nil {
		return Kernel{}, err
	}
	apt, err := newAptSetup(cfg.Cache, cfg.From)
	if err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", cfg.Package, err)
	}
	if pkg, version, err := kernelVersion(ctx, apt, cfg.Package); err == nil {
		if dir := cfg.dir(pkg, version); isDir(dir) {
			return OpenKernel(dir)
		}
	}
	// The lists are missing, or too old to tell what the mirror has now.
	if err := apt.update(ctx); err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", cfg.Package, err)
	}
	pkg, version, err := kernelVersion(ctx, apt, cfg.Package)
	if err != nil {
		return Kernel{}, err
	}
	dir := cfg.dir(pkg, version)
	if isDir(dir) {
		return OpenKernel(dir)
	}
	cfg.Log.Info("fetch kernel", "package", pkg, "version", version)
	if err := unpackKernel(ctx, apt, pkg, version, dir); err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", pkg, err)
	}
	return OpenKernel(dir)
}

// dir is where that version is kept.
func (cfg KernelConfig) dir(pkg, version string) string {
	return filepath.Join(cfg.Cache, "kernel", pkg+"_"+strings.ReplaceAll(version, ":", "_"))
}

func isDir(name string) bool {
	stat, err := os.Stat(name)
	return err == nil && stat.IsDir()
}

// OpenKernel describes the one kernel found in a directory that a kernel
// package was unpacked into and depmod was run on.
func OpenKernel(dir string) (Kernel, error) {
	images, err := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return Kernel{}, fmt.Errorf("open kernel %s: %d files boot/vmlinuz-*, want 1; delete the directory to fetch it again", dir, len(images))
	}
	release := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	return Kernel{
		Release: release,
		Image:   images[0],
		Modules: filepath.Join(dir, "lib", "modules", release),
	}, nil
}

// unpackKernel works in a temporary directory and renames it at the end, so
// that dir is complete whenever it exists.
func unpackKernel(ctx context.Context, apt aptSetup, pkg, version, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := run(ctx, tmp, "apt-get", "-c", apt.at("apt.conf"), "-q", "download", pkg+"="+version); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download left %d files, want 1", len(debs))
	}
	root := filepath.Join(tmp, "root")
	if _, err := run(ctx, "", "dpkg-deb", "-x", debs[0], root); err != nil {
		return err
	}
	k, err := OpenKernel(root)
	if err != nil {
		return err
	}
	if _, err := run(ctx, "", "depmod", "-b", root, k.Release); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// kernelVersion follows a metapackage to the kernel package it stands for.
func kernelVersion(ctx context.Context, apt aptSetup, pkg string) (name, version string, err error) {
	for range 3 {
		out, err := run(ctx, "", "apt-cache", "-c", apt.at("apt.conf"), "show", "--no-all-versions", pkg)
		if err != nil {
			return "", "", fmt.Errorf("find kernel %s: %w; is the name right?", pkg, err)
		}
		fields := controlFields(out)
		next := kernelDependency(fields["Depends"])
		if next == "" {
			return pkg, fields["Version"], nil
		}
		pkg = next
	}
	return "", "", fmt.Errorf("find kernel %s: metapackages more than two deep", pkg)
}

// kernelDependency finds linux-image-<number>... in a Depends field. A real
// kernel package has none: it depends on kmod, initramfs-tools and linux-base.
func kernelDependency(depends string) string {
	return regexp.MustCompile(`linux-image-[0-9][a-z0-9.+-]*`).FindString(depends)
}

// controlFields reads the first paragraph of Debian control text. Continuation
// lines are dropped.
func controlFields(text []byte) map[string]string {
	fields := map[string]string{}
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() && scan.Text() != "" {
		if key, value, ok := strings.Cut(scan.Text(), ": "); ok && key[0] != ' ' {
			fields[key] = value
		}
	}
	return fields
}
