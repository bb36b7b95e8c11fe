package redfish

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/bmc-toolbox/bmclib/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve runs the rig's service over TLS on loopback until the test ends.
func (r *rig) serve(t *testing.T) *net.TCPAddr {
	t.Helper()
	r.service.cfg.Now = time.Now // certificates are checked by the real clock
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.service.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	return ln.Addr().(*net.TCPAddr)
}

// TestBMCLib drives the service with the client library of the product.
func TestBMCLib(t *testing.T) {
	t.Parallel()
	for name, basic := range map[string]bool{"session": false, "basic": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			addr := r.serve(t)
			client := bmclib.NewClient("127.0.0.1", "admin", "secret",
				bmclib.WithRedfishPort(strconv.Itoa(addr.Port)), bmclib.WithRedfishUseBasicAuth(basic))
			client.Registry.Drivers = client.Registry.For("gofish")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			require.NoError(t, client.Open(ctx))

			set := func(state string) {
				ok, err := client.SetPowerState(ctx, state)
				require.NoError(t, err, state)
				assert.True(t, ok, state)
			}
			state, err := client.GetPowerState(ctx)
			require.NoError(t, err)
			assert.Equal(t, "Off", state)
			// Without EFI bmclib asks for mode Legacy, is refused by this UEFI
			// machine, and tries again without a mode.
			ok, err := client.SetBootDevice(ctx, "pxe", false, false)
			require.NoError(t, err)
			assert.True(t, ok)
			set("on")
			set("cycle")
			ok, err = client.SetBootDevice(ctx, "disk", true, true)
			require.NoError(t, err)
			assert.True(t, ok)
			set("reset")
			override, err := client.GetBootDeviceOverride(ctx)
			require.NoError(t, err)
			assert.True(t, override.IsPersistent && override.IsEFIBoot, "%+v", override)
			set("off")

			assert.Equal(t, []string{"on from Pxe", "reset", "reset from Hdd", "off"}, r.machine.History())
			require.NoError(t, client.Close(ctx))
			assert.Empty(t, r.service.sessions.ids(time.Now()), "logged out")
		})
	}
}

func TestSilentControllerEndsWithClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	addr := r.serve(t)
	r.faults.Set(Fault{Silent: true})
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is self-signed
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 200 * time.Millisecond}
	_, err := client.Post("https://"+addr.String()+sessionsPath, "application/json", bytes.NewBufferString("{}"))
	require.ErrorContains(t, err, "Client.Timeout exceeded")
	r.faults.Set(Fault{})
	client.Timeout = 10 * time.Second
	resp, err := client.Get("https://" + addr.String() + "/redfish/v1")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"set a user":         {Password: "x", Machine: &Memory{}},
		"set a machine":      {User: "a", Password: "x"},
		"letters and digits": {User: "a", Password: "x", Machine: &Memory{}, System: System{ID: "{x}"}},
	} {
		_, err := New(cfg)
		assert.ErrorContains(t, err, want)
	}
}
