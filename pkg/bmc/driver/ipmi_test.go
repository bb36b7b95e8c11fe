package driver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chassisScript is what ipmi_sim calls for power and boot orders: state in files
// of the directory it is in, every order as a line in "calls". A file "stuck"
// makes it a chassis that takes orders and does nothing.
const chassisScript = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
shift 2
[ "$1" = set ] && echo "$@" >> calls
case "$1 $2" in
"get power") echo "power:$(cat power)" ;;
"get boot") echo "boot:default" ;;
"set power") [ -e stuck ] || echo "$3" > power ;;
"set shutdown") [ -e stuck ] || echo 0 > power ;;
esac
`

const lanConf = `name "node1"
set_working_mc 0x20
startlan 1
  addr 127.0.0.1 %d
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid a123456789abcdefa123456789abcdef
endlan
chassis_control "%s/chassis node1 0x20"
user 2 true "admin" "S3cr#tPass" admin 10 none md2 md5 straight
`

const emuCommands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`

// ipmiSim is a running ipmi_sim with its chassis in dir.
type ipmiSim struct {
	dir    string
	target Target
}

func startIPMISim(t *testing.T) *ipmiSim {
	t.Helper()
	for _, name := range []string{"ipmi_sim", "ipmitool"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is missing: install the Debian packages openipmi and ipmitool", name)
		}
	}
	dir, port := t.TempDir(), freeUDPPort(t)
	write(t, filepath.Join(dir, "chassis"), chassisScript, 0o755)
	write(t, filepath.Join(dir, "power"), "0\n", 0o644)
	write(t, filepath.Join(dir, "lan.conf"), fmt.Sprintf(lanConf, port, dir), 0o644)
	write(t, filepath.Join(dir, "sim.emu"), emuCommands, 0o644)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ipmi_sim", "-n", "-c", filepath.Join(dir, "lan.conf"),
		"-f", filepath.Join(dir, "sim.emu"), "-s", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ends by our kill
	})
	sim := &ipmiSim{dir: dir, target: Target{Mode: ModeIPMI, Address: "127.0.0.1", Port: port,
		User: "admin", Password: "S3cr#tPass", CipherSuite: "3"}}
	require.Eventually(t, func() bool {
		times := quick()
		times.Open = 2 * time.Second
		s, err := NewDialer(Config{Out: loopback(), Timeouts: times}).Open(t.Context(), sim.target)
		return err == nil && s.Close(t.Context()) == nil
	}, 20*time.Second, 20*time.Millisecond, "ipmi_sim does not answer")
	return sim
}

func (s *ipmiSim) set(t *testing.T, power string) {
	t.Helper()
	write(t, filepath.Join(s.dir, "power"), power, 0o644)
	write(t, filepath.Join(s.dir, "calls"), "", 0o644)
}

func (s *ipmiSim) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	require.NoError(t, err)
	return strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' })
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}

func freeUDPPort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer conn.Close()
	return int(netip.MustParseAddrPort(conn.LocalAddr().String()).Port())
}

// ipmiTimes leave room for a loaded machine: each read is a process.
func ipmiTimes() Timeouts {
	return Timeouts{Open: 10 * time.Second, Call: 10 * time.Second, Verify: 5 * time.Second,
		Soft: 5 * time.Second, Poll: 20 * time.Millisecond}
}

// TestIPMISim runs against OpenIPMI's simulator. Its cases share the simulator and
// so run one after another.
func TestIPMISim(t *testing.T) {
	t.Parallel()
	sim := startIPMISim(t)
	cases := []struct {
		name  string
		power string
		want  Want
		calls []string
		end   State
	}{
		{"on", "0", WantOn, []string{"set power 1"}, StateOn},
		{"on when on", "1", WantOn, []string{}, StateOn},
		{"off", "1", WantOff, []string{"set power 0"}, StateOff},
		{"soft", "1", WantSoft, []string{"set shutdown 1"}, StateOff},
		{"cycle", "1", WantCycle, []string{"set power 0", "set power 1"}, StateOn},
		{"reset", "1", WantReset, []string{"set reset 1"}, StateOn},
		{"reset when off", "0", WantReset, []string{"set power 1"}, StateOn},
	}
	s := openTest(t, Config{Timeouts: ipmiTimes()}, sim.target)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sim.set(t, c.power)
			require.NoError(t, s.SetPower(t.Context(), c.want))
			state, err := s.PowerState(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.end, state)
			assert.Equal(t, c.calls, sim.calls(t))
		})
	}
	t.Run("boot", func(t *testing.T) {
		sim.set(t, "0")
		require.NoError(t, s.BootOnce(t.Context(), DevicePXE, false))
		require.NoError(t, s.BootOnce(t.Context(), DevicePXE, true))
		require.NoError(t, s.BootOnce(t.Context(), DeviceCDROM, false))
		assert.Equal(t, []string{"set boot pxe", "set boot pxe", "set boot cdrom"}, sim.calls(t))
		assert.Equal(t, ClassUnsupported, ClassOf(s.BootOnce(t.Context(), DeviceHTTP, true)))
	})
	t.Run("lie", func(t *testing.T) {
		sim.set(t, "0")
		write(t, filepath.Join(sim.dir, "stuck"), "", 0o644)
		s.cfg.Timeouts.Verify = 500 * time.Millisecond
		var lied ErrLied
		require.ErrorAs(t, s.SetPower(t.Context(), WantOn), &lied)
		assert.Equal(t, ErrLied{Wanted: "on", Reported: "off"}, lied)
		assert.Equal(t, []string{"set power 1"}, sim.calls(t))
	})
}

