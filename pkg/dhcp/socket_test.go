package dhcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain lets the test's own program be another user of the host.
func TestMain(m *testing.M) {
	if at := os.Getenv("DRPD_TEST_BIND"); at != "" {
		fmt.Println(bindAs(strings.Fields(at)))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bindAs tries to share a port, by whatever the kernel lets a user set: args are
// address, port and interface.
func bindAs(args []string) error {
	port, _ := strconv.Atoi(args[1])
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if len(args) > 2 {
		if err := unix.BindToDevice(fd, args[2]); err != nil {
			return err
		}
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(args[0]).To4())})
}

// TestNobodyBindsBesideUs: another user takes no port of ours by a narrower
// address or an interface.
func TestNobodyBindsBesideUs(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	sh(t, "ip link add br1 type bridge", "ip addr add 10.0.1.1/24 dev br1", "ip link set br1 up", "chmod 755 "+os.Args[0])
	for name, ifaces := range map[string][]string{"all interfaces": nil, "two, one of them twice": {"br0", "br1", "br0"}} {
		t.Run(name, func(t *testing.T) {
			s := &Server{cfg: Config{Interfaces: ifaces, Port: 20067, BINLPort: 24011, Log: slog.New(slog.DiscardHandler)}}
			all, err := s.listen()
			require.NoError(t, err)
			defer func() {
				for _, k := range all {
					k.Close()
				}
			}()
			for _, port := range []int{20067, 24011} {
				for _, at := range []string{"10.0.0.1 %d", "10.0.0.1 %d br0", "0.0.0.0 %d br0", "0.0.0.0 %d", "10.0.0.255 %d", "255.255.255.255 %d"} {
					at = fmt.Sprintf(at, port)
					assert.Equal(t, "address already in use\n", asNobody(t, at), at)
				}
			}
			again, err := s.listen()
			assert.Error(t, err, "a second server")
			assert.Empty(t, again)
		})
	}
}

// asNobody runs bindAs as another user, who has no capabilities.
func asNobody(t *testing.T, at string) string {
	t.Helper()
	self, err := os.Open("/proc/self/exe") // its directory may be closed to others
	require.NoError(t, err)
	defer self.Close()
	cmd := exec.CommandContext(context.Background(), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Dir, cmd.Env = "/", []string{"DRPD_TEST_BIND=" + at}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 86001, Gid: 86001}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
