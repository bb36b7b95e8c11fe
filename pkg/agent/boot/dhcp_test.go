//go:build linux

package boot

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testMAC() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 1} }

func TestDiscoverIdentifiesLikeFirmware(t *testing.T) {
	t.Parallel()
	m := discover([4]byte{1, 2, 3, 4}, testMAC())
	assert.Equal(t, []byte{1, 0x52, 0x54, 0, 0xaa, 0, 1}, m.Options.Get(dhcpv4.OptionClientIdentifier))
	assert.Equal(t, dhcpv4.TransactionID{1, 2, 3, 4}, m.TransactionID)
	back, err := dhcpv4.FromBytes(m.ToBytes())
	require.NoError(t, err)
	assert.Equal(t, dhcpv4.MessageTypeDiscover, back.MessageType())
	assert.True(t, back.IsBroadcast())
}

func TestMixedID(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 2)
	other := net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 2}
	assert.Equal(t, mixedID(testMAC(), now), mixedID(testMAC(), now))
	assert.NotEqual(t, mixedID(testMAC(), now), mixedID(other, now))
	assert.NotEqual(t, mixedID(testMAC(), now), mixedID(testMAC(), now.Add(1)))
}

func TestLeaseOf(t *testing.T) {
	t.Parallel()
	link := net.Interface{Name: "eth0", HardwareAddr: testMAC()}
	for name, tc := range map[string]struct {
		addr string
		mask net.IPMask
		want string
		err  string
	}{
		"plain":     {"10.1.2.3", net.CIDRMask(20, 32), "10.1.2.3/20", ""},
		"no mask":   {"10.1.2.3", nil, "10.1.2.3/8", ""},
		"host":      {"10.1.2.3", net.CIDRMask(32, 32), "10.1.2.3/32", ""},
		"holes":     {"10.1.2.3", net.IPMask{255, 0, 255, 0}, "", "unusable netmask"},
		"zero mask": {"10.1.2.3", net.IPMask{0, 0, 0, 0}, "", "unusable netmask"},
		"no addr":   {"0.0.0.0", net.CIDRMask(24, 32), "", "unusable address 0.0.0.0"},
		"multicast": {"224.0.0.1", net.CIDRMask(24, 32), "", "unusable address 224.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ack := discover([4]byte{}, testMAC())
			ack.YourIPAddr = net.ParseIP(tc.addr)
			if tc.mask != nil {
				ack.UpdateOption(dhcpv4.OptSubnetMask(tc.mask))
			}
			l, err := leaseOf(ack, link)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, netip.MustParsePrefix(tc.want), l.Addr)
			assert.False(t, l.Router.IsValid())
		})
	}
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	dns := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	assert.Equal(t, "search lab.example\nnameserver 10.0.0.1\n", string(resolvConf(Lease{Domain: "lab.example", DNS: dns})))
	assert.Equal(t, "nameserver 10.0.0.1\n", string(resolvConf(Lease{Domain: "x\nnameserver 6.6.6.6", DNS: dns})))
}

func TestChoose(t *testing.T) {
	t.Parallel()
	links := []net.Interface{
		{Name: "eth0", HardwareAddr: testMAC()},
		{Name: "eth1", HardwareAddr: net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, 2}},
	}
	for name, tc := range map[string]struct {
		mac   string
		first bool
		want  []string
	}{
		"boot interface":      {"52:54:00:aa:00:02", true, []string{"eth1"}},
		"later all":           {"52:54:00:aa:00:02", false, []string{"eth0", "eth1"}},
		"boot interface gone": {"52:54:00:aa:00:03", true, []string{"eth0", "eth1"}},
		"unknown":             {"", true, []string{"eth0", "eth1"}},
	} {
		n := Network{BootMAC: ethernet(tc.mac), Log: slog.New(slog.DiscardHandler)}
		assert.Equal(t, tc.want, names(n.choose(links, tc.first)), name)
	}
}

func TestClockBehind(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.True(t, clockBehind(now, now.Add(time.Hour)))
	assert.False(t, clockBehind(now, now.Add(time.Second)))
	assert.False(t, clockBehind(now, now.Add(-time.Hour)))
}

// TestNamespace runs TestInsideNamespace in a network namespace of its own,
// which is gone when that process ends.
func TestNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"unshare", "ip", "dnsmasq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", os.Args[0], "-test.run=^TestInsideNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), "DRPD_TEST_NETNS="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS: TestInsideNamespace")
}

// TestInsideNamespace brings the network up against dnsmasq, with a second link
// that has a carrier but no server.
func TestInsideNamespace(t *testing.T) {
	dir := os.Getenv("DRPD_TEST_NETNS")
	if dir == "" {
		t.Skip("run by TestNamespace")
	}
	for _, args := range [][]string{
		{"link", "add", "boot0", "address", "52:54:00:aa:00:02", "type", "veth", "peer", "name", "nobody"},
		{"link", "add", "eth0", "address", "52:54:00:aa:00:01", "type", "veth", "peer", "name", "server"},
		{"addr", "add", "192.168.124.1/24", "dev", "server"},
		{"link", "set", "server", "up"}, {"link", "set", "nobody", "up"}, {"link", "set", "lo", "up"},
	} {
		out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
		require.NoError(t, err, "ip %v: %s", args, out)
	}
	server := exec.CommandContext(t.Context(), "dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--interface=server",
		"--bind-interfaces", "--no-ping", "--dhcp-authoritative", "--leasefile-ro", "--pid-file=", "--user=root",
		"--dhcp-range=192.168.124.50,192.168.124.50,10m", "--dhcp-option=3,192.168.124.2", "--dhcp-option=6,192.168.124.9", "--domain=lab.example",
		"--dhcp-host=id:01:52:54:00:aa:00:01,192.168.124.77")
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	var log bytes.Buffer
	n := Network{
		Resolv: filepath.Join(dir, "resolv.conf"),
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
	}
	l, err := n.BringUp(t.Context())
	require.NoError(t, err, log.String())
	assert.Equal(t, "eth0", l.Interface)
	// The address proves that the server knew us by the client identifier.
	assert.Equal(t, "192.168.124.77/24", l.Addr.String())
	assert.Equal(t, "192.168.124.2", l.Router.String())
	out, err := exec.CommandContext(t.Context(), "ip", "route").CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), "default via 192.168.124.2 dev eth0 proto dhcp")
	out, err = exec.CommandContext(t.Context(), "ip", "addr", "show", "eth0").CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), "inet 192.168.124.77/24")
	b, err := os.ReadFile(n.Resolv)
	require.NoError(t, err)
	assert.Equal(t, "search lab.example\nnameserver 192.168.124.9\n", string(b))
}
