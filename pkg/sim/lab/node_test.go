package lab

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bareNode is a node on disk without a network or a process.
func bareNode(t *testing.T, change func(*NodeConfig)) *Node {
	t.Helper()
	cfg := NodeConfig{Name: "n1", MAC: "52:54:00:AA:00:01", UUID: "A1234567-89ab-4def-a123-456789abcdef"}
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.complete("192.168.124.1/24"))
	rack := &Rack{Config{Dir: t.TempDir(), Labctl: "/opt/labctl"}}
	n := &Node{NodeConfig: cfg, Index: 1, rack: rack}
	require.NoError(t, os.MkdirAll(n.path(), 0o755))
	require.NoError(t, n.saveBoot(Boot{}))
	require.NoError(t, writeJSON(n.path(nodeFile), n))
	return n
}

func TestQEMUArgs(t *testing.T) {
	t.Parallel()
	const base = "-name n1 -accel tcg,thread=multi -M q35,graphics=off -cpu qemu64,+rdrand -smp 1 -m 512 -nodefaults -display none" +
		" -uuid a1234567-89ab-4def-a123-456789abcdef -smbios type=1,manufacturer=Simulated,product=drpd-lab,serial=n1" +
		" -qmp unix:DIR/nodes/n1/qmp.sock,server=on,wait=off -pidfile DIR/nodes/n1/qemu.pid -daemonize"
	const drive = " -drive if=none,id=d0,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=DIR/nodes/n1/disk.raw"
	const tap = " -netdev tap,id=n0,ifname=tap1,script=no,downscript=no"
	cases := []struct {
		name     string
		change   func(*NodeConfig)
		netFirst bool
		want     string
	}{
		{
			"bios from disk", nil, false,
			base + " -chardev socket,id=s0,path=DIR/nodes/n1/serial.sock,server=on,wait=off,logfile=DIR/nodes/n1/serial.log,logappend=on -serial chardev:s0" +
				tap + " -device virtio-net-pci,id=nic0,netdev=n0,mac=52:54:00:aa:00:01,bootindex=1" +
				drive + " -device virtio-blk-pci,id=disk0,drive=d0,serial=n1,bootindex=0",
		},
		{
			"uefi with ipmi from the network",
			func(c *NodeConfig) {
				c.Firmware, c.Disk, c.DiskSerial, c.HTTPBoot = UEFI, NVMe, "S-1", true
				c.BMC = BMC{IPMI, "192.168.124.201", "admin", "secret"}
			},
			true,
			base + " -chardev socket,id=s0,host=127.0.0.1,port=9001,telnet=on,server=on,wait=off,logfile=DIR/nodes/n1/serial.log,logappend=on -serial chardev:s0" +
				" -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive if=pflash,format=raw,file=DIR/nodes/n1/vars.fd" +
				" -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n" +
				tap + " -device virtio-net-pci,id=nic0,netdev=n0,mac=52:54:00:aa:00:01,bootindex=0,romfile=" +
				drive + " -device nvme,id=disk0,drive=d0,serial=S-1,bootindex=1",
		},
		{
			"ahci", func(c *NodeConfig) { c.Disk = AHCI }, false,
			base + " -chardev socket,id=s0,path=DIR/nodes/n1/serial.sock,server=on,wait=off,logfile=DIR/nodes/n1/serial.log,logappend=on -serial chardev:s0" +
				tap + " -device virtio-net-pci,id=nic0,netdev=n0,mac=52:54:00:aa:00:01,bootindex=1" +
				drive + " -device ide-hd,bus=ide.0,id=disk0,drive=d0,serial=n1,bootindex=0",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := bareNode(t, c.change)
			got := strings.ReplaceAll(strings.Join(n.qemuArgs(c.netFirst), " "), n.rack.Dir, "DIR")
			assert.Equal(t, c.want, got)
		})
	}
}

func TestBootOrder(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name         string
		netFirst     bool
		boot         Boot
		first, later bool // the network before the disk
	}{
		{"default", false, Boot{}, false, false},
		{"default of a net-first machine", true, Boot{}, true, true},
		{"pxe once", false, Boot{BootPXE, true}, true, false},
		{"pxe for good", false, Boot{BootPXE, false}, true, true},
		{"disk once on a net-first machine", true, Boot{BootDisk, true}, false, true},
	}
	for _, c := range cases {
		n := &Node{NodeConfig: NodeConfig{NetFirst: c.netFirst}}
		first, later := n.bootOrder(c.boot)
		assert.Equal(t, c.first, first, c.name)
		assert.Equal(t, c.later, later, c.name)
	}
}

