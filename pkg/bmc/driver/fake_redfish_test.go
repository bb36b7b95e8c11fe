package driver

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// planted is the password whose text must never come out of this package.
const planted = `S3cr"t&/pass word`

// fakeRedfish is a controller with one system and switches for its faults.
type fakeRedfish struct {
	resets     []string       // allowed ResetTypes; nil lists none
	bootAllows []string       // allowed boot targets; nil lists none
	names      []string       // system names; default one, "node1"
	noSessions bool           // no session service
	rootLocked bool           // even the service root wants credentials
	silent     bool           // accepts connections and never answers
	lies       bool           // accepts orders and does nothing
	ignores    string         // boot target accepted and ignored
	delay      int            // reads until a power change shows
	status     map[string]int // path -> status answered instead
	echo       bool           // failures repeat the request's credentials
	evil       bool           // links lead to another host

	mu       sync.Mutex
	power    string
	pending  string
	reads    int
	boot     map[string]any
	orders   []string // ResetTypes received
	patches  []map[string]any
	sessions map[string]bool
	logins   int
	stop     chan struct{}
}

// start serves f over TLS and returns a target pinned to its certificate.
func (f *fakeRedfish) start(t *testing.T) Target {
	t.Helper()
	f.stop, f.sessions = make(chan struct{}), map[string]bool{}
	if f.power == "" {
		f.power = "Off"
	}
	if f.names == nil {
		f.names = []string{"node1"}
	}
	f.boot = map[string]any{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
		"BootSourceOverrideMode": "Legacy", "BootOrder": []string{"Boot0001"}}
	srv := httptest.NewUnstartedServer(f)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshakes that tests break on purpose
	srv.StartTLS()
	t.Cleanup(func() { close(f.stop); srv.Close() })
	addr := netip.MustParseAddrPort(srv.Listener.Addr().String())
	return Target{Mode: ModeRedfish, Address: addr.Addr().String(), Port: int(addr.Port()), User: "admin",
		Password: planted, TLSPin: fmt.Sprintf("%x", fingerprint(srv.Certificate()))}
}

func (f *fakeRedfish) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if f.silent {
		select {
		case <-f.stop:
		case <-req.Context().Done():
		}
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path := req.Method + " " + req.URL.Path
	if status := f.status[path]; status != 0 {
		f.refuse(w, req, status)
		return
	}
	open := path == "POST /redfish/v1/SessionService/Sessions" || (path == "GET /redfish/v1/" && !f.rootLocked)
	if !open && !f.known(req) {
		f.refuse(w, req, http.StatusUnauthorized)
		return
	}
	f.route(w, req, path)
}

func (f *fakeRedfish) refuse(w http.ResponseWriter, req *http.Request, status int) {
	text := "refused"
	if f.echo {
		_, pass, _ := req.BasicAuth()
		text += " " + pass + " " + planted + " " + req.Header.Get("Authorization")
	}
	reply(w, status, map[string]any{"error": map[string]any{"code": "Base.1.0.GeneralError", "message": text}})
}

func (f *fakeRedfish) known(req *http.Request) bool {
	if f.sessions[req.Header.Get("X-Auth-Token")] {
		return true
	}
	user, pass, ok := req.BasicAuth()
	return ok && user == "admin" && pass == planted
}

