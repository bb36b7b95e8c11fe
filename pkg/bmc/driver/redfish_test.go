package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const resetPath = "POST /redfish/v1/Systems/0/Actions/ComputerSystem.Reset"

func TestRedfishPower(t *testing.T) {
	t.Parallel()
	all := []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart"}
	cases := map[string]struct {
		power  string
		resets []string
		delay  int
		want   Want
		orders []string
		end    State
	}{
		"on":                            {"Off", all, 0, WantOn, []string{"On"}, StateOn},
		"on slowly":                     {"Off", all, 5, WantOn, []string{"On"}, StateOn},
		"on when on":                    {"On", all, 0, WantOn, nil, StateOn},
		"on, nothing listed":            {"Off", nil, 0, WantOn, []string{"On"}, StateOn},
		"off":                           {"On", all, 2, WantOff, []string{"ForceOff"}, StateOff},
		"off when off":                  {"Off", all, 0, WantOff, nil, StateOff},
		"soft":                          {"On", all, 2, WantSoft, []string{"GracefulShutdown"}, StateOff},
		"soft by button":                {"On", []string{"On", "PushPowerButton"}, 0, WantSoft, []string{"PushPowerButton"}, StateOff},
		"cycle":                         {"On", all, 2, WantCycle, []string{"ForceOff", "On"}, StateOn},
		"cycle when off":                {"Off", all, 0, WantCycle, []string{"On"}, StateOn},
		"reset":                         {"On", all, 0, WantReset, []string{"ForceRestart"}, StateOn},
		"reset, nothing listed":         {"On", nil, 0, WantReset, []string{"ForceRestart"}, StateOn},
		"reset when off":                {"Off", all, 0, WantReset, []string{"On"}, StateOn},
		"reset without a restart":       {"On", []string{"On", "ForceOff"}, 2, WantReset, []string{"ForceOff", "On"}, StateOn},
		"reset, PowerCycle is not used": {"On", []string{"On", "ForceOff", "PowerCycle"}, 0, WantReset, []string{"ForceOff", "On"}, StateOn},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeRedfish{power: c.power, resets: c.resets, delay: c.delay}
			s := openTest(t, Config{Timeouts: quick()}, fake.start(t))
			require.NoError(t, s.SetPower(t.Context(), c.want))
			state, err := s.PowerState(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.end, state)
			orders, _, _ := fake.seen()
			assert.Equal(t, c.orders, orders)
		})
	}
}

func TestRedfishLies(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		power string
		want  Want
		lied  ErrLied
	}{
		"on":    {"Off", WantOn, ErrLied{"on", "off"}},
		"off":   {"On", WantOff, ErrLied{"off", "on"}},
		"soft":  {"On", WantSoft, ErrLied{"soft", "on"}},
		"cycle": {"On", WantCycle, ErrLied{"cycle", "on"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeRedfish{power: c.power, lies: true}
			s := openTest(t, Config{Timeouts: quick()}, fake.start(t))
			err := s.SetPower(t.Context(), c.want)
			var lied ErrLied
			require.ErrorAs(t, err, &lied)
			assert.Equal(t, c.lied, lied)
			assert.Equal(t, ClassLied, ClassOf(err))
			orders, _, _ := fake.seen()
			assert.Len(t, orders, 1, "the order was sent once")
		})
	}
}

