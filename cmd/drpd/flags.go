package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"github.com/spf13/pflag"

	"drpd/pkg/daemon"
)

// options are the values of all flags.
type options struct {
	cfg       daemon.Config
	addresses []string
	level     string
	noPlugins bool
	user      string
	drp       drpOptions
}

func (o *options) addOurs(f *pflag.FlagSet) {
	c := &o.cfg
	f.StringVar(&c.DataDir, "data-dir", "/var/lib/drpd", "where everything is kept: database, files, keys")
	f.StringVar(&c.APIAddr, "api", ":8092", "address of the API (HTTPS)")
	f.StringVar(&c.FileAddr, "files", ":8091", "address of the boot files (HTTP)")
	f.StringVar(&c.SecureAddr, "secure-files", "", "address of the boot files over HTTPS; none if empty")
	f.StringVar(&c.MetricsAt, "metrics", "", "address of /metrics for Prometheus (HTTP); none if empty")
	f.StringVar(&c.TFTPAddr, "tftp", ":69", "address of TFTP, or off")
	f.StringSliceVar(&c.Interfaces, "dhcp-interface", nil, "interface to serve DHCP on; may be repeated; none: DHCP is off")
	f.IntVar(&c.DHCPPort, "dhcp-port", 67, "UDP port of DHCP")
	f.IntVar(&c.BINLPort, "binl-port", 4011, "UDP port of BINL (proxy DHCP), -1: off")
	f.StringSliceVar(&c.Names, "name", nil, "host name for the certificate; may be repeated")
	f.StringSliceVar(&o.addresses, "address", nil, "address for the certificate besides this host's; may be repeated")
	f.StringVar(&c.CertFile, "tls-cert", "", "certificate chain (PEM) to show instead of one of our own authority; used if it and its key exist")
	f.StringVar(&c.KeyFile, "tls-key", "", "key of --tls-cert (PEM)")
	f.StringVar(&c.Loaders, "loaders", "/usr/lib/ipxe", "directory of iPXE's boot loaders")
	f.StringSliceVar(&c.CallOut, "callout-allow", nil, "address or network that BMCs and services may have though it is loopback, link-local or this server's own; may be repeated")
	f.BoolVar(&o.noPlugins, "no-plugins", false, "run no plugins, and take no programs of plugin providers")
	f.StringVar(&o.user, "user", "", "user that a server started by root becomes; default: drpd if the system has it, else number 86000; root: it stays root")
	f.StringVar(&o.level, "log-level", "info", "debug, info, warn or error")
}

// config checks the flags together.
func (o *options) config(log io.Writer) (daemon.Config, error) {
	for _, a := range o.addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return daemon.Config{}, fmt.Errorf("--address %q: %w", a, err)
		}
		o.cfg.Addresses = append(o.cfg.Addresses, addr)
	}
	if o.noPlugins {
		o.cfg.Plugins = false
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(o.level)); err != nil {
		return daemon.Config{}, fmt.Errorf("--log-level: %w", err)
	}
	o.cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: l}))
	err := o.drp.apply(&o.cfg)
	return o.cfg, err
}
