package lab_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"drpd/pkg/sim/lab"
	"drpd/pkg/sim/redfish"
)

// realRack makes a rack with real processes, or skips the test.
func realRack(t *testing.T, tools ...string) *lab.Rack {
	t.Helper()
	if os.Getenv("DRPD_LAB") != "1" {
		t.Skip("set DRPD_LAB=1 to run tests with QEMU machines (as root)")
	}
	if err := lab.Check(); err != nil {
		t.Skip(err)
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this test needs the program %s: %v", tool, err)
		}
	}
	// Not t.TempDir: its paths are too long for sockets.
	dir, err := os.MkdirTemp("", "lab")
	require.NoError(t, err)
	labctl := filepath.Join(dir, "labctl")
	out, err := exec.Command("go", "build", "-o", labctl, "drpd/pkg/sim/labctl").CombinedOutput()
	require.NoError(t, err, string(out))
	rack, err := lab.Create(t.Context(), lab.Config{Dir: filepath.Join(dir, "r"), Labctl: labctl})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, rack.Destroy(ctx))
		assert.NoDirExists(t, "/run/netns/"+rack.Namespace)
		require.NoError(t, os.RemoveAll(dir))
	})
	return rack
}

func addNode(t *testing.T, rack *lab.Rack, cfg lab.NodeConfig) *lab.Node {
	t.Helper()
	cfg.MAC, cfg.UUID, cfg.MemoryMiB = "52:54:00:aa:00:01", "a1234567-89ab-4def-a123-456789abcdef", 256
	if cfg.BMC.Kind != "" {
		cfg.BMC.Address, cfg.BMC.User, cfg.BMC.Password = "192.168.124.201", "admin", "secret"
	}
	node, err := rack.AddNode(t.Context(), cfg)
	require.NoError(t, err)
	return node
}

// in runs a client inside the rack and returns what it says.
func in(t *testing.T, rack *lab.Rack, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := rack.Command(ctx, name, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	return string(out)
}

func ipmi(t *testing.T, rack *lab.Rack, args ...string) string {
	t.Helper()
	login := []string{"-I", "lanplus", "-C", "3", "-H", "192.168.124.201", "-U", "admin", "-P", "secret"}
	return strings.TrimSpace(in(t, rack, "ipmitool", append(login, args...)...))
}

// eventually waits for an effect that a BMC brings about after its answer.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 15*time.Second, 20*time.Millisecond, what)
}

func TestRealIPMI(t *testing.T) {
	rack := realRack(t, "ipmitool", "ipmi_sim")
	node := addNode(t, rack, lab.NodeConfig{Name: "i1", BMC: lab.BMC{Kind: lab.IPMI}})

	assert.Equal(t, "Chassis Power is off", ipmi(t, rack, "power", "status"))
	assert.Equal(t, "Set Boot Device to pxe", ipmi(t, rack, "chassis", "bootdev", "pxe"))
	boot, err := node.Boot()
	require.NoError(t, err)
	assert.Equal(t, lab.Boot{Device: lab.BootPXE, Once: true}, boot)

	ipmi(t, rack, "power", "on")
	eventually(t, "on", func() bool { return node.Power() == lab.On })
	assert.Equal(t, "Chassis Power is on", ipmi(t, rack, "power", "status"))
	boot, err = node.Boot()
	require.NoError(t, err)
	assert.Equal(t, lab.Boot{}, boot, "used up by the power-on")

	before := pid(t, node)
	ipmi(t, rack, "power", "cycle")
	eventually(t, "another QEMU", func() bool { return node.Power() == lab.On && pid(t, node) != before })
	before = pid(t, node)
	ipmi(t, rack, "power", "reset")
	eventually(t, "another QEMU", func() bool { return node.Power() == lab.On && pid(t, node) != before })

	ipmi(t, rack, "power", "off")
	eventually(t, "off", func() bool { return node.Power() == lab.Off })
	var calls errgroup.Group
	for range 6 {
		calls.Go(func() error {
			return exec.CommandContext(t.Context(), rack.Labctl, "chassis", "--dir", rack.Dir, "--node", "i1", "set", "power", "1").Run()
		})
	}
	require.NoError(t, calls.Wait(), "calls at the same time, as from several BMC sessions")
	assert.Equal(t, lab.On, node.Power())

	require.NoError(t, node.PowerOff(t.Context()))

	wrong := rack.Command(t.Context(), "ipmitool", "-I", "lanplus", "-C", "3", "-N", "1", "-R", "1", "-H", "192.168.124.201", "-U", "admin", "-P", "wrong", "power", "status")
	require.Error(t, wrong.Run(), "a wrong password is refused")

	require.NoError(t, rack.KillProcess(t.Context(), node.BMCProcess(), syscall.SIGKILL))
	require.NoError(t, node.StartBMC(t.Context()))
	assert.Equal(t, "Chassis Power is off", ipmi(t, rack, "power", "status"))
}

