package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDialerGivesOneConversationPerController(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer(Config{Out: loopback(), Parallel: 5})
		started := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				release, err := d.acquire(t.Context(), fmt.Sprint("bmc", i%2))
				if assert.NoError(t, err) {
					time.Sleep(time.Second) // of the bubble's clock
					release()
				}
			})
		}
		wg.Wait()
		assert.Equal(t, 10*time.Second, time.Since(started), "two controllers, ten talks of 1 s each")
		assert.Empty(t, d.turns, "turns nobody uses are forgotten")
	})
}

func TestDialerLimits(t *testing.T) {
	t.Parallel()
	d := NewDialer(Config{Out: loopback(), Parallel: 2})
	var releases []func()
	for i := range 2 {
		release, err := d.acquire(t.Context(), fmt.Sprint(i))
		require.NoError(t, err)
		releases = append(releases, release)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := d.acquire(short, "third")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "one of 2 slots")
	_, err = d.acquire(short, "0")
	require.ErrorContains(t, err, "wait for the controller")
	releases[0]()
	release, err := d.acquire(t.Context(), "0")
	require.NoError(t, err)
	release()
	releases[1]()
	assert.Empty(t, d.turns)
	assert.Empty(t, d.slots)
}

func TestDialerGivesBackAfterAFailedOpen(t *testing.T) {
	t.Parallel()
	d := NewDialer(Config{Out: loopback(), Timeouts: quick(), Parallel: 1})
	target := (&fakeRedfish{}).start(t)
	wrong := target
	wrong.Password = "wrong"
	_, err := d.Open(t.Context(), wrong)
	require.Equal(t, ClassAuth, ClassOf(err))
	boom := errors.New("boom")
	require.ErrorIs(t, d.Do(t.Context(), target, func(*Session) error { return boom }), boom)
	s, err := d.Open(t.Context(), target)
	require.NoError(t, err)
	busy, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = d.Open(busy, target)
	require.ErrorContains(t, err, "another conversation")
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Close(t.Context()))
	assert.Empty(t, d.slots)
}

func TestTargetValidate(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		edit func(*Target)
		text string
	}{
		"good":             {func(*Target) {}, ""},
		"IPv6":             {func(t *Target) { t.Address = "::1" }, ""},
		"option":           {func(t *Target) { t.Address = "-oops" }, "neither an IP address"},
		"no address":       {func(t *Target) { t.Address = "" }, "neither an IP address"},
		"URL":              {func(t *Target) { t.Address = "a@b/c" }, "neither an IP address"},
		"port":             {func(t *Target) { t.Port = 70000 }, "port 70000"},
		"long user":        {func(t *Target) { t.User = strings.Repeat("u", 17) }, "user has 17 bytes"},
		"long password":    {func(t *Target) { t.Password = strings.Repeat("p", 21) }, "password has 21 bytes"},
		"suite word":       {func(t *Target) { t.CipherSuite = "best" }, "is not a number"},
		"suite zero":       {func(t *Target) { t.CipherSuite = "000" }, "never used"},
		"line in password": {func(t *Target) { t.Password = "a\nb" }, "line break"},
		"colon in user":    {func(t *Target) { t.Mode, t.User = ModeRedfish, "a:b" }, "colon"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := Target{Mode: ModeIPMI, Address: "10.1.2.3", User: "admin", Password: "secret"}
			c.edit(&target)
			err := target.validate()
			if c.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"17", "3"}, candidates("", ""))
	assert.Equal(t, []string{"3", "17"}, candidates("", "3"))
	assert.Equal(t, []string{"17", "3"}, candidates("", "17"))
	assert.Equal(t, []string{"17", "3"}, candidates("", "8"), "a suite once given is not tried unasked")
	assert.Equal(t, []string{"8"}, candidates("8", "3"))
}

func TestParseState(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]State{"On": StateOn, "Off": StateOff, "PoweringOn": StateChanging,
		"PoweringOff": StateChanging, "Chassis Power is on\n": StateOn, "Chassis Power is off\n": StateOff} {
		got, err := parseState(text)
		require.NoError(t, err)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "Unknown", "Chassis Power is", "Chassis Power is onward", "Paused"} {
		_, err := parseState(text)
		assert.ErrorContains(t, err, "unknown power state", text)
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("Chassis Power is on\n")
	f.Add("PoweringOff")
	f.Fuzz(func(t *testing.T, text string) {
		state, err := parseState(text)
		if (err == nil) != (state != "") {
			t.Fatalf("%q gives state %q and error %v", text, state, err)
		}
		if state == StateOn && !strings.Contains(strings.ToLower(text), "on") {
			t.Fatalf("%q gives on", text)
		}
	})
}

func FuzzClean(f *testing.F) {
	f.Add("user", "secret", "the secret is out")
	f.Fuzz(func(t *testing.T, user, password, text string) {
		// A password of a few letters can arise anew from the words around it.
		if len(password) < 12 || strings.Contains("[redacted]", password) {
			return
		}
		r := reporter{secrets: redactor(user, password)}
		if out := r.clean(text + password); strings.Contains(out, password) && !strings.Contains(password, "redacted") {
			t.Fatalf("%q still holds %q", out, password)
		}
	})
}
