package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	libredfish "github.com/bmc-toolbox/bmclib/v2/providers/redfish"
	"github.com/go-logr/logr"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/redfish"

	"drpd/pkg/callout"
)

// redfishLink is a conversation over HTTP. bmclib reads the state and turns on and
// off; gofish logs in, resets and sets the boot device. Both share one transport
// and so one login and one connection.
type redfishLink struct {
	target Target
	report reporter
	times  Timeouts
	wire   *transport
	api    *gofish.APIClient
	lib    *libredfish.Conn

	session string // URI to delete at close; empty without a session
	system  string // URI of the machine
	uuid    string // of the machine, as the controller tells it; may be empty
}

func openRedfish(ctx context.Context, t Target, r reporter, cfg Config) (link, error) {
	wire, err := newTransport(t, cfg)
	if err != nil {
		return nil, r.fail(ClassOther, "open", "correct the TLS pin", err)
	}
	l := &redfishLink{target: t, report: r, times: cfg.Timeouts, wire: wire}
	if err := l.call(ctx, "open", func() error { return l.open(ctx) }); err != nil {
		// A session left behind counts against the controller's small limit.
		return nil, errors.Join(err, l.close(context.WithoutCancel(ctx)))
	}
	return l, nil
}

func (l *redfishLink) open(ctx context.Context) error {
	scheme := "https://"
	if l.target.PlainHTTP {
		scheme = "http://"
	}
	client := &http.Client{Transport: l.wire}
	if err := l.login(scheme+l.target.hostPort(), client); err != nil {
		return err
	}
	name, err := l.choose()
	if err != nil {
		return err
	}
	// Basic authentication without a user makes bmclib add nothing of its own. The
	// If-Match that it would send with a reset is refused by some controllers.
	l.lib = libredfish.New(scheme+l.target.host(), "", "", logr.Discard(),
		libredfish.WithPort(strconv.Itoa(l.target.port())), libredfish.WithHttpClient(client),
		libredfish.WithUseBasicAuth(true), libredfish.WithEtagMatchDisabled(true), libredfish.WithSystemName(name))
	// bmclib would make the time left now the limit of every later request.
	return l.lib.Open(context.WithoutCancel(ctx))
}

// login makes a session, or uses basic authentication where there is no session
// service. A refused password is not tried a second time.
func (l *redfishLink) login(url string, client *http.Client) (err error) {
	config := gofish.ClientConfig{Endpoint: url, HTTPClient: client}
	l.api, err = gofish.Connect(config)
	if status, _ := l.wire.facts(); status == http.StatusUnauthorized {
		// The root should be readable by anybody (DSP0266), but is not everywhere.
		l.wire.use(l.basic)
		l.api, err = gofish.Connect(config)
		return err
	}
	if err != nil {
		return err
	}
	token, err := l.api.Service.CreateSession(l.target.User, l.target.Password)
	if err == nil && token.Token != "" {
		l.session = token.Session
		l.wire.use(func(req *http.Request) { req.Header.Set("X-Auth-Token", token.Token) })
		return nil
	}
	if status, broken := l.wire.facts(); broken != nil || status == http.StatusUnauthorized || status == http.StatusForbidden {
		return err
	}
	l.wire.use(l.basic)
	return nil
}

func (l *redfishLink) basic(req *http.Request) {
	req.SetBasicAuth(l.target.User, l.target.Password)
}

// choose finds the machine among the controller's systems and returns the name by
// which bmclib is to find it again, empty if there is but one.
func (l *redfishLink) choose() (string, error) {
	systems, err := l.api.Service.Systems()
	if err != nil {
		return "", err
	}
	var names []string
	var found *redfish.ComputerSystem
	matches := 0
	for _, s := range systems {
		names = append(names, s.Name)
		if want := l.target.SystemName; want == s.ID || want == s.Name || want == "" {
			found = s
			matches++
		}
	}
	slices.Sort(names) // gofish reads them at once, in no order
	if matches != 1 {
		return "", l.report.fail(ClassOther, "open", "set the system name to the Id or Name of one",
			fmt.Errorf("%d systems match the name %.60q among %.200q", matches, l.target.SystemName, names))
	}
	l.system, l.uuid = found.ODataID, found.UUID
	if len(systems) == 1 {
		return "", nil
	}
	// bmclib looks systems up by Name and takes the first: the wrong machine's power.
	if first := slices.Index(names, found.Name); slices.Contains(names[first+1:], found.Name) {
		return "", l.report.fail(ClassUnsupported, "open", "give the systems different names in the controller",
			fmt.Errorf("several systems are called %.60q", found.Name))
	}
	return found.Name, nil
}

