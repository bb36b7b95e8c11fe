// Package pxe says which boot file or script a booting machine gets, and
// serves it over TFTP and HTTP.
//
// One resolver stands behind both protocols: loaders from a directory, boot
// scripts and templates rendered for the asking machine, kernels and images
// streamed. A machine that shall not boot from the network is told so by a
// script that boots its disk; an installer goes out once for each intent.
package pxe

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Text is a template for one asker.
type Text struct {
	Ctx            context.Context // of the request; nil: nobody ends it
	Machine        *api.Machine    // nil: unknown
	Env            *api.BootEnv
	MAC            string // which address of Machine is meant; "": the first
	Name           string // for error messages
	Text           string
	Path           string     // of the file; "" if Text is such a path itself
	Client, Server netip.Addr // the two ends of the request
}

// RenderFunc expands a template. If Path is set, all that Env requires must be
// there.
type RenderFunc func(r resource.Reader, t Text) (string, error)

// RecordFunc notes one step of a machine's boot. It must not block.
type RecordFunc func(mac, step, detail string)

// Config makes a Server. DB, Render and Open are required.
type Config struct {
	DB       *resource.DB
	Log      *slog.Logger // default: discard
	Render   RenderFunc
	Open     func(path string) (*os.File, error) // opens "files/...", "isos/..." and "media/..."
	Tools    string                              // directory of drpcli's binaries; "": none are served
	Loaders  string                              // directory of boot loaders, default /usr/lib/ipxe
	HTTPPort int                                 // where machines reach Handler, default 8091
	Record   RecordFunc                          // default: none
	Served   func(a *Answer, proto string)       // told of every file that went out, http or tftp; default: none

	Transfers   int           // TFTP reads at once, default 256
	TFTPTimeout time.Duration // until a block is sent again, default 2 s
	TFTPRetries int           // sends of one block, default 6
}

// Server answers boot requests. Its methods may be called from any goroutine.
type Server struct {
	cfg Config
}

// New fills in the defaults of cfg.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Record == nil {
		cfg.Record = func(string, string, string) {}
	}
	if cfg.Served == nil {
		cfg.Served = func(*Answer, string) {}
	}
	cfg.Loaders = orDefault(cfg.Loaders, "/usr/lib/ipxe")
	cfg.HTTPPort = orDefault(cfg.HTTPPort, 8091)
	cfg.Transfers = orDefault(cfg.Transfers, 256)
	cfg.TFTPTimeout = orDefault(cfg.TFTPTimeout, 2*time.Second)
	cfg.TFTPRetries = orDefault(cfg.TFTPRetries, 6)
	return &Server{cfg: cfg}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// loader returns where the boot loader of that name lies, "" if there is none.
func (s *Server) loader(name string) string {
	if name == "" || filepath.Base(name) != name {
		return ""
	}
	p := filepath.Join(s.cfg.Loaders, name)
	if st, err := os.Stat(p); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return p
}
