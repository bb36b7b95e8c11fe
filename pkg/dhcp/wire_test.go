package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/api"
	"drpd/pkg/proof"
	"drpd/pkg/pxe"
	"drpd/pkg/resource"
	"drpd/pkg/store/mem"
)

// inNamespace runs the calling test again in a network namespace of its own,
// with a bridge br0, and says whether this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("DRPD_TEST_NETNS") == t.Name() {
		sh(t, "ip link set lo up", "ip link add br0 type bridge mcast_snooping 0",
			"sysctl -qw net.ipv6.conf.br0.accept_dad=0", "ip addr add 10.0.0.1/24 dev br0", "ip link set br0 up")
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	if err := exec.Command("unshare", "-n", "true").Run(); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	c := exec.Command("unshare", "-n", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "DRPD_TEST_NETNS="+t.Name())
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	return false
}

func sh(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		f := strings.Fields(l)
		out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", l, out)
	}
}

// rack is a whole boot server on br0.
type rack struct {
	db    *resource.DB
	mu    sync.Mutex
	steps []string
	start time.Time
}

func (k *rack) record(_, step, detail string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.steps = append(k.steps, fmt.Sprintf("%5.1f %s %s", time.Since(k.start).Seconds(), step, detail))
}

func (k *rack) timeline() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.steps, "\n")
}

// serve runs DHCP, TFTP, HTTP and the router answers until the test ends.
func serve(t *testing.T, put func(tx *resource.Tx) error, blobs string, probe ProbeFunc) *rack {
	k := &rack{start: time.Now()}
	var err error
	k.db, err = resource.Open(t.Context(), resource.Config{Store: mem.New(mem.Config{}), Kinds: append(api.Kinds(), proof.Claims)})
	require.NoError(t, err)
	require.NoError(t, k.db.Update(t.Context(), put))
	files := pxe.New(pxe.Config{
		DB: k.db, Record: k.record,
		Open: func(p string) (*os.File, error) { return os.Open(filepath.Join(blobs, p)) },
		Render: func(_ resource.Reader, t pxe.Text) (string, error) {
			return t.Text, nil
		},
	})
	leases := New(Config{DB: k.db, Boot: files.Boot, Record: k.record, Interfaces: []string{"br0"}, Probe: probe})
	tftp, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 69})
	require.NoError(t, err)
	web := &http.Server{Addr: "10.0.0.1:8091", Handler: files.Handler()}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, leases.Run(ctx)) })
	wg.Go(func() { assert.NoError(t, files.ServeTFTP(ctx, tftp)) })
	wg.Go(func() { assert.ErrorIs(t, web.ListenAndServe(), http.ErrServerClosed) })
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, web.Close())
		wg.Wait()
	})
	return k
}

func labSubnet(tx *resource.Tx) error {
	return api.Subnets.Create(tx, &api.Subnet{
		Name: "lab", Enabled: true, Subnet: "10.0.0.1/24", ActiveStart: "10.0.0.10", ActiveEnd: "10.0.0.99", AnswerRouterSolicitations: true,
	})
}

func TestWire(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	sh(t, "ip link add v0 type veth peer name v1", "ip link set v0 master br0 up", "ip link set v1 up")
	used := func(_ context.Context, a netip.Addr) bool { return a.String() == "10.0.0.10" }
	k := serve(t, labSubnet, t.TempDir(), used)
	c, err := nclient4.New("v1", nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(5))
	require.NoError(t, err)
	defer c.Close()
	arch := dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 7})
	class := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007"))
	asks := dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName)
	l, err := c.Request(t.Context(), arch, class, asks)
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.11", l.ACK.YourIPAddr.String(), "10.0.0.10 is in use by a stranger")
	assert.Equal(t, "snponly.efi", l.ACK.BootFileName)
	assert.Equal(t, "10.0.0.1", l.ACK.ServerIPAddr.String())
	got, err := api.Leases.Get(k.db.View(), "10.0.0.11")
	require.NoError(t, err)
	assert.Equal(t, "ACK", got.State)
	parked, err := api.Leases.Get(k.db.View(), "10.0.0.10")
	require.NoError(t, err)
	assert.Equal(t, "INVALID", parked.State)
	never := *l.Offer
	never.YourIPAddr = net.IPv4(10, 0, 0, 50)
	_, err = c.RequestFromOffer(t.Context(), &never)
	var refused *nclient4.ErrNak
	assert.ErrorAs(t, err, &refused, "an address that was never offered")
}