func TestRedfishBoot(t *testing.T) {
	t.Parallel()
	once := func(target string) map[string]any {
		return map[string]any{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": target}
	}
	uefi := once("Pxe")
	uefi["BootSourceOverrideMode"] = "UEFI"
	http := once("UefiHttp")
	http["BootSourceOverrideMode"] = "UEFI"
	cases := map[string]struct {
		fake   *fakeRedfish
		device Device
		uefi   bool
		patch  map[string]any
		class  Class
	}{
		"pxe leaves the mode": {device: DevicePXE, patch: once("Pxe")},
		"pxe uefi":            {device: DevicePXE, uefi: true, patch: uefi},
		"disk":                {device: DeviceDisk, patch: once("Hdd")},
		"cdrom":               {device: DeviceCDROM, patch: once("Cd")},
		"http":                {device: DeviceHTTP, uefi: true, patch: http},
		"http without uefi":   {device: DeviceHTTP, class: ClassUnsupported},
		"http ignored":        {fake: &fakeRedfish{ignores: "UefiHttp"}, device: DeviceHTTP, uefi: true, patch: http, class: ClassLied},
		"pxe not allowed":     {fake: &fakeRedfish{bootAllows: []string{"Hdd"}}, device: DevicePXE, class: ClassUnsupported},
		"unknown device":      {device: "tape", class: ClassOther},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := c.fake
			if fake == nil {
				fake = &fakeRedfish{}
			}
			s := openTest(t, Config{Timeouts: quick()}, fake.start(t))
			err := s.BootOnce(t.Context(), c.device, c.uefi)
			assert.Equal(t, c.class, ClassOf(err), "%v", err)
			_, patches, _ := fake.seen()
			if c.patch == nil {
				assert.Empty(t, patches)
				return
			}
			assert.Equal(t, []map[string]any{c.patch}, patches)
		})
	}
}

func TestRedfishLogin(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fake     *fakeRedfish
		sessions int
	}{
		"session":                    {&fakeRedfish{}, 1},
		"no session service":         {&fakeRedfish{noSessions: true}, 0},
		"no room for a session":      {&fakeRedfish{status: map[string]int{"POST /redfish/v1/SessionService/Sessions": 503}}, 0},
		"root wants credentials too": {&fakeRedfish{rootLocked: true}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := NewDialer(Config{Out: loopback(), Timeouts: quick()}).Open(t.Context(), c.fake.start(t))
			require.NoError(t, err)
			_, _, sessions := c.fake.seen()
			assert.Equal(t, c.sessions, sessions)
			require.NoError(t, s.SetPower(t.Context(), WantOn))
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, s.Close(ended), "the logout outlives the caller's context")
			_, _, sessions = c.fake.seen()
			assert.Zero(t, sessions, "sessions left behind")
			_, err = s.PowerState(t.Context())
			require.ErrorContains(t, err, "session is closed")
		})
	}
}

func TestRedfishOpenErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fake  *fakeRedfish
		edit  func(*Target)
		class Class
		text  string
	}{
		"wrong password":            {&fakeRedfish{}, func(t *Target) { t.Password = "wrong" }, ClassAuth, "check user and password"},
		"wrong password, basic":     {&fakeRedfish{noSessions: true}, func(t *Target) { t.Password = "wrong" }, ClassAuth, "check user and password"},
		"silent":                    {&fakeRedfish{silent: true}, nil, ClassUnreachable, "check address"},
		"no pin, unknown authority": {&fakeRedfish{}, func(t *Target) { t.TLSPin = "" }, ClassOther, "pin the certificate with SHA-256"},
		"wrong pin":                 {&fakeRedfish{}, func(t *Target) { t.TLSPin = strings.Repeat("ab", 32) }, ClassOther, "not the pinned one"},
		"pin that is none":          {&fakeRedfish{}, func(t *Target) { t.TLSPin = "abc" }, ClassOther, "64 digits"},
		"plain http to TLS":         {&fakeRedfish{}, func(t *Target) { t.PlainHTTP = true }, ClassUnsupported, "HTTP request to an HTTPS server"},
		"two systems":               {&fakeRedfish{names: []string{"a", "b"}}, nil, ClassOther, `["a" "b"]`},
		"same names":                {&fakeRedfish{names: []string{"a", "a"}}, func(t *Target) { t.SystemName = "1" }, ClassUnsupported, "several systems"},
		"link to another host":      {&fakeRedfish{evil: true}, nil, ClassOther, "another host"},
		"mode":                      {&fakeRedfish{}, func(t *Target) { t.Mode = "auto" }, ClassOther, `mode "auto" is unknown`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := c.fake.start(t)
			if c.edit != nil {
				c.edit(&target)
			}
			times := quick()
			times.Open = 400 * time.Millisecond
			if !c.fake.silent {
				times.Open = 5 * time.Second
			}
			started := time.Now()
			_, err := NewDialer(Config{Out: loopback(), Timeouts: times}).Open(t.Context(), target)
			assert.Equal(t, c.class, ClassOf(err))
			require.ErrorContains(t, err, c.text)
			assert.Contains(t, err.Error(), target.hostPort())
			assert.Less(t, time.Since(started), 4*time.Second)
			_, _, sessions := c.fake.seen()
			assert.Zero(t, sessions, "sessions left behind")
		})
	}
}