func pid(t *testing.T, node *lab.Node) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(node.DiskPath()), "qemu.pid"))
	if err != nil {
		return "" // between two QEMUs
	}
	return string(data)
}

func TestRealRedfishTool(t *testing.T) {
	rack := realRack(t, "redfishtool")
	node := addNode(t, rack, lab.NodeConfig{Name: "r1", BMC: lab.BMC{Kind: lab.Redfish}})
	tool := func(auth string, args ...string) string {
		login := []string{"-r", "192.168.124.201", "-u", "admin", "-p", "secret", "-S", "Always", "-A", auth}
		return in(t, rack, "redfishtool", append(login, args...)...)
	}

	assert.Contains(t, tool("Session", "Systems", "get"), `"PowerState": "Off"`)
	assert.Contains(t, tool("Session", "Systems", "setBootOverride", "Once", "Pxe"), `"BootSourceOverrideTarget": "Pxe"`)
	tool("Basic", "Systems", "reset", "On")
	assert.Equal(t, lab.On, node.Power())
	assert.Contains(t, tool("Basic", "Systems", "get"), `"BootSourceOverrideEnabled": "Disabled"`)
	before := pid(t, node)
	tool("Session", "Systems", "reset", "PowerCycle")
	assert.NotEqual(t, before, pid(t, node))
	tool("Session", "Systems", "reset", "ForceOff")
	assert.Equal(t, lab.Off, node.Power())
	assert.Contains(t, tool("Basic", "Chassis", "get"), `"ChassisType": "RackMount"`)
	assert.Contains(t, tool("Basic", "Managers", "get"), `"ManagerType": "BMC"`)

	fault := filepath.Join(filepath.Dir(node.DiskPath()), "redfish-fault.json")
	require.NoError(t, redfish.WriteFault(fault, redfish.Fault{Claim: "On"}))
	assert.Contains(t, tool("Basic", "Systems", "get"), `"PowerState": "On"`, "a lie: the machine is off")
}

func TestRealSushy(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's modules
	rack := realRack(t, python)
	if err := exec.Command(python, "-c", "import sushy").Run(); err != nil {
		t.Skip("this test needs Debian's package python3-sushy")
	}
	node := addNode(t, rack, lab.NodeConfig{Name: "s1", BMC: lab.BMC{Kind: lab.Redfish}})
	script, err := filepath.Abs("testdata/sushy_power.py")
	require.NoError(t, err)
	out := in(t, rack, python, script, "https://192.168.124.201", "admin", "secret")
	assert.Equal(t, []string{
		"off", "boot pxe once", "on", "boot none disabled", "on after restart", "off at the end",
	}, strings.Split(strings.TrimSpace(out), "\n"))
	assert.Equal(t, lab.Off, node.Power())
}

