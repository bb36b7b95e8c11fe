// Package client calls drpd's API from Go. It is the one place that builds
// requests, presents credentials, verifies the server, decodes its errors and
// follows its events; drpcli and the agent stand on it.
//
// Reading and writing objects is generic over their kinds:
//
//	m, err := client.Get(ctx, c, api.Machines, "Name:web1")
//
// Client.Raw and Client.Stream call any route. Only calls that may safely be
// repeated are retried.
package client

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where the server is and who calls. Endpoint is required; without
// Token or User calls are anonymous.
type Config struct {
	Endpoint       string // https://host:8092
	Token          string
	User, Password string

	// By what a server with https is known; with none of these by the roots of
	// the system. Fingerprints are SHA-256 in hexadecimal, colons allowed.
	CAPEM []byte // what its certificate must descend from
	// CAFingerprint is that of a certificate in its chain. It serves where no
	// file can be passed, as on a kernel command line.
	CAFingerprint string
	// AnyName, with CAFingerprint, takes a certificate that names another host:
	// drpd's own CA signs nobody but its server, and a machine that boots knows
	// an address at most. Wrong for a CA that signs for others.
	AnyName bool
	// CertFingerprint is that of the very certificate the server shows, as
	// accepted at a first login. Nothing else is looked at then.
	CertFingerprint string
	// Pin is what a login keeps: the fingerprint of a drpd's own CA, or of the
	// very certificate. The CA signs its server only, so names do not matter.
	Pin string

	Timeout  time.Duration // of one try of one call; default 30 s, -1 none; streams have none
	MaxReply int64         // bytes of a reply that is not streamed; default 1 GiB: some 100,000 machines
	Retries  int           // further tries of calls that may be repeated; default 3, -1 none
	Pace     Backoff       // between tries, and before Watch connects again; default 0.1 s to 10 s
	Direct   bool          // use no proxy, whatever the environment says

	Prefix string      // id of an endpoint that the server passes calls on to, as /<id>/api/v3
	Header http.Header // sent with every call of the API, such as X-Log-Request
	Socket string      // of Proxy: calls go there, which presents its own credentials

	// Trace is told of each answer; nil: nobody is.
	Trace func(method, path string, status int)
}

// headerTimeout is how long an answer may take to begin: the server answers
// within a minute, or says that it cannot.
const headerTimeout = 90 * time.Second

// Client is safe for use by many goroutines.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// New checks the configuration; it does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.Socket != "" {
		cfg.Endpoint, cfg.Token, cfg.User = "http://proxy", "", ""
	}
	u, err := url.Parse(strings.TrimSuffix(cfg.Endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("endpoint %q is not a URL such as https://10.0.0.1:8092", cfg.Endpoint)
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.MaxReply = cmp.Or(cfg.MaxReply, 1<<30)
	cfg.Retries = cmp.Or(cfg.Retries, 3)
	cfg.Pace = cmp.Or(cfg.Pace, Backoff{First: 100 * time.Millisecond, Last: 10 * time.Second})
	t, err := transport(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, base: u, http: &http.Client{Transport: t}}, nil
}

func transport(cfg Config) (*http.Transport, error) {
	tc, err := tlsConfig(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Socket != "" {
		return socketTransport(cfg.Socket), nil
	}
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       tc,
		TLSHandshakeTimeout:   20 * time.Second,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   4,
		ForceAttemptHTTP2:     true,
		// Without pings calls would go on into a connection whose peer is gone
		// without a word.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 15 * time.Second},
	}
	if !cfg.Direct {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// WithToken is the same client with another token.
func (c *Client) WithToken(token string) *Client {
	d := *c
	d.cfg.Token = token
	return &d
}

// Token is what the client presents, "" if it has none.
func (c *Client) Token() string { return c.cfg.Token }

func (c *Client) login(r *http.Request) {
	switch {
	case c.cfg.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	case c.cfg.User != "":
		r.SetBasicAuth(c.cfg.User, c.cfg.Password)
	}
}