func TestNodeConfigRefused(t *testing.T) {
	t.Parallel()
	ipmi := BMC{IPMI, "192.168.124.201", "admin", "secret"}
	cases := []struct {
		change func(*NodeConfig)
		want   string
	}{
		{func(c *NodeConfig) { c.Name = "../x" }, `name "../x": use at most`},
		{func(c *NodeConfig) { c.Name = "" }, `name "": use at most`},
		{func(c *NodeConfig) { c.MAC = "01:00:5e:00:00:01" }, `MAC "01:00:5e:00:00:01": give a unicast`},
		{func(c *NodeConfig) { c.MAC = "x" }, `MAC "x"`},
		{func(c *NodeConfig) { c.UUID = "x" }, `UUID "x"`},
		{func(c *NodeConfig) { c.Firmware = "coreboot" }, `firmware "coreboot": use bios or uefi`},
		{func(c *NodeConfig) { c.HTTPBoot = true }, "HTTP boot needs firmware uefi"},
		{func(c *NodeConfig) { c.Disk = "floppy" }, `disk "floppy"`},
		{func(c *NodeConfig) { c.DiskSerial = "a,b" }, `disk serial "a,b"`},
		{func(c *NodeConfig) { c.DiskSerial = strings.Repeat("x", 21) }, "use 1 to 20"},
		{func(c *NodeConfig) { c.DiskSize = 1<<20 + 1 }, "disk size 1048577: use a multiple of 512"},
		{func(c *NodeConfig) { c.MemoryMiB = 1 }, "memory 1 MiB: use 128 to 16384"},
		{func(c *NodeConfig) { c.BMC = ipmi; c.BMC.Kind = "ilo" }, `BMC kind "ilo"`},
		{func(c *NodeConfig) { c.BMC = ipmi; c.BMC.Address = "10.0.0.1" }, `BMC address "10.0.0.1": give a free address in 192.168.124.0/24`},
		{func(c *NodeConfig) { c.BMC = ipmi; c.BMC.Address = "192.168.124.1" }, "give a free address"},
		{func(c *NodeConfig) { c.BMC = ipmi; c.BMC.Password = "a\"b" }, "BMC user"},
		{func(c *NodeConfig) { c.BMC = ipmi; c.BMC.User = strings.Repeat("x", 17) }, "BMC user"},
	}
	for _, c := range cases {
		cfg := NodeConfig{Name: "n1", MAC: "52:54:00:aa:00:01", UUID: "a1234567-89ab-4def-a123-456789abcdef"}
		c.change(&cfg)
		assert.ErrorContains(t, cfg.complete("192.168.124.1/24"), c.want)
	}
}

func TestPlaceNode(t *testing.T) {
	t.Parallel()
	first := bareNode(t, func(c *NodeConfig) { c.BMC = BMC{IPMI, "192.168.124.201", "admin", "secret"} })
	other := NodeConfig{Name: "n2", MAC: "52:54:00:aa:00:02", UUID: "b", BMC: BMC{Kind: NoBMC}}

	n, err := first.rack.placeNode(other)
	require.NoError(t, err)
	assert.Equal(t, 2, n.Index)

	same := other
	same.Name = "n1"
	_, err = first.rack.placeNode(same)
	require.ErrorContains(t, err, "has a node of this name")
	same = other
	same.MAC = first.MAC
	_, err = first.rack.placeNode(same)
	require.ErrorContains(t, err, "node n1 has the same MAC or UUID")
	same = other
	same.BMC = first.BMC
	_, err = first.rack.placeNode(same)
	require.ErrorContains(t, err, "node n1 has the BMC address")
	first.rack.Dir += strings.Repeat("x", 100)
	_, err = first.rack.placeNode(other)
	require.ErrorContains(t, err, "use a shorter rack directory")
}

func TestConfigComplete(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: "/x"}
	require.NoError(t, cfg.complete())
	assert.Regexp(t, `^drpd-lab-[0-9a-f]{6}$`, cfg.Namespace)
	assert.Equal(t, []string{"br0", "192.168.124.1/24", "fd00:124::1/64"}, []string{cfg.Bridge, cfg.CIDR, cfg.CIDR6})
	for want, bad := range map[string]Config{
		"path without commas":  {Dir: "/a,b"},
		"directory \"\"":       {},
		`name "a b"`:           {Dir: "/x", Namespace: "a b"},
		`address "fe80::1"`:    {Dir: "/x", CIDR: "fe80::1"},
		`address "10.0.0.0/8"`: {Dir: "/x", CIDR6: "10.0.0.0/8"},
	} {
		assert.ErrorContains(t, bad.complete(), want)
	}
}

func TestPIDNeedsProof(t *testing.T) {
	t.Parallel()
	n := bareNode(t, nil)
	for _, content := range []string{"", "x", "-1", "0", strconv.Itoa(os.Getpid()), "999999999"} {
		require.NoError(t, os.WriteFile(n.path("qemu.pid"), []byte(content), 0o600))
		assert.Equal(t, Off, n.Power(), "pid file %q", content)
	}
	require.NoError(t, n.PowerOff(t.Context()), "does not kill this test, whose pid is no QEMU")

	assert.True(t, isQEMU([]byte("/usr/bin/qemu-system-x86_64\x00-pidfile\x00/a/qemu.pid\x00-x\x00"), "/a/qemu.pid"))
	assert.False(t, isQEMU([]byte("qemu-system-x86_64\x00-pidfile\x00/b/qemu.pid\x00"), "/a/qemu.pid"))
	assert.False(t, isQEMU([]byte("vi\x00-pidfile\x00/a/qemu.pid\x00"), "/a/qemu.pid"))
	assert.False(t, isQEMU(nil, "/a/qemu.pid"))
}

func TestIPMIConfig(t *testing.T) {
	t.Parallel()
	n := bareNode(t, func(c *NodeConfig) { c.BMC = BMC{IPMI, "192.168.124.201", "admin", "secret"} })
	want := `name "n1"
set_working_mc 0x20
startlan 1
  addr 192.168.124.201 623
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789ab4defa123456789abcdef
endlan
chassis_control "/opt/labctl chassis --dir DIR --node n1 --"
sol "telnet:127.0.0.1:9001" 115200
user 2 true "admin" "secret" admin 10 none md2 md5 straight
`
	assert.Equal(t, want, strings.ReplaceAll(n.ipmiConfig(), n.rack.Dir, "DIR"))

	n.rack.Labctl = ""
	_, _, _, err := n.bmcCommand(context.Background())
	assert.ErrorContains(t, err, "a BMC needs the labctl program")
}
