package redfish

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Config describes the simulated controller.
type Config struct {
	// User and Password are the only account.
	User, Password string
	System         System
	Machine        Machine
	// Faults may be nil: a controller that always works.
	Faults *Faults
	Log    *slog.Logger
	// Now is the clock for session timeouts, time.Now unless a test sets it.
	Now func() time.Time
	// SessionTimeout ends sessions that were not used, by default 30 minutes.
	SessionTimeout time.Duration
}

// System is the fixed part of the server.
type System struct {
	// ID names the server in addresses, by default 1.
	ID string
	// Name is also the serial number.
	Name, UUID, MAC string
	// UEFI says which mode the firmware has: UEFI, or else Legacy. An override
	// that asks for the other one is refused.
	UEFI bool
}

// Service is the HTTP side of the simulated controller.
type Service struct {
	cfg      Config
	sessions sessions
	mux      *http.ServeMux
}

// New makes the service; serve it with Run or any HTTP server.
func New(cfg Config) (*Service, error) {
	if cfg.User == "" || cfg.Password == "" {
		return nil, errors.New("redfish service: set a user and a password")
	}
	if cfg.Machine == nil {
		return nil, errors.New("redfish service: set a machine")
	}
	cfg.System.ID = cmp.Or(cfg.System.ID, "1")
	if strings.ContainsAny(cfg.System.ID, "/{}?# ") {
		return nil, errors.New("redfish service: the system's ID goes into addresses; use letters and digits")
	}
	cfg.SessionTimeout = cmp.Or(cfg.SessionTimeout, 30*time.Minute)
	if cfg.Faults == nil {
		cfg.Faults = &Faults{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, mux: http.NewServeMux()}
	s.sessions.timeout = cfg.SessionTimeout
	s.register()
	return s, nil
}

// resource is one address: what each method does, and whether it is open to
// those who have not logged in.
type resource struct {
	service *Service
	open    []string // methods that need no login
	methods map[string]http.HandlerFunc
}

// maxBody bounds what a client may send, in bytes.
const maxBody = 64 << 10

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Faults.answer(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	// Clients differ on the slash at the end; the specification allows both.
	if trimmed := strings.TrimRight(r.URL.Path, "/"); trimmed != r.URL.Path {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = cmp.Or(trimmed, "/"), ""
	}
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Cache-Control", "no-cache")
	s.mux.ServeHTTP(w, r)
}

// ServeHTTP finds the method and checks the login.
func (res resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if !slices.Contains(res.open, method) && !res.service.loggedIn(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="simulated Redfish service"`)
		fail(w, http.StatusUnauthorized, noValidSession())
		return
	}
	handle, ok := res.methods[method]
	if !ok {
		w.Header().Set("Allow", res.allow())
		fail(w, http.StatusMethodNotAllowed, operationNotAllowed())
		return
	}
	res.service.cfg.Log.Debug("redfish request", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr)
	handle(w, r)
}
