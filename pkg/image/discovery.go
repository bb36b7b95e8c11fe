package image

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ModuleList is the path, in a discovery image, of the modules to load: one
// absolute path per line, in order. The agent must go on when the kernel
// refuses one with ENODEV or EEXIST: some modules are for processors or
// devices the machine may not have.
const ModuleList = "/etc/drpd/modules"

// initrdWindow is the largest zstd window the kernel's unpacker accepts.
const initrdWindow = 8 << 20

// DiscoveryConfig says what goes into a discovery image.
type DiscoveryConfig struct {
	// Agent is the path of a statically linked executable; it becomes /init.
	Agent string
	// Kernel gives the modules; the machine must be booted with its Image.
	Kernel Kernel
	// Modules are the wanted kernel modules, usually those of a ModuleSet.
	Modules []string
	// Out is the path of the zstd-compressed image. It is replaced whole.
	Out string
}

// Discovery writes the initramfs. Equal inputs give equal bytes.
func Discovery(ctx context.Context, cfg DiscoveryConfig) error {
	agent, err := os.ReadFile(cfg.Agent)
	if err != nil {
		return fmt.Errorf("make discovery image: %w", err)
	}
	if err := checkStatic(agent); err != nil {
		return fmt.Errorf("make discovery image: agent %s: %w", cfg.Agent, err)
	}
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(initrdWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("make discovery image: %w", err)
	}
	if err := errors.Join(writeDiscovery(ctx, z, agent, cfg), z.Close()); err != nil {
		return fmt.Errorf("make discovery image: %w", err)
	}
	return replaceFile(cfg.Out, packed.Bytes())
}

func writeDiscovery(ctx context.Context, w io.Writer, agent []byte, cfg DiscoveryConfig) error {
	c := newCpioWriter(w)
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "mnt", "etc"} {
		if err := c.Dir(dir); err != nil {
			return err
		}
	}
	// The kernel opens this node for /init's output before anything is mounted.
	if err := c.Add(cpioEntry{Name: "dev/console", Mode: modeChar | 0o600, Major: 5, Minor: 1}); err != nil {
		return err
	}
	if err := c.File("init", 0o755, agent); err != nil {
		return err
	}
	if err := addModules(ctx, c, cfg.Kernel, cfg.Modules); err != nil {
		return err
	}
	return c.Close()
}

// addModules stores the modules uncompressed and unstripped: the agent needs
// no decompressor and signatures stay valid under Secure Boot.
func addModules(ctx context.Context, c *cpioWriter, k Kernel, want []string) error {
	index, err := readModuleIndex(k.Modules)
	if err != nil {
		return err
	}
	files, err := index.Order(want)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, file := range files {
		body, err := readModule(ctx, filepath.Join(k.Modules, file))
		if err != nil {
			return err
		}
		plain, _, _ := strings.Cut(file, ".ko")
		name := path.Join("/lib/modules", k.Release, plain+".ko")
		if err := c.File(name, 0o644, body); err != nil {
			return err
		}
		list.WriteString(name + "\n")
	}
	return c.File(ModuleList, 0o644, []byte(list.String()))
}

// readModule returns a module's ELF bytes, whichever way the distribution
// compressed it.
func readModule(ctx context.Context, file string) ([]byte, error) {
	tool := map[string]string{".xz": "xz", ".zst": "zstd"}[filepath.Ext(file)]
	if tool == "" {
		return os.ReadFile(file)
	}
	if err := requireTools(tool); err != nil {
		return nil, err
	}
	return run(ctx, "", tool, "-dc", file)
}

// checkStatic refuses what cannot run as /init: there is no loader and no
// library in the image.
func checkStatic(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("not an ELF program: %w", err)
	}
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("made for %s, want EM_X86_64", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("dynamically linked; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// replaceFile writes next to the target and renames, so that a reader never
// sees half an image.
func replaceFile(name string, body []byte) error {
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, body, 0o644); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	return nil
}
