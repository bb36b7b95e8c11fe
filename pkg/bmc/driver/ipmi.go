package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bmc-toolbox/bmclib/v2/providers/ipmitool"

	"drpd/pkg/callout"
)

// suiteMemory holds the cipher suite that worked, by host:port.
type suiteMemory struct {
	mu    sync.Mutex
	known map[string]string
}

func (m *suiteMemory) get(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[key]
}

func (m *suiteMemory) set(key, suite string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]string{}
	}
	m.known[key] = suite
}

// candidates lists the suites to try: the given one alone, or the remembered one
// first, then 17 (HMAC-SHA256) and 3 (HMAC-SHA1, all that old controllers have).
func candidates(given, remembered string) []string {
	if given != "" {
		return []string{given}
	}
	list := []string{"17", "3"}
	if i := slices.Index(list, remembered); i > 0 {
		list[0], list[i] = list[i], list[0]
	}
	return list
}

// ipmiLink is a conversation by ipmitool. There is no connection to hold: each
// call is a process of its own with its own login.
type ipmiLink struct {
	path   string
	suite  string
	target Target
	report reporter
	call   time.Duration
	lib    *ipmitool.Conn
}

func openIPMI(ctx context.Context, t Target, r reporter, cfg Config, mem *suiteMemory) (link, error) {
	path, err := exec.LookPath(cmp.Or(cfg.Ipmitool, "ipmitool"))
	if err != nil {
		return nil, r.fail(ClassUnsupported, "open", "install the Debian package ipmitool on this server", err)
	}
	// ipmitool calls by itself: it gets the address that was checked, not a name
	// that may mean another one by then.
	addr, err := cfg.Out.Resolve(ctx, t.Address)
	var refused *callout.RefusedError
	switch {
	case errors.As(err, &refused):
		return nil, r.fail(ClassOther, "open", cureRefused, refused)
	case err != nil:
		return nil, r.fail(ClassUnreachable, "open", "check the controller's name", err)
	}
	key := t.hostPort()
	t.Address = addr.String()
	l := &ipmiLink{path: path, target: t, report: r, call: cfg.Timeouts.Call}
	if err := l.negotiate(ctx, mem, key); err != nil {
		return nil, err
	}
	// The suite is named, else bmclib tries 3 and 17 again at every single call.
	l.lib, err = ipmitool.New(t.host(), t.User, t.Password, ipmitool.WithPort(strconv.Itoa(t.port())),
		ipmitool.WithCipherSuite(l.suite), ipmitool.WithIpmitoolPath(path))
	if err != nil {
		return nil, r.fail(ClassOther, "open", "", err)
	}
	return l, nil
}

// negotiate finds a suite that the controller takes by reading the power state.
// bmclib's Open is of no use here: without -v ipmitool says the same three words
// for a refused suite, a wrong password and a dead cable, and a wrong password
// must not be tried twice lest the account be locked.
func (l *ipmiLink) negotiate(ctx context.Context, mem *suiteMemory, key string) error {
	suites := candidates(l.target.CipherSuite, mem.get(key))
	var last error
	for i, suite := range suites {
		share := ctx
		cancel := context.CancelFunc(func() {})
		if end, ok := ctx.Deadline(); ok {
			share, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(suites)-i))
		}
		l.suite = suite
		out, err := l.exec(share, "-v", "chassis", "power", "status")
		ended := share.Err()
		cancel()
		if err == nil {
			mem.set(key, suite)
			return nil
		}
		last = l.fault("open with cipher suite "+suite, out, ended, err)
		if dead := strings.Contains(out, "Authentication Capabilities"); dead ||
			ctx.Err() != nil || ClassOf(last) == ClassAuth {
			return last
		}
	}
	return last
}

func (l *ipmiLink) state(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	text, err := l.lib.PowerStateGet(ctx)
	if err != nil {
		return "", l.fault("read power state", text, ctx.Err(), err)
	}
	state, err := parseState(text)
	if err != nil {
		return "", l.report.fail(ClassOther, "read power state", "", err)
	}
	return state, nil
}

