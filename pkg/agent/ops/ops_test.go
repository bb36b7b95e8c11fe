//go:build linux

package ops_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/agent/facts"
	"drpd/pkg/agent/ops"
	"drpd/pkg/sim/machine"
)

type noServer struct{}

func (noServer) Record(context.Context, facts.Inventory) error { return errors.New("no server") }
func (noServer) AgentConfig(context.Context, string) ([]byte, error) {
	return nil, errors.New("no server")
}
func (noServer) Download(context.Context, string) (io.ReadCloser, error) {
	return nil, errors.New("no server")
}

func run(t *testing.T, m *machine.Machine, doc string) (int, string, error) {
	t.Helper()
	var log bytes.Buffer
	code, err := ops.Runner{Hardware: m.Hardware(), Server: noServer{}, Log: &log}.Run(t.Context(), doc)
	return code, log.String(), err
}

func newMachine() *machine.Machine {
	return machine.New(machine.Config{MAC: "52:54:00:00:00:01", Disks: map[string]int64{"D1": 4096, "D2": 4096}})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const sum = "a000000000000000000000000000000000000000000000000000000000000000"
	for name, tc := range map[string]struct{ doc, want string }{
		"unknown op":     {"op: format", `op "format" is not known`},
		"unknown field":  {"op: wipe\nmode: zero\ndisk: D1", `unknown field "disk"`},
		"nested field":   {"op: deploy\npersonalize: {lable: root}", `unknown field "lable"`},
		"wrong type":     {"op: wipe\ndisks: D1", "wipe.disks"},
		"no identity":    {`{"op":"wipe","disks":[{"Serial":" ","WWN":""}]}`, "disk 1 has neither serial nor wwn"},
		"protected":      {"op: wipe\ndisks: [{serial: D1}]\nprotected: [d1]", "disk serial"},
		"other size":     {"op: wipe\ndisks: [{serial: D1, size: 8192}]", "was planned with 8192 bytes and has 4096"},
		"no checksum":    {"op: deploy\ndisk: {serial: D1}\nimage: http://x/y\nrawSize: 1", `sha256 ""`},
		"deploy guarded": {"op: deploy\ndisk: {serial: D1}\nimage: http://x/y\nrawSize: 1\nprotected: [D1]\nsha256: " + sum, "is protected"},
		"bad mode": {"op: deploy\ndisk: {serial: D1}\nimage: http://x/y\nrawSize: 1\nsha256: " + sum +
			"\npersonalize: {label: root, files: [{path: /a, mode: rw}]}", `mode "rw" of /a`},
		"not as planned":   {"op: deploy\ncheck: true\ncontent: []\ndisk: {serial: D1}\nimage: http://x/y\nrawSize: 1\nsha256: " + sum, "holds data of no known kind at 0, which was not there"},
		"nothing to wipe":  {"op: wipe\ndisks: []", "the plan names no disk, and the machine has 2"},
		"no list":          {"op: wipe", "the plan names no disk, and the machine has 2"},
		"nothing to check": {"op: verify-blank\ndisks: []", "the plan names no disk, and the machine has 2"},
		"a null list":      {"op: verify-blank\ndisks: null", "the plan names no disk, and the machine has 2"},
		"not YAML":         {"{", "decode operation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine()
			code, _, err := run(t, m, tc.doc)
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, 1, code)
			assert.Equal(t, bytes.Repeat([]byte{0xaa}, 4096), m.Disk("D1").Data)
		})
	}
}

func TestWipeAndVerify(t *testing.T) {
	t.Parallel()
	m := newMachine()
	_, _, err := run(t, m, "op: verify-blank\ndisks: [{serial: D1}]")
	require.ErrorContains(t, err, "byte at offset 0 is not zero")
	// As the server's plan spells it.
	plan := `disks: [{"Name":"","Serial":"D1","WWN":"","Size":0,"Removable":false,"ReadOnly":false}]`
	code, log, err := run(t, m, "op: wipe\nmode: zero\nprotected: [D2]\n"+plan)
	require.NoError(t, err)
	assert.Equal(t, 0, code)
	assert.Contains(t, log, `wiped: /dev/sda (serial "D1"`)
	_, _, err = run(t, m, "op: verify-blank\n"+plan)
	require.NoError(t, err)
	assert.Equal(t, byte(0xaa), m.Disk("D2").Data[0])
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]int{"op: reboot": 64, "op: poweroff": 32} {
		code, _, err := run(t, newMachine(), doc)
		require.NoError(t, err)
		assert.Equal(t, want, code, doc)
	}
}

func FuzzRun(f *testing.F) {
	f.Add("op: wipe\ndisks: [{serial: D1}]")
	f.Add("op: deploy\ndisk: {serial: D1}")
	f.Fuzz(func(t *testing.T, doc string) {
		m := machine.New(machine.Config{Disks: map[string]int64{"D1": 512}})
		_, err := ops.Runner{Hardware: m.Hardware(), Server: noServer{}, Log: io.Discard}.Run(context.Background(), doc+"\nprotected: [D1]")
		if err == nil && m.Disk("D1").Data[0] != 0xaa {
			t.Fatal("a protected disk was written")
		}
	})
}
