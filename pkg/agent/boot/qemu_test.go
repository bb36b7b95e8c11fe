//go:build linux

package boot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	imageSize = 256 << 20
	diskSize  = 300 << 20
	bootMAC   = "52:54:00:aa:00:01"
	guestWait = 4 * time.Minute
)

// guest is one kind of machine the test boots.
type guest struct {
	kernel  string // of the kernels directory: "cloud-amd64" or "amd64"
	cpu     string
	modules []string
	devices []string
	mode    string // of the wipe
}

func guests() map[string]guest {
	net := []string{"virtio_pci", "virtio_net"}
	return map[string]guest{
		"virtio": {kernel: "cloud-amd64", cpu: "qemu64", mode: "zero", modules: append(net, "virtio_blk"),
			devices: []string{"virtio-blk-pci,drive=d,serial=TESTDISK1"}},
		"virtio-cpu-max": {kernel: "cloud-amd64", cpu: "max", mode: "write", modules: append(net, "virtio_blk"),
			devices: []string{"virtio-blk-pci,drive=d,serial=TESTDISK1"}},
		"nvme": {kernel: "cloud-amd64", cpu: "max", mode: "discard", modules: net,
			devices: []string{"nvme,drive=d,serial=TESTDISK1"}},
		"ahci": {kernel: "amd64", cpu: "max", mode: "zero",
			modules: append(net, "ahci", "sd_mod", "crc32c_generic", "ext4"),
			devices: []string{"ide-hd,drive=d,serial=TESTDISK1"}},
	}
}

// TestQEMU boots the packages in virtual machines: it deploys an image to a
// disk, personalizes it, wipes it and checks that it is blank. It needs
// DRPD_TEST_KERNELS, a directory of unpacked Debian kernel packages
// x-linux-image-* on which depmod was run, and qemu, sgdisk, mkfs.ext4, debugfs.
func TestQEMU(t *testing.T) {
	kernels := os.Getenv("DRPD_TEST_KERNELS")
	if kernels == "" {
		t.Skip("DRPD_TEST_KERNELS is not set")
	}
	dir := t.TempDir()
	initBin := buildInit(t, dir)
	packed := makeImage(t, dir)
	sum := sha256.Sum256(packed)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(packed) }))
	t.Cleanup(srv.Close)
	url := strings.Replace(srv.URL, "127.0.0.1", "10.0.2.2", 1)
	for name, g := range guests() {
		t.Run(name, func(t *testing.T) {
			initrd := makeInitrd(t, initBin, kernels, g)
			target := filepath.Join(t.TempDir(), "disk")
			noise := make([]byte, 8<<20) // what must not shine through
			fillNoise(noise)
			require.NoError(t, os.WriteFile(target, bytes.Repeat(noise, diskSize/len(noise)+1)[:diskSize], 0o600))
			common := "drpd.mac=" + bootMAC + " drpd.serial=TESTDISK1 "
			out := g.boot(t, kernels, initrd, target, common+fmt.Sprintf("drpd.url=%s drpd.size=%d drpd.sha256=%s",
				url, imageSize, hex.EncodeToString(sum[:])))
			require.Contains(t, out, "RESULT OK")
			assert.Contains(t, out, "Verified:true")
			assert.Contains(t, out, `"BootMAC":"`+bootMAC+`"`)
			checkDeployed(t, target)
			out = g.boot(t, kernels, initrd, target, common+"drpd.do=wipe drpd.mode="+g.mode)
			require.Contains(t, out, "RESULT OK")
			b, err := os.ReadFile(target)
			require.NoError(t, err)
			assert.Equal(t, diskSize, len(b))
			assert.Equal(t, -1, bytes.IndexFunc(b, func(r rune) bool { return r != 0 }))
		})
	}
}

// TestQEMUBench prints how fast the parts of a deploy are under emulation, with
// a plain and with the fullest processor.
func TestQEMUBench(t *testing.T) {
	kernels := os.Getenv("DRPD_TEST_KERNELS")
	if kernels == "" {
		t.Skip("DRPD_TEST_KERNELS is not set")
	}
	initBin := buildInit(t, t.TempDir())
	for _, name := range []string{"virtio", "virtio-cpu-max"} {
		t.Run(name, func(t *testing.T) {
			g := guests()[name]
			target := filepath.Join(t.TempDir(), "disk")
			require.NoError(t, os.WriteFile(target, make([]byte, 1<<20), 0o600))
			out := g.boot(t, kernels, makeInitrd(t, initBin, kernels, g), target, "drpd.do=bench")
			assert.Contains(t, out, "RESULT OK")
		})
	}
}

func buildInit(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "init")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", name, "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, build)
	return name
}