func TestRedfishChoosesSystemByNameOrID(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"left", "0"} {
		fake := &fakeRedfish{names: []string{"left", "right"}}
		target := fake.start(t)
		target.SystemName = name
		s := openTest(t, Config{Timeouts: quick()}, target)
		require.NoError(t, s.SetPower(t.Context(), WantOn))
	}
}

func TestRedfishRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	require.NoError(t, listener.Close())
	_, err = NewDialer(Config{Out: loopback()}).Open(t.Context(), Target{Mode: ModeRedfish, Address: "127.0.0.1", Port: int(port), InsecureTLS: true})
	assert.Equal(t, ClassUnreachable, ClassOf(err))
	assert.ErrorContains(t, err, "refused")
}

func TestRedfishOrderErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status int
		resets []string
		want   Want
		class  Class
	}{
		"no right":         {http.StatusForbidden, nil, WantOn, ClassAuth},
		"busy":             {http.StatusServiceUnavailable, nil, WantOn, ClassUnreachable},
		"not implemented":  {http.StatusNotImplemented, nil, WantSoft, ClassUnsupported},
		"broken":           {http.StatusInternalServerError, nil, WantReset, ClassOther},
		"soft not allowed": {0, []string{"On", "ForceOff"}, WantSoft, ClassUnsupported},
		"off not allowed":  {0, []string{"On"}, WantOff, ClassUnsupported},
		"unknown order":    {0, nil, "explode", ClassOther},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeRedfish{power: "Off", resets: c.resets, status: map[string]int{resetPath: c.status}, echo: true}
			if c.want != WantOn {
				fake.power = "On"
			}
			s := openTest(t, Config{Timeouts: quick()}, fake.start(t))
			err := s.SetPower(t.Context(), c.want)
			assert.Equal(t, c.class, ClassOf(err), "%v", err)
			var lied ErrLied
			assert.NotErrorAs(t, err, &lied)
			assert.NotContains(t, fmt.Sprint(err), "S3cr")
		})
	}
}

func TestRedfishCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	fake := &fakeRedfish{lies: true}
	times := quick()
	times.Verify = time.Hour
	s := openTest(t, Config{Timeouts: times}, fake.start(t))
	bounded, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	assert.Equal(t, ClassLied, ClassOf(s.SetPower(bounded, WantOn)), "a deadline after a look is a verdict")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.SetPower(canceled, WantOn)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, ClassOther, ClassOf(err))
}

func TestPasswordStaysHidden(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	fake := &fakeRedfish{echo: true, noSessions: true, status: map[string]int{resetPath: 500}}
	target := fake.start(t)
	d := NewDialer(Config{Out: loopback(), Timeouts: quick(), Logger: logger})
	err := d.Do(t.Context(), target, func(s *Session) error { return s.SetPower(t.Context(), WantOn) })
	require.Error(t, err)
	logger.Info("shown", "target", target, "pointer", &target)
	all := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", err, err, err, target, target, target, log.String())
	for e := err; e != nil; e = errors.Unwrap(e) {
		all += fmt.Sprintf("%#v", e)
	}
	assert.Contains(t, all, "[redacted]", "the controller did echo it")
	for _, secret := range []string{planted, "S3cr", `S3cr\"t`, "S3cr%22t", "YWRtaW46UzNjc"} {
		assert.NotContains(t, all, secret)
	}
}
