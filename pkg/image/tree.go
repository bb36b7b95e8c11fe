package image

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// initramfsHook is run by mmdebstrap before the kernel is installed.
//
//go:embed initramfs-hook.sh
var initramfsHook string

// mergedUsr is mmdebstrap's own hook for /bin -> usr/bin; with it the image
// needs no usrmerge package, which would bring 50 MB of perl.
const mergedUsr = "/usr/share/mmdebstrap/hooks/merged-usr"

// basePackages are what makes the image an operating system that reaches the
// network and can run the cluster tasks.
func basePackages() []string {
	return []string{
		"systemd-sysv", "systemd-resolved", "udev", "dbus", "initramfs-tools", "zstd", "kmod",
		"iproute2", "ca-certificates", "usr-is-merged", "etcd-server", "etcd-client",
	}
}

// excludedPaths are not unpacked: reading matter, and the half of the kernel's
// modules that is for desktops.
func excludedPaths() []string {
	paths := []string{"/usr/share/doc/*", "/usr/share/info/*", "/usr/share/lintian/*", "/usr/share/locale/*", "/usr/share/man/*"}
	for _, dir := range []string{
		"sound", "drivers/bluetooth", "drivers/comedi", "drivers/gpu", "drivers/iio", "drivers/infiniband", "drivers/isdn",
		"drivers/media", "drivers/net/can", "drivers/net/wireless", "drivers/staging", "net/bluetooth", "net/mac80211", "net/wireless",
	} {
		paths = append(paths, "/lib/modules/*/kernel/"+dir+"/*")
	}
	return paths
}

// baseTree returns a tar file of the installed packages, from the cache if one
// was made from the same suite, packages, sources and hooks. A cached tree does
// not follow security updates: delete it to take the newest packages.
func baseTree(ctx context.Context, cfg OSConfig) (string, error) {
	apt, err := newAptSetup(cfg.Cache, cfg.From)
	if err != nil {
		return "", err
	}
	args := bootstrapArgs(cfg)
	key, err := treeKey(args, apt.sources)
	if err != nil {
		return "", err
	}
	out := filepath.Join(cfg.Cache, "os-tree", key+".tar")
	if _, err := os.Stat(out); err == nil {
		cfg.Log.Info("os tree from cache", "file", out)
		return out, nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	cfg.Log.Info("install os tree, takes a minute or more", "suite", cfg.From.Suite, "kernel", cfg.Kernel)
	partial := out + ".partial"
	args = append(args, apt.bootstrapArgs()...)
	args = append(append(args, cfg.From.Suite, partial), apt.sources...)
	if _, err := run(ctx, "", "mmdebstrap", args...); err != nil {
		os.Remove(partial)
		return "", err
	}
	return out, os.Rename(partial, out)
}

// bootstrapArgs are mmdebstrap's options, without suite, target and sources.
func bootstrapArgs(cfg OSConfig) []string {
	packages := append(append(basePackages(), cfg.Kernel), cfg.Packages...)
	args := []string{
		"--mode=root", "--variant=minbase", "--format=tar", "--include=" + strings.Join(packages, ","),
		"--hook-dir=" + mergedUsr, "--essential-hook=" + initramfsHook,
	}
	for _, p := range excludedPaths() {
		args = append(args, "--dpkgopt=path-exclude="+p)
	}
	return args
}

// treeKey names a tree by what goes into it.
func treeKey(args, sources []string) (string, error) {
	parts := slices.Clone(args)
	for _, file := range sources {
		body, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		parts = append(parts, string(body))
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// fileSum reads a whole file and returns its SHA-256 and size.
func fileSum(name string) (string, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}
