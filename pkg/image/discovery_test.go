package image

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// staticELF is the smallest program header the image maker accepts; a second
// header of type interp makes it a dynamically linked one.
func staticELF(machine elf.Machine, interp bool) []byte {
	head := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(head.Ident[:], "\x7fELF\x02\x01\x01")
	prog := elf.Prog64{Type: uint32(elf.PT_LOAD)}
	if interp {
		prog.Type = uint32(elf.PT_INTERP)
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, head)
	_ = binary.Write(&b, binary.LittleEndian, prog)
	return b.Bytes()
}

// fixture lays out an agent and a kernel with two modules in dir.
func fixture(t *testing.T, dir string) DiscoveryConfig {
	t.Helper()
	modules := filepath.Join(dir, "lib", "modules", "6.1.0-test")
	for name, body := range map[string]string{
		"modules.dep":            "kernel/b.ko: kernel/a.ko\nkernel/a.ko:\n",
		"kernel/a.ko":            "module a",
		"kernel/b.ko":            "module b",
		"../../../agent":         string(staticELF(elf.EM_X86_64, false)),
		"../../../agent-arm":     string(staticELF(elf.EM_AARCH64, false)),
		"../../../agent-dynamic": string(staticELF(elf.EM_X86_64, true)),
		"../../../agent-script":  "#!/bin/sh\n",
	} {
		file := filepath.Join(modules, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(body), 0o644))
	}
	return DiscoveryConfig{
		Agent: filepath.Join(dir, "agent"), Kernel: Kernel{Release: "6.1.0-test", Modules: modules},
		Modules: []string{"b"}, Out: filepath.Join(dir, "initrd.zst"),
	}
}

func unpack(t *testing.T, file string) []parsedEntry {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(initrdWindow))
	require.NoError(t, err)
	defer z.Close()
	raw, err := io.ReadAll(z)
	require.NoError(t, err)
	return parseCpio(t, raw)
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	cfg := fixture(t, t.TempDir())
	require.NoError(t, Discovery(t.Context(), cfg))

	got := map[string]parsedEntry{}
	var names []string
	for _, e := range unpack(t, cfg.Out) {
		got[e.Name] = e
		names = append(names, e.Name)
		assert.Zero(t, e.Time, e.Name)
		assert.Zero(t, e.Owner, e.Name)
	}
	assert.Equal(t, strings.Fields(`proc sys dev run tmp mnt etc dev/console init lib lib/modules lib/modules/6.1.0-test
		lib/modules/6.1.0-test/kernel lib/modules/6.1.0-test/kernel/a.ko lib/modules/6.1.0-test/kernel/b.ko
		etc/drpd etc/drpd/modules TRAILER!!!`), names)
	assert.Equal(t, "/lib/modules/6.1.0-test/kernel/a.ko\n/lib/modules/6.1.0-test/kernel/b.ko\n", got["etc/drpd/modules"].Body)
	assert.Equal(t, "module b", got["lib/modules/6.1.0-test/kernel/b.ko"].Body)
	assert.Equal(t, uint64(0o100755), got["init"].Mode)
	assert.Equal(t, parsedEntry{Name: "dev/console", Ino: 8, Mode: 0o020600, Links: 1, Major: 5, Minor: 1}, got["dev/console"])
}

// TestDiscoveryDeterministic builds twice, from files of different age in
// different directories.
func TestDiscoveryDeterministic(t *testing.T) {
	t.Parallel()
	sum := func(age time.Duration) string {
		cfg := fixture(t, t.TempDir())
		at := time.Unix(1_700_000_000, 0).Add(-age)
		require.NoError(t, os.Chtimes(cfg.Agent, at, at))
		require.NoError(t, os.Chtimes(filepath.Join(cfg.Kernel.Modules, "kernel/a.ko"), at, at))
		require.NoError(t, Discovery(t.Context(), cfg))
		body, err := os.ReadFile(cfg.Out)
		require.NoError(t, err)
		s := sha256.Sum256(body)
		return hex.EncodeToString(s[:])
	}
	assert.Equal(t, sum(0), sum(time.Hour))
}

func TestDiscoveryRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*DiscoveryConfig)
		want string
	}{
		{"no agent", func(c *DiscoveryConfig) { c.Agent += "-none" }, "no such file"},
		{"dynamic agent", func(c *DiscoveryConfig) { c.Agent += "-dynamic" }, "dynamically linked; build it with CGO_ENABLED=0"},
		{"script", func(c *DiscoveryConfig) { c.Agent += "-script" }, "not an ELF program"},
		{"other machine", func(c *DiscoveryConfig) { c.Agent += "-arm" }, "made for EM_AARCH64, want EM_X86_64"},
		{"no such module", func(c *DiscoveryConfig) { c.Modules = []string{"zz"} }, "zz is neither a module"},
		{"no module files", func(c *DiscoveryConfig) { c.Kernel.Modules += "x" }, "create it with depmod"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := fixture(t, t.TempDir())
			tt.edit(&cfg)
			require.ErrorContains(t, Discovery(t.Context(), cfg), tt.want)
			assert.NoFileExists(t, cfg.Out)
		})
	}
}