// checkDeployed looks at the disk with tools that share no code with ours.
func checkDeployed(t *testing.T, disk string) {
	t.Helper()
	assert.Contains(t, run(t, exec.Command("sgdisk", "-v", disk)), "No problems found")
	fs := disk + "?offset=1048576"
	assert.Equal(t, "node7\n", run(t, exec.Command("debugfs", "-R", "cat /etc/hostname", fs)))
	dump := filepath.Join(t.TempDir(), "blob")
	run(t, exec.Command("debugfs", "-R", "dump /blob "+dump, fs))
	want := make([]byte, 64<<20)
	fillNoise(want)
	got, err := os.ReadFile(dump)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got), "file in the image differs")
}

// makeImage builds a disk image with a GPT and an ext4 file system and packs it.
func makeImage(t *testing.T, dir string) []byte {
	t.Helper()
	tree, img := filepath.Join(dir, "tree"), filepath.Join(dir, "image")
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "etc"), 0o755))
	blob := make([]byte, 64<<20)
	fillNoise(blob)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "blob"), blob, 0o600))
	require.NoError(t, os.WriteFile(img, nil, 0o600))
	require.NoError(t, os.Truncate(img, imageSize))
	run(t, exec.Command("sgdisk", "-n", "1:2048:0", img))
	run(t, exec.Command("mkfs.ext4", "-q", "-L", "root", "-d", tree, "-E", "offset=1048576", img, "250M"))
	raw, err := os.ReadFile(img)
	require.NoError(t, err)
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return enc.EncodeAll(raw, nil)
}

// fillNoise makes data that packs to about half, as an operating system does.
func fillNoise(b []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i+16 <= len(b); i += 16 {
		n := r.Uint64()
		for k := range 8 {
			b[i+k] = byte(n>>(8*k)) | 1
		}
		copy(b[i+8:i+16], "drpdtext")
	}
}

func (g guest) boot(t *testing.T, kernels, initrd, disk, cmdline string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guestWait)
	defer cancel()
	kernel, err := filepath.Glob(filepath.Join(kernels, "x-linux-image-*[0-9]-"+g.kernel, "boot/vmlinuz-*"))
	require.NoError(t, err)
	require.Len(t, kernel, 1)
	args := []string{"-accel", "tcg,thread=multi", "-M", "q35", "-cpu", g.cpu, "-smp", "1", "-m", "512",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel[0], "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 net.ifnames=0 " + cmdline,
		"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile=,mac=" + bootMAC,
		"-drive", "if=none,id=d,format=raw,cache=unsafe,discard=unmap,file=" + disk}
	for _, d := range g.devices {
		args = append(args, "-device", d)
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "drpd: ") || strings.Contains(line, "panic") {
			t.Log(strings.TrimSpace(line))
		}
	}
	t.Logf("QEMU cpu %.1f s", (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	return string(out)
}

// makeInitrd packs the agent and its modules, in order, as a cpio archive.
func makeInitrd(t *testing.T, initBin, kernels string, g guest) string {
	t.Helper()
	deps, err := filepath.Glob(filepath.Join(kernels, "x-linux-image-*[0-9]-"+g.kernel, "lib/modules/*/modules.dep"))
	require.NoError(t, err)
	require.Len(t, deps, 1)
	text, err := os.ReadFile(deps[0])
	require.NoError(t, err)
	var a archive
	for _, d := range []string{"dev", "proc", "sys", "etc", "etc/drpd"} {
		a.add(d, 0o40755, nil)
	}
	bin, err := os.ReadFile(initBin)
	require.NoError(t, err)
	a.add("init", 0o100755, bin)
	var list []string
	seen := map[string]bool{}
	for _, m := range g.modules {
		for _, path := range moduleOrder(string(text), m) {
			if seen[path] {
				continue
			}
			seen[path] = true
			b, err := os.ReadFile(filepath.Join(filepath.Dir(deps[0]), path))
			require.NoError(t, err)
			a.add("etc/drpd/"+filepath.Base(path), 0o100644, b)
			list = append(list, filepath.Base(path))
		}
	}
	a.add("etc/drpd/modules", 0o100644, []byte(strings.Join(list, "\n")+"\n"))
	a.add("TRAILER!!!", 0, nil)
	name := filepath.Join(t.TempDir(), "initrd")
	require.NoError(t, os.WriteFile(name, a.Bytes(), 0o600))
	return name
}

// moduleOrder gives the module after all that it needs; nothing for one that is
// built in.
func moduleOrder(deps, name string) []string {
	for line := range strings.Lines(deps) {
		self, needs, _ := strings.Cut(line, ":")
		if filepath.Base(self) != name+".ko" {
			continue
		}
		order := strings.Fields(needs)
		for i, k := 0, len(order)-1; i < k; i, k = i+1, k-1 {
			order[i], order[k] = order[k], order[i]
		}
		return append(order, self)
	}
	return nil
}

// archive is a cpio archive in the "newc" format.
type archive struct{ bytes.Buffer }

func (a *archive) add(name string, mode int, data []byte) {
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.Len(), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.WriteString(name + "\x00")
	a.align()
	a.Write(data)
	a.align()
}

func (a *archive) align() { a.Write(make([]byte, -a.Len()&3)) }

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s%s", cmd.Args, out, stderr.String())
	return string(out)
}