// call runs fn with its requests bound to ctx and the call's time limit, and
// classes its error.
func (l *redfishLink) call(ctx context.Context, op string, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.Call)
	defer cancel()
	l.wire.begin(ctx)
	return l.fault(ctx, op, fn())
}

func (l *redfishLink) state(ctx context.Context) (state State, err error) {
	err = l.call(ctx, "read power state", func() error {
		text, err := l.lib.PowerStateGet(ctx)
		if err != nil {
			return err
		}
		state, err = parseState(text)
		return err
	})
	return state, err
}

func (l *redfishLink) order(ctx context.Context, want Want) error {
	return l.call(ctx, "set power "+string(want), func() error {
		switch want {
		case WantReset:
			// bmclib sends PowerCycle and, refused, a shutdown and a useless "On",
			// and then says that it did reset.
			return l.reset(redfish.ForceRestartResetType)
		case WantSoft:
			// bmclib sends it and answers false. The power button asks for the same.
			return l.reset(redfish.GracefulShutdownResetType, redfish.PushPowerButtonResetType)
		}
		_, err := l.lib.PowerSet(ctx, string(want))
		return l.local(string(want), err)
	})
}

// reset sends the first of kinds that the system allows; a system that lists none
// is asked for the first.
func (l *redfishLink) reset(kinds ...redfish.ResetType) error {
	system, err := redfish.GetComputerSystem(l.api, l.system)
	if err != nil {
		return err
	}
	system.DisableEtagMatch(true)
	allowed := system.SupportedResetTypes
	for _, kind := range kinds {
		if len(allowed) == 0 || slices.Contains(allowed, kind) {
			return l.local(string(kind), system.Reset(kind))
		}
	}
	return l.report.fail(ClassUnsupported, "reset", "use another power order",
		fmt.Errorf("the system allows %.200q, none of %q", allowed, kinds))
}

// local classes an order that the library itself refused: it was never sent, for
// the system does not list it.
func (l *redfishLink) local(order string, err error) error {
	if status, broken := l.wire.facts(); err == nil || status != 0 || broken != nil {
		return err
	}
	return l.report.fail(ClassUnsupported, "order "+order, "", err)
}

func (l *redfishLink) close(ctx context.Context) error {
	defer l.wire.base.CloseIdleConnections()
	if l.session == "" {
		return nil
	}
	return l.call(ctx, "log out", func() error {
		err := redfish.DeleteSession(l.api, l.session)
		if status, _ := l.wire.facts(); status == http.StatusUnauthorized || status == http.StatusNotFound {
			return nil // it is over already
		}
		return err
	})
}

// fault classes an error by the facts that the transport kept.
func (l *redfishLink) fault(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	status, broken := l.wire.facts()
	var untrusted *tls.CertificateVerificationError
	var pin *pinError
	var stray *strayError
	var refused *callout.RefusedError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return l.report.fail(ClassOther, op, "", ctx.Err())
	case errors.As(broken, &untrusted):
		return l.report.fail(ClassOther, op, fmt.Sprintf("trust its authority, or pin the certificate with SHA-256 %x",
			fingerprint(untrusted.UnverifiedCertificates[0])), broken)
	case errors.As(broken, &pin):
		return l.report.fail(ClassOther, op, "find out why the certificate changed, then pin the new one", broken)
	case errors.As(broken, &refused):
		return l.report.fail(ClassOther, op, cureRefused, refused)
	case errors.As(broken, &stray):
		return l.report.fail(ClassOther, op, "the controller is broken or not the one meant: look at it", broken)
	case broken != nil:
		return l.report.fail(ClassUnreachable, op, "check address, port, cabling and that Redfish is enabled", broken)
	case ctx.Err() != nil: // in the middle of a reply
		return l.report.fail(ClassUnreachable, op, "the controller is slow: try again", ctx.Err())
	}
	switch status {
	case http.StatusUnauthorized:
		return l.report.fail(ClassAuth, op, "check user and password", err)
	case http.StatusForbidden:
		return l.report.fail(ClassAuth, op, "give the user the right to control power", err)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return l.report.fail(ClassUnsupported, op, "", err)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return l.report.fail(ClassUnreachable, op, "the controller is busy: try again", err)
	}
	return l.report.fail(ClassOther, op, "", err)
}
