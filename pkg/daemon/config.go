package daemon

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"drpd/pkg/child"
	"drpd/pkg/restored"
)

// Config is all that a drpd is told. DataDir is required.
type Config struct {
	DataDir    string
	APIAddr    string       // default ":8092"
	FileAddr   string       // default ":8091"
	SecureAddr string       // the same files over HTTPS; "": none
	MetricsAt  string       // address of /metrics (HTTP); "": none
	TFTPAddr   string       // default ":69"; "off": none
	DHCPPort   int          // default 67
	BINLPort   int          // default 4011
	Interfaces []string     // where DHCP is served; none: DHCP is off
	DHCPOnAll  bool         // serve DHCP on every interface, whatever Interfaces says
	Names      []string     // host names in the certificate, besides localhost
	Addresses  []netip.Addr // addresses in the certificate, besides those of this host
	CertFile   string       // certificate chain (PEM) and its key, instead of our own CA's;
	KeyFile    string       // used if both files exist
	Loaders    string       // directory of iPXE's binaries, default /usr/lib/ipxe
	Database   string       // path of the database, default drpd.db in DataDir; InMemory: none
	Plain      net.Listener // serves the API without TLS as well: for a proxy on this host, or a measurement
	Log        *slog.Logger // default: discard
	Version    string
	ID         string // what this server is called, for GET /info
	// FirstPassword is that of the first user; default: a random one.
	FirstPassword string
	// Offline opens the data directory for one call, not to serve.
	Offline bool
	// HoldFree holds a machine that a restored server finds Free, until it is
	// proven blank again; default restored.HoldDestroy.
	HoldFree restored.Hold
	// Prefs are the preferences of a first start that differ from ours.
	Prefs map[string]string
	// Contexts says that this server serves contexts, Plugins that it runs
	// plugins.
	Contexts, Plugins bool
	// Keeper confines the processes of both; nil: they are refused.
	Keeper child.Keeper
	// CallOut are addresses and networks that the server calls though they are
	// loopback, link-local or its own, as 192.0.2.7 or 192.0.2.0/24.
	CallOut []string
	// BestEffort goes on without DHCP or TFTP if their sockets cannot be had.
	BestEffort bool
}

// InMemory is the Database of a server that forgets everything at its end.
const InMemory = "memory"

func (c *Config) fill() error {
	if c.DataDir == "" {
		return errors.New("no data directory is given")
	}
	for p, def := range map[*string]string{&c.APIAddr: ":8092", &c.FileAddr: ":8091", &c.TFTPAddr: ":69", &c.Loaders: "/usr/lib/ipxe", &c.Version: "devel"} {
		if *p == "" {
			*p = def
		}
	}
	if c.HoldFree == nil {
		c.HoldFree = restored.HoldDestroy
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
