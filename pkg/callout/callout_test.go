package callout

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	own := func() []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")}
	}
	for addr, want := range map[string]string{
		"192.0.2.7":              "",
		"10.0.0.1":               "",
		"2001:db8::7":            "",
		"fd00::7":                "",
		"127.0.0.1":              "loopback",
		"127.255.0.9":            "loopback",
		"::1":                    "loopback",
		"::ffff:127.0.0.1":       "loopback",
		"::127.0.0.1":            "loopback",
		"::ffff:0:127.0.0.1":     "loopback",
		"64:ff9b::7f00:1":        "loopback",
		"64:ff9b:1::7f00:1":      "loopback",
		"2002:7f00:1::":          "loopback",
		"169.254.169.254":        "link-local",
		"::ffff:169.254.169.254": "link-local",
		"64:ff9b::a9fe:a9fe":     "link-local",
		"fe80::1":                "link-local",
		"fe80::1%eth0":           "link-local",
		"fec0::1":                "link-local",
		"224.0.0.1":              "link-local",
		"239.1.1.1":              "multicast",
		"ff05::1":                "multicast",
		"255.255.255.255":        "broadcast",
		"0.0.0.0":                "unspecified",
		"0.1.2.3":                "unspecified",
		"::":                     "unspecified",
		"198.51.100.1":           "address of this server",
		"::ffff:198.51.100.1":    "address of this server",
		"64:ff9b::198.51.100.1":  "address of this server",
		"2001:db8::1":            "address of this server",
	} {
		for name, p := range map[string]*Policy{"strict": {Own: own}, "other named": {Own: own, Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}} {
			err := p.Check(netip.MustParseAddr(addr))
			if want == "" {
				assert.NoError(t, err, "%s %s", name, addr)
				continue
			}
			require.ErrorContains(t, err, want, "%s %s", name, addr)
			assert.ErrorContains(t, err, "drpd --callout-allow ")
		}
		named := &Policy{Own: own, Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
		assert.NoError(t, named.Check(netip.MustParseAddr(addr)), addr)
	}
	var none *Policy
	require.Error(t, none.Check(netip.MustParseAddr("127.0.0.1")), "the nil Policy is strict")
	for _, a := range Interfaces() {
		require.Error(t, none.Check(a), "it knows the host's own addresses: %s", a)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	got, err := Prefixes([]string{"192.0.2.7", "192.0.2.9/24", "::1", "::ffff:127.0.0.1"})
	require.NoError(t, err)
	assert.Equal(t, "[192.0.2.7/32 192.0.2.0/24 ::1/128 127.0.0.1/32]", strings.ReplaceAll(strings.Trim(strings.Join(strings.Fields(sprint(got)), " "), ""), ",", ""))
	_, err = Prefixes([]string{"bmc.example"})
	require.ErrorContains(t, err, "give an address or a network")
}

func sprint(list []netip.Prefix) string {
	var b strings.Builder
	b.WriteString("[")
	for i, p := range list {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(p.String())
	}
	return b.String() + "]"
}

// Loopback by every spelling, and by a name: what is checked is what is
// connected to.
func TestClientRefusesByWhatIsConnectedTo(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer s.Close()
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1.2.3"} {
		c := (&Policy{}).Client()
		_, err := c.Get("http://" + net.JoinHostPort(strings.Trim(host, "[]"), u.Port()))
		require.ErrorContains(t, err, "only if its operator names it", host)
	}
	allow := &Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	c := allow.Client()
	defer c.CloseIdleConnections()
	res, err := c.Get(s.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusTeapot, res.StatusCode)
	_, err = (&Policy{}).Resolve(t.Context(), "localhost")
	require.ErrorContains(t, err, "a loopback address")
	got, err := allow.Resolve(t.Context(), "127.0.0.1")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", got.String())
	_, err = (&Policy{}).Dialer(time.Second).DialContext(t.Context(), "udp", "127.0.0.1:623")
	require.ErrorContains(t, err, "a loopback address", "datagrams too")
}

// A redirect goes nowhere but to the same host, and never to less.
func TestClientStaysWithItsHost(t *testing.T) {
	t.Parallel()
	seen := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen++ }))
	defer other.Close()
	plain := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	var to string
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		case "/away":
			http.Redirect(w, r, to, http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	})
	for _, s := range []*httptest.Server{httptest.NewServer(serve), httptest.NewTLSServer(serve)} {
		defer s.Close()
		c := (&Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}).Client()
		c.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		res, err := c.Get(s.URL + "/same")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "/end", res.Request.URL.Path)
		_, err = c.Get(s.URL + "/round")
		require.ErrorIs(t, err, ErrAround)
		for _, to = range []string{other.URL, plain, strings.Replace(other.URL, "http:", "https:", 1), "file:///etc/passwd", "ftp://" + s.Listener.Addr().String()} {
			_, err = c.Get(s.URL + "/away")
			require.ErrorIs(t, err, ErrElsewhere, to)
		}
		if to = "http://" + s.Listener.Addr().String(); strings.HasPrefix(s.URL, "https") {
			_, err = c.Get(s.URL + "/away")
			require.ErrorIs(t, err, ErrWeaker)
		}
		c.CloseIdleConnections()
	}
	assert.Equal(t, 0, seen)
}