// TestLab boots real firmware in QEMU. DRPD_LAB_KERNEL names a kernel.
func TestLab(t *testing.T) {
	kernel := os.Getenv("DRPD_LAB_KERNEL")
	if os.Getenv("DRPD_LAB") == "" || kernel == "" {
		t.Skip("set DRPD_LAB=1 and DRPD_LAB_KERNEL=<vmlinuz> to boot virtual machines")
	}
	if !inNamespace(t) {
		return
	}
	blobs := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(blobs, "files/lab"), 0o755))
	data, err := os.ReadFile(kernel)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(blobs, "files/lab/vmlinuz"), data, 0o644))
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"bios", []string{"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=0"}},
		{"uefi", append(ovmf(t), "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,romfile=,bootindex=0",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")},
		{"uefi http", append(ovmf(t), "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,romfile=,bootindex=0",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := serve(t, func(tx *resource.Tx) error {
				require.NoError(t, api.Files.Create(tx, &api.File{Path: "files/lab/vmlinuz"}))
				require.NoError(t, api.BootEnvs.Create(tx, &api.BootEnv{Name: "discovery", Kernel: "lab/vmlinuz", BootParams: "console=ttyS0 panic=-1 drpd.lab=yes"}))
				return labSubnet(tx)
			}, blobs, nil)
			serial := boot(t, tt.args, "drpd.lab=yes")
			t.Logf("%.1f s to the kernel\n%s\n", time.Since(k.start).Seconds(), k.timeline())
			assert.Contains(t, serial, "Linux version")
			assert.Contains(t, k.timeline(), "kernel files/lab/vmlinuz")
		})
	}
	t.Run("uefi disk", func(t *testing.T) { labLocalUEFI(t, blobs) })
	t.Run("bios disk", func(t *testing.T) { labLocalBIOS(t, blobs) })
}

func labLocal(tx *resource.Tx) error {
	if err := api.Preferences.Create(tx, &api.Preference{Name: "unknownBootEnv", Value: "local"}); err != nil {
		return err
	}
	if err := api.BootEnvs.Create(tx, &api.BootEnv{Name: "local"}); err != nil {
		return err
	}
	return labSubnet(tx)
}

// labLocalUEFI proves that firmware that is told to boot its disk does so: the
// disk holds another iPXE.
func labLocalUEFI(t *testing.T, blobs string) {
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.MkdirAll(filepath.Join(disk, "EFI/BOOT"), 0o755))
	loader, err := os.ReadFile("/usr/lib/ipxe/ipxe.efi")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(disk, "EFI/BOOT/BOOTX64.EFI"), loader, 0o644))
	k := serve(t, labLocal, blobs, nil)
	serial := boot(t, append(ovmf(t), "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,romfile=,bootindex=0",
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
		"-drive", "if=none,id=d0,format=raw,file=fat:rw:"+disk, "-device", "virtio-blk-pci,drive=d0,bootindex=1"), `starting Boot0001 "UEFI Misc Device"`)
	t.Logf("%.1f s to the disk\n%s", time.Since(k.start).Seconds(), k.timeline())
	assert.Contains(t, serial, "boots its local disk")
}

// labLocalBIOS does the same with a boot sector that writes to the serial port.
func labLocalBIOS(t *testing.T, blobs string) {
	sector := []byte{0xba, 0xf8, 0x03} // mov dx, 0x3f8
	for _, c := range []byte("\nDISK-BOOTS\n") {
		sector = append(sector, 0xb0, c, 0xee) // mov al, c; out dx, al
	}
	sector = append(sector, 0xf4, 0xeb, 0xfd) // hlt, again
	sector = append(append(sector, make([]byte, 510-len(sector))...), 0x55, 0xaa)
	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.WriteFile(disk, append(sector, make([]byte, 1<<20)...), 0o644))
	k := serve(t, labLocal, blobs, nil)
	serial := boot(t, []string{"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=0",
		"-drive", "if=none,id=d0,format=raw,file=" + disk, "-device", "virtio-blk-pci,drive=d0,bootindex=1"}, "DISK-BOOTS")
	t.Logf("%.1f s to the disk\n%s", time.Since(k.start).Seconds(), k.timeline())
	assert.Contains(t, serial, "boots its local disk")
}

func ovmf(t *testing.T) []string {
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		t.Skip("no OVMF here")
	}
	p := filepath.Join(t.TempDir(), "vars.fd")
	require.NoError(t, os.WriteFile(p, vars, 0o644))
	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,format=raw,file=" + p,
	}
}

// boot starts a virtual machine and returns its console once that shows mark.
func boot(t *testing.T, args []string, mark string) string {
	sh(t, "ip tuntap add dev tap0 mode tap", "ip link set tap0 master br0 up")
	defer sh(t, "ip link del tap0")
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{
		"-accel", "tcg,thread=multi", "-M", "q35,graphics=off", "-cpu", "qemu64,+rdrand", "-smp", "1", "-m", "512", "-nodefaults",
		"-display", "none", "-serial", "stdio", "-no-reboot", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
	}, args...)...)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	var problems bytes.Buffer
	c.Stderr = &problems
	require.NoError(t, c.Start())
	var console bytes.Buffer
	buf := make([]byte, 4096)
	for !bytes.Contains(console.Bytes(), []byte(mark)) {
		n, err := out.Read(buf)
		console.Write(buf[:n])
		if err != nil {
			cancel()
			c.Wait()
			t.Fatalf("console ended without %q: %v\n%s\n%s", mark, err, console.String(), problems.String())
		}
	}
	cancel()
	c.Wait()
	return console.String()
}
