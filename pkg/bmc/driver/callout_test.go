package driver

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/callout"
)

// loopback is where the controllers of these tests are.
func loopback() *callout.Policy {
	return &callout.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}
}

// A controller at an address of this server, or where nothing but the server may
// call, is never talked to, by neither protocol and under no name.
func TestNoControllerIsHere(t *testing.T) {
	t.Parallel()
	called := filepath.Join(t.TempDir(), "called")
	tool := filepath.Join(t.TempDir(), "ipmitool")
	require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\necho \"$@\" >> "+called+"\n"), 0o700))
	for _, address := range []string{"127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "fe80::1"} {
		for _, mode := range []string{ModeRedfish, ModeIPMI} {
			_, err := NewDialer(Config{Ipmitool: tool, Timeouts: quick()}).Open(t.Context(), Target{Mode: mode, Address: address, User: "u", Password: "hunter2", InsecureTLS: true})
			require.ErrorContains(t, err, "only if its operator names it", "%s %s", mode, address)
		}
	}
	assert.NoFileExists(t, called)
}

// ipmitool is given the address that was checked.
func TestIpmitoolGetsTheAddress(t *testing.T) {
	t.Parallel()
	called := filepath.Join(t.TempDir(), "called")
	tool := filepath.Join(t.TempDir(), "ipmitool")
	require.NoError(t, os.WriteFile(tool, []byte("#!/bin/sh\necho \"$@\" >> "+called+"\necho Chassis Power is on\n"), 0o700))
	_, err := NewDialer(Config{Out: &callout.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}, Ipmitool: tool, Timeouts: quick()}).
		Open(t.Context(), Target{Mode: ModeIPMI, Address: "localhost", User: "u", Password: "hunter2"})
	require.NoError(t, err)
	got, err := os.ReadFile(called)
	require.NoError(t, err)
	assert.Contains(t, string(got), "-H 127.0.0.1 ")
	assert.NotContains(t, string(got), "localhost")
}
