// Package client calls drpd's API from Go.
//
// Reading and writing objects is generic over their kinds:
//
//	m, err := client.Get(ctx, c, api.Machines, "Name:web1")
//
// Only calls that may safely be repeated are retried.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config says where the server is and who calls. Endpoint is required; without
// Token or User calls are anonymous.
type Config struct {
	Endpoint       string // https://host:8092
	Token          string
	User, Password string
	// CAPEM is what the server's certificate must descend from. CAFingerprint,
	// the SHA-256 of a certificate in its chain in hexadecimal, serves where no
	// file can be passed, as on a kernel command line. With neither, the
	// system's roots count.
	CAPEM         []byte
	CAFingerprint string
	Timeout       time.Duration // of one try of one call; default 30 s; uploads and streams have none
	Retries       int           // further tries of calls that may be repeated; default 3, -1 none
}

// Client is safe for use by many goroutines.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// maxReply bounds a reply in bytes.
const maxReply = 512 << 20

// New checks the configuration; it does not connect.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(cfg.Endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("endpoint %q is not a URL such as https://10.0.0.1:8092", cfg.Endpoint)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Retries == 0 {
		cfg.Retries = 3
	}
	tc, err := tlsConfig(cfg)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = tc
	return &Client{cfg: cfg, base: u, http: &http.Client{Transport: t}}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func tlsConfig(cfg Config) (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(cfg.CAPEM) > 0 {
		tc.RootCAs = x509.NewCertPool()
		if !tc.RootCAs.AppendCertsFromPEM(cfg.CAPEM) {
			return nil, errors.New("the CA given holds no PEM certificate")
		}
	}
	if cfg.CAFingerprint == "" {
		return tc, nil
	}
	want, err := hex.DecodeString(strings.ReplaceAll(cfg.CAFingerprint, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return nil, fmt.Errorf("the CA fingerprint %q is not a SHA-256 in hexadecimal", cfg.CAFingerprint)
	}
	// The usual check cannot succeed without the CA itself; VerifyConnection
	// does it with the pinned certificate as the root.
	tc.InsecureSkipVerify = true
	tc.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, want) }
	return tc, nil
}

// pinned verifies the chain up to the certificate with the fingerprint.
func pinned(s tls.ConnectionState, want []byte) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, cert := range s.PeerCertificates {
		if sum := sha256.Sum256(cert.Raw); bytes.Equal(sum[:], want) {
			roots.AddCert(cert)
			found = true
		} else {
			between.AddCert(cert)
		}
	}
	if !found {
		return errors.New("no certificate of the server has the fingerprint wanted: wrong server, or its CA was renewed")
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: s.ServerName})
	return err
}

// Error is what the server said.
type Error struct {
	Model    string
	Key      string
	Type     string
	Messages []string
	Code     int // HTTP status
}

func (e *Error) Error() string {
	where := strings.Trim(e.Model+"/"+e.Key, "/")
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s: %s%s", e.Type, where, strings.Join(e.Messages, "; "))
}

// Status returns the HTTP status of err, 0 if it is none of the server's.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

// call is one request.
type call struct {
	method string
	path   []string // parts below /api/v3, unescaped; an empty last one adds nothing
	query  url.Values
	header http.Header
	in     any // sent as JSON if not nil
	out    any // filled from JSON if not nil
}

func (c *Client) url(path []string, q url.Values) string {
	var b strings.Builder
	b.WriteString(c.base.String() + "/api/v3")
	for _, p := range path {
		b.WriteString("/" + url.PathEscape(p))
	}
	if len(q) > 0 {
		b.WriteString("?" + q.Encode())
	}
	return b.String()
}

func (c *Client) login(h http.Header) {
	r := http.Request{Header: h}
	switch {
	case c.cfg.Token != "":
		h.Set("Authorization", "Bearer "+c.cfg.Token)
	case c.cfg.User != "":
		r.SetBasicAuth(c.cfg.User, c.cfg.Password)
	}
}

// do makes the call, again if that is safe and the server was away.
func (c *Client) do(ctx context.Context, k call) (http.Header, int, error) {
	var data []byte
	if k.in != nil {
		var err error
		if data, err = json.Marshal(k.in); err != nil {
			return nil, 0, fmt.Errorf("encode request: %w", err)
		}
	}
	wait := 100 * time.Millisecond
	for try := 0; ; try++ {
		head, status, err := c.once(ctx, k, data)
		if err == nil || try >= c.cfg.Retries || !repeatable(k) || !passing(err) || ctx.Err() != nil {
			return head, status, err
		}
		select {
		case <-ctx.Done():
			return head, status, err
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// repeatable says whether a second try after a lost reply does no harm. A PUT
// tied to a revision would fail against its own first try.
func repeatable(k call) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead}, k.method) ||
		k.method == http.MethodPut && k.header.Get("If-Match") == ""
}

// passing says whether the same call may succeed later.
func passing(err error) bool {
	switch Status(err) {
	case 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		var cert *tls.CertificateVerificationError
		return !errors.As(err, &cert)
	}
	return false
}

func (c *Client) once(ctx context.Context, k call, data []byte) (http.Header, int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, k.method, c.url(k.path, k.query), bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	for name, v := range k.header {
		req.Header[name] = v
	}
	if data != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if k.out != nil && resp.StatusCode != http.StatusNoContent && k.method != http.MethodHead {
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(k.out); err != nil {
			return resp.Header, resp.StatusCode, fmt.Errorf("read reply of %s %s: %w", k.method, req.URL.Path, err)
		}
	}
	return resp.Header, resp.StatusCode, nil
}

// send logs in, sends, and turns error replies into *Error.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	c.login(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", c.base.Host, err)
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(body, e) != nil || len(e.Messages) == 0 {
		e.Messages = []string{fmt.Sprintf("%s %s: %s", req.Method, req.URL.Path, resp.Status)}
	}
	e.Code = resp.StatusCode
	if e.Type == "" {
		e.Type = http.StatusText(resp.StatusCode)
	}
	return nil, e
}