// TestRealNetworkBoot orders one PXE boot through the BMC, follows it to an
// iPXE script fetched over HTTP, and sees the reboot go to the disk.
func TestRealNetworkBoot(t *testing.T) {
	diskTurn := map[string]string{
		lab.BIOS: `Booting from Hard Disk`,
		lab.UEFI: `failed to load Boot\d+ "UEFI[^"]* (NVMe|Misc Device)`,
	}
	cases := []struct {
		name, firmware, disk, bmc string
	}{
		{"bios", lab.BIOS, lab.Virtio, lab.IPMI},
		{"bios-ahci", lab.BIOS, lab.AHCI, lab.IPMI},
		{"uefi", lab.UEFI, lab.NVMe, lab.Redfish},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rack := realRack(t, "dnsmasq", "ipmitool", "ipmi_sim", "redfishtool")
			node := addNode(t, rack, lab.NodeConfig{Name: c.name, Firmware: c.firmware, Disk: c.disk, BMC: lab.BMC{Kind: c.bmc}})
			fetched := serveScript(t, rack, "#!ipxe\necho the script ran on ${platform}\nreboot\n")
			startDHCP(t, rack)

			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			start := time.Now()
			if c.bmc == lab.IPMI {
				ipmi(t, rack, "chassis", "bootdev", "pxe")
				ipmi(t, rack, "power", "on")
			} else {
				login := []string{"-r", "192.168.124.201", "-u", "admin", "-p", "secret", "-S", "Always", "Systems"}
				in(t, rack, "redfishtool", append(login, "setBootOverride", "Once", "Pxe")...)
				in(t, rack, "redfishtool", append(login, "reset", "On")...)
			}
			select {
			case mac := <-fetched:
				assert.Equal(t, node.MAC, mac)
			case <-ctx.Done():
				t.Fatalf("no script was fetched; console: %s", node.SerialLog())
			}
			_, at, err := node.WaitSerial(ctx, 0, regexp.MustCompile(`the script ran on \w+`))
			require.NoError(t, err)
			script := time.Since(start)
			_, _, err = node.WaitSerial(ctx, at, regexp.MustCompile(diskTurn[c.firmware]))
			require.NoError(t, err, "the reboot tries the disk first")
			cpu, err := node.CPUSeconds()
			require.NoError(t, err)
			t.Logf("script after %.1f s, disk after reboot %.1f s, CPU %.1f s", script.Seconds(), time.Since(start).Seconds(), cpu)
		})
	}
}

// serveScript answers every HTTP request in the rack with an iPXE script and
// reports the MAC of who asked first.
func serveScript(t *testing.T, rack *lab.Rack, script string) <-chan string {
	t.Helper()
	ln, err := rack.Listen(t.Context(), "tcp", "192.168.124.1:8080")
	require.NoError(t, err)
	fetched := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case fetched <- r.URL.Query().Get("mac"):
		default:
		}
		_, _ = w.Write([]byte(script))
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return fetched
}

// startDHCP runs dnsmasq as an independent boot server with router
// advertisements, without which iPXE waits 13 s.
func startDHCP(t *testing.T, rack *lab.Rack) {
	t.Helper()
	dir := filepath.Join(rack.Dir, "dnsmasq")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	loader, err := os.ReadFile("/usr/lib/ipxe/snponly.efi")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "snponly.efi"), loader, 0o644))
	config := fmt.Sprintf(`port=0
interface=%s
bind-interfaces
no-ping
dhcp-authoritative
dhcp-range=192.168.124.100,192.168.124.150,10m
dhcp-range=::,constructor:%[1]s,ra-only
enable-ra
enable-tftp
tftp-root=%s
user=root
dhcp-leasefile=%[2]s/leases
pid-file=%[2]s/pid
dhcp-match=set:ipxe,175
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-option=tag:ipxe,encap:175,176,1b
dhcp-boot=tag:ipxe,"http://192.168.124.1:8080/boot.ipxe?mac=${net0/mac}"
dhcp-boot=tag:efi,tag:!ipxe,snponly.efi
`, rack.Bridge, dir)
	file := filepath.Join(dir, "conf")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o644))
	cmd := rack.Command(t.Context(), "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file="+file)
	require.NoError(t, rack.StartProcess("dnsmasq", cmd, filepath.Join(dir, "log")))
}