func (f *fakeRedfish) route(w http.ResponseWriter, req *http.Request, path string) {
	const systems, node = "/redfish/v1/Systems", "/redfish/v1/Systems/0"
	switch path {
	case "GET /redfish/v1/":
		reply(w, http.StatusOK, f.root())
	case "POST /redfish/v1/SessionService/Sessions":
		f.newSession(w, req)
	case "GET " + systems:
		members := []map[string]string{}
		for i := range f.names {
			members = append(members, map[string]string{"@odata.id": systems + "/" + strconv.Itoa(i)})
		}
		reply(w, http.StatusOK, map[string]any{"Members": members})
	case "PATCH " + node:
		f.patch(w, req)
	case "POST " + node + "/Actions/ComputerSystem.Reset":
		f.reset(w, req)
	default:
		if req.Method == http.MethodDelete {
			delete(f.sessions, req.Header.Get("X-Auth-Token"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		for i := range f.names {
			if path == fmt.Sprintf("GET %s/%d", systems, i) {
				reply(w, http.StatusOK, f.system(i))
				return
			}
		}
		f.refuse(w, req, http.StatusNotFound)
	}
}

func (f *fakeRedfish) root() map[string]any {
	root := map[string]any{"RedfishVersion": "1.15.0", "Systems": map[string]string{"@odata.id": "/redfish/v1/Systems"}}
	if f.evil {
		root["Systems"] = map[string]string{"@odata.id": "@127.0.0.2:1/Systems"}
	}
	if !f.noSessions {
		root["Links"] = map[string]any{"Sessions": map[string]string{"@odata.id": "/redfish/v1/SessionService/Sessions"}}
	}
	return root
}

func (f *fakeRedfish) newSession(w http.ResponseWriter, req *http.Request) {
	var body struct{ UserName, Password string }
	if f.noSessions || json.NewDecoder(req.Body).Decode(&body) != nil {
		f.refuse(w, req, http.StatusNotFound)
		return
	}
	f.logins++
	if body.UserName != "admin" || body.Password != planted {
		f.refuse(w, req, http.StatusUnauthorized)
		return
	}
	token := fmt.Sprintf("token%d", f.logins)
	f.sessions[token] = true
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/"+token)
	reply(w, http.StatusCreated, map[string]any{})
}

func (f *fakeRedfish) system(i int) map[string]any {
	if f.pending != "" {
		if f.reads++; f.reads > f.delay {
			f.power, f.pending = f.pending, ""
		}
	}
	id := fmt.Sprintf("/redfish/v1/Systems/%d", i)
	action := map[string]any{"target": id + "/Actions/ComputerSystem.Reset"}
	if f.resets != nil {
		action["ResetType@Redfish.AllowableValues"] = f.resets
	}
	boot := map[string]any{}
	for k, v := range f.boot {
		boot[k] = v
	}
	if f.bootAllows != nil {
		boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = f.bootAllows
	}
	return map[string]any{"@odata.id": id, "Id": strconv.Itoa(i), "Name": f.names[i], "PowerState": f.power,
		"Boot": boot, "Actions": map[string]any{"#ComputerSystem.Reset": action}}
}

func (f *fakeRedfish) patch(w http.ResponseWriter, req *http.Request) {
	var body struct{ Boot map[string]any }
	if json.NewDecoder(req.Body).Decode(&body) != nil {
		f.refuse(w, req, http.StatusBadRequest)
		return
	}
	f.patches = append(f.patches, body.Boot)
	if body.Boot["BootSourceOverrideTarget"] != f.ignores {
		for k, v := range body.Boot {
			f.boot[k] = v
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *fakeRedfish) reset(w http.ResponseWriter, req *http.Request) {
	var body struct{ ResetType string }
	if json.NewDecoder(req.Body).Decode(&body) != nil {
		f.refuse(w, req, http.StatusBadRequest)
		return
	}
	f.orders = append(f.orders, body.ResetType)
	w.WriteHeader(http.StatusNoContent)
	if f.lies {
		return
	}
	f.reads = 0
	switch body.ResetType {
	case "On", "ForceRestart":
		f.pending = "On"
	case "ForceOff", "GracefulShutdown", "PushPowerButton":
		f.pending = "Off"
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err) // the test's own literals
	}
}

// seen returns copies of what the controller received.
func (f *fakeRedfish) seen() (orders []string, patches []map[string]any, sessions int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.orders...), append([]map[string]any(nil), f.patches...), len(f.sessions)
}

// quick are limits for loopback; a test that expects a lie waits for Verify.
func quick() Timeouts {
	return Timeouts{Open: 5 * time.Second, Call: 5 * time.Second, Verify: 300 * time.Millisecond,
		Soft: 300 * time.Millisecond, Poll: 5 * time.Millisecond}
}

func openTest(t *testing.T, cfg Config, target Target) *Session {
	t.Helper()
	cfg.Out = loopback()
	s, err := NewDialer(cfg).Open(t.Context(), target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(t.Context())) })
	return s
}