func TestIPMISimLogin(t *testing.T) {
	t.Parallel()
	sim := startIPMISim(t)
	d := NewDialer(Config{Out: loopback(), Timeouts: ipmiTimes()})
	open := func(edit func(*Target)) error {
		target := sim.target
		edit(&target)
		return d.Do(t.Context(), target, func(*Session) error { return nil })
	}
	require.NoError(t, open(func(t *Target) { t.CipherSuite = "" }), "17 is refused, 3 works")
	assert.Equal(t, "3", d.suites.get(sim.target.hostPort()))

	err := open(func(t *Target) { t.CipherSuite = "17" })
	assert.Equal(t, ClassUnsupported, ClassOf(err))
	require.ErrorContains(t, err, "name a cipher suite")

	err = open(func(t *Target) { t.Password = "Wr0ngPass" })
	assert.Equal(t, ClassAuth, ClassOf(err))
	require.ErrorContains(t, err, "check user and password")
	assert.NotContains(t, err.Error(), "Wr0ngPass")

	assert.Equal(t, ClassAuth, ClassOf(open(func(t *Target) { t.User = "nobody" })))
	for _, zero := range []string{"0", "00"} {
		require.ErrorContains(t, open(func(t *Target) { t.CipherSuite = zero }), "never used")
	}
}

func TestIPMISilentAddressIsBounded(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ipmitool"); err != nil {
		t.Skip("ipmitool is missing: install the Debian package ipmitool")
	}
	target := Target{Mode: ModeIPMI, Address: "127.0.0.1", Port: freeUDPPort(t), User: "admin", Password: "S3cr#tPass"}
	times := ipmiTimes()
	times.Open = 600 * time.Millisecond
	started := time.Now()
	_, err := NewDialer(Config{Out: loopback(), Timeouts: times}).Open(t.Context(), target)
	assert.Equal(t, ClassUnreachable, ClassOf(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "check address")
	assert.Less(t, time.Since(started), 5*time.Second)
}

func TestIPMIWithoutTheProgram(t *testing.T) {
	t.Parallel()
	target := Target{Mode: ModeIPMI, Address: "127.0.0.1", User: "admin", Password: "x"}
	_, err := NewDialer(Config{Out: loopback(), Ipmitool: filepath.Join(t.TempDir(), "ipmitool")}).Open(t.Context(), target)
	assert.Equal(t, ClassUnsupported, ClassOf(err))
	assert.ErrorContains(t, err, "Debian package ipmitool")
}

// recordingTool is an ipmitool that notes arguments and password and takes suite 3 only.
const recordingTool = `#!/bin/sh
dir=$(dirname "$0")
echo "$@" >> "$dir/args"
echo "$IPMITOOL_PASSWORD" >> "$dir/passwords"
case "$*" in
*"-C 17"*) echo "Error in open session response message : no cipher suite match with proposed security algorithms"; exit 1 ;;
*"chassis power soft"*) echo "Password $IPMITOOL_PASSWORD is odd"; exit 1 ;;
*"chassis power status"*) echo "Chassis Power is on" ;;
*) echo "Set Boot Device to pxe" ;;
esac
`

func TestIPMIArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ipmitool"), recordingTool, 0o755)
	d := NewDialer(Config{Out: loopback(), Ipmitool: filepath.Join(dir, "ipmitool"), Timeouts: ipmiTimes()})
	target := Target{Mode: ModeIPMI, Address: "fe80::7", User: "admin", Password: "S3cr#tPass"}
	for range 2 {
		err := d.Do(t.Context(), target, func(s *Session) error {
			require.NoError(t, s.BootOnce(t.Context(), DevicePXE, true))
			return s.SetPower(t.Context(), WantSoft)
		})
		require.ErrorContains(t, err, "Password [redacted] is odd")
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	assert.NotContains(t, string(args), "S3cr#tPass")
	assert.Equal(t, 1, strings.Count(string(args), "-C 17"), "the suite that works is remembered")
	assert.NotContains(t, string(args), "-C 0")
	lines := strings.Count(string(args), "\n")
	assert.Equal(t, lines, strings.Count(string(args), "-H fe80::7 -p 623"), "IPv6 reaches ipmitool whole:\n%s", args)
	passwords, err := os.ReadFile(filepath.Join(dir, "passwords"))
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("S3cr#tPass\n", lines), string(passwords))
}
