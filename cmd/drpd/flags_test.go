package main

import (
	"io"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"drpd/pkg/daemon"
)

// parse gives the configuration that a command line stands for.
func parse(t *testing.T, name string, args ...string) (daemon.Config, error) {
	t.Helper()
	o := options{}
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	o.addOurs(f)
	o.addDRP(f)
	if name == dropIn {
		o.asDRP()
	}
	require.NoError(t, f.Parse(args))
	cfg, err := o.config(io.Discard)
	cfg.Log = nil
	return cfg, err
}

func TestDropInTakesTheFlagsOfDRP(t *testing.T) {
	t.Parallel()
	got, err := parse(t, dropIn, "--base-root", "/r", "--tls-key", "server.key", "--tls-cert", "server.crt", "--api-port", "10021",
		"--static-port", "10022", "--tftp-port", "10023", "--dhcp-port", "10024", "--binl-port", "10025", "--metrics-port", "10026",
		"--static-secure-port", "10027", "--fake-pinger", "--no-watcher", "--drp-id", "Fred", "--plugin-comm-root", "/r", "--backend", "memory:///")
	require.NoError(t, err)
	assert.Equal(t, daemon.Config{DataDir: "/r", APIAddr: ":10021", FileAddr: ":10022", SecureAddr: ":10027", MetricsAt: ":10026", TFTPAddr: ":10023",
		DHCPPort: 10024, BINLPort: 10025, DHCPOnAll: true, KeyFile: "server.key", CertFile: "server.crt", Loaders: "/usr/lib/ipxe",
		Database: daemon.InMemory, ID: "Fred", FirstPassword: "r0cketsk8ts", BestEffort: true,
		Prefs: map[string]string{"defaultWorkflow": "", "defaultStage": "none", "defaultBootEnv": "local", "unknownBootEnv": "ignore",
			"releaseProof": "none", "foreignDisks": "overwrite"}}, got)
}

func TestDefaultsByName(t *testing.T) {
	t.Parallel()
	ours, err := parse(t, "drpd")
	require.NoError(t, err)
	assert.Equal(t, daemon.Config{DataDir: "/var/lib/drpd", APIAddr: ":8092", FileAddr: ":8091", TFTPAddr: ":69", DHCPPort: 67, BINLPort: 4011,
		Loaders: "/usr/lib/ipxe"}, ours)
	theirs, err := parse(t, dropIn, "--disable-dhcp", "--disable-pxe", "--disable-tftp-server", "--backend", "sqlite:///var/lib/x.db")
	require.NoError(t, err)
	assert.Equal(t, "/var/lib/dr-provision :8092 :8091 :8090 :8080 off", theirs.DataDir+" "+theirs.APIAddr+" "+theirs.FileAddr+" "+theirs.SecureAddr+" "+theirs.MetricsAt+" "+theirs.TFTPAddr)
	assert.False(t, theirs.DHCPOnAll)
	assert.Equal(t, -1, theirs.BINLPort)
	assert.Equal(t, "/var/lib/x.db", theirs.Database)
}

func TestNoPlugins(t *testing.T) {
	t.Parallel()
	o := options{cfg: daemon.Config{Plugins: true}}
	f := pflag.NewFlagSet("drpd", pflag.ContinueOnError)
	o.addOurs(f)
	require.NoError(t, f.Parse([]string{"--no-plugins"}))
	cfg, err := o.config(io.Discard)
	require.NoError(t, err)
	assert.False(t, cfg.Plugins)
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--backend=directory:///x": `--backend "directory:///x": use memory:/// or sqlite:///path/of/the.db`,
		"--backend=sqlite:///":     `--backend "sqlite:///": use memory:/// or sqlite:///path/of/the.db`,
		"--static-ip=here":         `--static-ip "here": ParseAddr("here"): unable to parse IP`,
		"--address=here":           `--address "here": ParseAddr("here"): unable to parse IP`,
		"--log-level=loud":         `--log-level: slog: level string "loud": unknown name`,
	} {
		_, err := parse(t, "drpd", arg)
		assert.EqualError(t, err, want)
	}
}