func (l *ipmiLink) order(ctx context.Context, want Want) error {
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	op := "set power " + string(want)
	if want == WantSoft {
		// bmclib takes a failed read of the state for "off" and then reports a soft
		// power-off as done that it never sent.
		out, err := l.exec(ctx, "chassis", "power", "soft")
		return l.fault(op, out, ctx.Err(), err)
	}
	_, err := l.lib.PowerSet(ctx, string(want))
	return l.fault(op, "", ctx.Err(), err)
}

func (l *ipmiLink) bootOnce(ctx context.Context, device Device, uefi bool) error {
	op := "boot once from " + string(device)
	if device == DeviceHTTP {
		return l.report.fail(ClassUnsupported, op, "use redfish, or boot from pxe", errors.New("IPMI has no HTTP boot"))
	}
	ctx, cancel := context.WithTimeout(ctx, l.call)
	defer cancel()
	_, err := l.lib.BootDeviceSet(ctx, string(device), false, uefi)
	return l.fault(op, "", ctx.Err(), err)
}

func (l *ipmiLink) close(context.Context) error { return nil }

// exec runs ipmitool with the password in its environment, which, unlike the
// arguments, other users cannot read. -N and -R make a lost packet cost 2 s.
func (l *ipmiLink) exec(ctx context.Context, args ...string) (string, error) {
	base := []string{"-I", "lanplus", "-H", l.target.Address, "-p", strconv.Itoa(l.target.port()),
		"-U", l.target.User, "-E", "-C", l.suite, "-N", "2", "-R", "3"}
	cmd := exec.CommandContext(ctx, l.path, append(base, args...)...)
	cmd.Env = []string{"LC_ALL=C", "IPMITOOL_PASSWORD=" + l.target.Password}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("ipmitool: %w", err)
	}
	return string(out), err
}

// cureRefused is for addresses that may not be called.
const cureRefused = "correct the address, or name it to drpd with " + callout.Flag

// ipmiVerdict is the meaning of words in ipmitool's output.
type ipmiVerdict struct {
	words []string
	class Class
	cure  string
}

// ipmiVerdicts are searched in order; the words are those of ipmitool 1.8.19.
func ipmiVerdicts() []ipmiVerdict {
	return []ipmiVerdict{
		{[]string{"HMAC is invalid", "unauthorized name", "unauthorized role"}, ClassAuth,
			"check user and password, and that the user may use IPMI over LAN"},
		{[]string{"insufficient privilege"}, ClassAuth, "give the user the administrator privilege"},
		{[]string{"invalid authentication algorithm", "invalid integrity algorithm", "invalid confidentiality algorithm",
			"no cipher suite match"}, ClassUnsupported, "name a cipher suite that the controller has enabled"},
		{[]string{"Invalid command", "not supported in present state", "Unsupported"}, ClassUnsupported, ""},
		{[]string{"Unable to establish"}, ClassUnreachable,
			"check address, cabling and that IPMI over LAN is enabled"},
	}
}

// fault classes what ipmitool said; nil stays nil. ended is the call's context error.
func (l *ipmiLink) fault(op, out string, ended, err error) error {
	if err == nil {
		return nil
	}
	// bmclib repeats ipmitool's output in its error, our own exec does not.
	text := strings.TrimSpace(strings.ReplaceAll(out, "Loading IANA PEN Registry...", "") + " " + err.Error())
	lower := strings.ToLower(text)
	for _, v := range ipmiVerdicts() {
		for _, word := range v.words {
			if strings.Contains(lower, strings.ToLower(word)) {
				return l.report.fail(v.class, op, v.cure, errors.New(text))
			}
		}
	}
	switch {
	case errors.Is(ended, context.DeadlineExceeded):
		return l.report.fail(ClassUnreachable, op, "check address, cabling and that IPMI over LAN is enabled",
			fmt.Errorf("no answer in time: %w", ended))
	case ended != nil:
		return l.report.fail(ClassOther, op, "", ended)
	}
	return l.report.fail(ClassOther, op, "", errors.New(text))
}
