package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"drpd/pkg/daemon"
)

// dropIn is the name under which drpd takes Digital Rebar Provision's place:
// called so, it also has its defaults.
const dropIn = "dr-provision"

// drpOptions are the flags of Digital Rebar Provision. A port of 0 is one that
// was not given.
type drpOptions struct {
	backend, staticIP string
	ports             struct{ api, static, secure, tftp, metrics int }
	off               struct{ dhcp, tftp, binl bool }
}

// idle are flags of Digital Rebar Provision that change nothing here: that we
// take them lets its service files and test suites start us as they are.
var idle = map[string]string{
	"fake-pinger": "addresses are not probed before they are offered", "no-watcher": "there is no watcher of files",
	"force-static": "boot files are always served", "cleanup-corrupt": "a damaged record stops the start",
	"disable-bsdp": "BSDP is not spoken",
}

// idleValues are such flags with a value.
var idleValues = map[string]string{
	"plugin-comm-root": "each plugin has its sockets in a temporary directory of its own", "plugin-root": "programs of plugins are kept in the data directory",
	"file-root": "files are kept in the data directory", "replace-root": "nothing is replaced from disk",
	"local-content": "content is loaded through the API", "default-content": "content is built in",
	"saas-content-root": "content is kept in the database", "log-root": "logs are kept in the data directory",
	"secrets-type": "keys are kept in the data directory", "data-root": "everything is kept in the data directory",
}

func (o *options) addDRP(f *pflag.FlagSet) {
	p := &o.drp.ports
	f.StringVar(&o.cfg.DataDir, "base-root", "/var/lib/drpd", "same as --data-dir")
	f.IntVar(&p.api, "api-port", 0, "port of the API, instead of --api")
	f.IntVar(&p.static, "static-port", 0, "port of the boot files, instead of --files")
	f.IntVar(&p.secure, "static-secure-port", 0, "port of the boot files over HTTPS, instead of --secure-files")
	f.IntVar(&p.tftp, "tftp-port", 0, "port of TFTP, instead of --tftp")
	f.IntVar(&p.metrics, "metrics-port", 0, "port of /metrics, instead of --metrics")
	f.StringVar(&o.drp.staticIP, "static-ip", "", "an address for the certificate, like --address")
	f.StringVar(&o.cfg.ID, "drp-id", "", "what this server is called")
	f.StringVar(&o.drp.backend, "backend", "", "memory:/// (nothing is kept) or sqlite:///path of the database; default: a database in the data directory")
	f.BoolVar(&o.drp.off.dhcp, "disable-dhcp", false, "serve no DHCP")
	f.BoolVar(&o.drp.off.tftp, "disable-tftp-server", false, "serve no TFTP")
	f.BoolVar(&o.drp.off.binl, "disable-pxe", false, "serve no BINL (proxy DHCP)")
	for name, why := range idle {
		f.Bool(name, false, "without effect: "+why)
	}
	for name, why := range idleValues {
		f.String(name, "", "without effect: "+why)
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(idle)), slices.Collect(maps.Keys(idleValues))) {
		f.Lookup(name).Hidden = true
	}
}

// asDRP sets the defaults of Digital Rebar Provision. Its DHCP answers on all
// interfaces, which does nothing before there are subnets.
func (o *options) asDRP() {
	c := &o.cfg
	c.DataDir, c.SecureAddr, c.MetricsAt = "/var/lib/dr-provision", ":8090", ":8080"
	c.DHCPOnAll, c.BestEffort = true, true
	c.FirstPassword = "r0cketsk8ts"
	c.Prefs = map[string]string{"defaultWorkflow": "", "defaultStage": "none", "defaultBootEnv": "local", "unknownBootEnv": "ignore",
		"releaseProof": "none", "foreignDisks": "overwrite"}
}

// apply puts the flags that were given into the configuration.
func (o *drpOptions) apply(c *daemon.Config) error {
	for to, port := range map[*string]int{&c.APIAddr: o.ports.api, &c.FileAddr: o.ports.static,
		&c.SecureAddr: o.ports.secure, &c.TFTPAddr: o.ports.tftp, &c.MetricsAt: o.ports.metrics} {
		if port != 0 {
			*to = fmt.Sprintf(":%d", port)
		}
	}
	if o.off.dhcp {
		c.DHCPOnAll, c.Interfaces = false, nil
	}
	if o.off.tftp {
		c.TFTPAddr = "off"
	}
	if o.off.binl {
		c.BINLPort = -1
	}
	if o.staticIP != "" {
		addr, err := netip.ParseAddr(o.staticIP)
		if err != nil {
			return fmt.Errorf("--static-ip %q: %w", o.staticIP, err)
		}
		c.Addresses = append(c.Addresses, addr)
	}
	return o.database(c)
}

func (o *drpOptions) database(c *daemon.Config) error {
	scheme, path, _ := strings.Cut(o.backend, ":")
	path = "/" + strings.TrimLeft(path, "/")
	switch {
	case o.backend == "":
	case scheme == "memory":
		c.Database = daemon.InMemory
	case scheme == "sqlite" && path != "/":
		c.Database = path
	case !strings.Contains(o.backend, ":"):
		c.Database = o.backend
	default:
		return fmt.Errorf("--backend %q: use memory:/// or sqlite:///path/of/the.db", o.backend)
	}
	return nil
}
