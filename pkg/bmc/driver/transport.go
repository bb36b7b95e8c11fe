package driver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxReply limits one Redfish reply, in bytes; a ComputerSystem has 5 to 50 KB.
const maxReply = 4 << 20

// transport sits below both Redfish clients and does what neither can: it binds
// each request to the context of the call (gofish keeps that of its connect,
// bmclib none), adds the credentials (so bmclib needs no second login and holds no
// password), sends them to the target only, and keeps the facts of a failure,
// which bmclib turns into text.
type transport struct {
	base *http.Transport
	host string // host:port of the target

	mu     sync.Mutex
	ctx    context.Context
	login  func(*http.Request)
	status int   // first HTTP status >= 400 since begin
	err    error // first transport error since begin
}

func newTransport(t Target, cfg Config) (*transport, error) {
	config, err := tlsConfig(t, cfg.RootCAs)
	if err != nil {
		return nil, err
	}
	return &transport{
		host:  t.hostPort(),
		login: func(*http.Request) {},
		base: &http.Transport{
			// No proxy: controllers live on the management network.
			DialContext:     cfg.Out.Dialer(cfg.Timeouts.Open).DialContext,
			TLSClientConfig: config,
			IdleConnTimeout: 30 * time.Second,
		},
	}, nil
}

// tlsConfig verifies the certificate by pin, or by roots, or not at all. Versions
// below TLS 1.2 stay off: a controller that old is reached by IPMI.
func tlsConfig(t Target, roots *x509.CertPool) (*tls.Config, error) {
	pin, err := t.pin()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, InsecureSkipVerify: t.InsecureTLS || pin != nil, MinVersion: tls.VersionTLS12}
	if pin != nil {
		config.VerifyConnection = func(state tls.ConnectionState) error {
			if got := fingerprint(state.PeerCertificates[0]); subtle.ConstantTimeCompare(got, pin) != 1 {
				return &pinError{got: got}
			}
			return nil
		}
	}
	return config, nil
}

// pinError says that the certificate is not the pinned one.
type pinError struct{ got []byte }

func (e *pinError) Error() string {
	return fmt.Sprintf("the controller's certificate has SHA-256 %x, which is not the pinned one", e.got)
}

// strayError says that the controller sent us elsewhere.
type strayError struct{ host string }

func (e *strayError) Error() string {
	return fmt.Sprintf("the controller refers to another host, %.80q", e.host)
}

func fingerprint(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.Raw)
	return sum[:]
}

// begin binds the requests that follow to ctx and forgets earlier failures.
func (t *transport) begin(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx, t.status, t.err = ctx, 0, nil
}

// use sets how requests are authenticated from here on and forgets failures.
func (t *transport) use(login func(*http.Request)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.login, t.status, t.err = login, 0, nil
}

// facts returns the first failure since begin or use.
func (t *transport) facts() (status int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.err
}

func (t *transport) note(status int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	if t.status == 0 && status >= http.StatusBadRequest {
		t.status = status
	}
}

// RoundTrip sends one request as said at transport.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	ctx, login := t.ctx, t.login
	t.mu.Unlock()
	// Links come from the controller; one like "@other.host/x" would take the
	// password elsewhere.
	if req.URL.Host != t.host {
		err := &strayError{host: req.URL.Host}
		t.note(0, err)
		return nil, err
	}
	req = req.Clone(ctx)
	req.Close = false // gofish asks for a TLS handshake per request
	login(req)
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		t.note(0, err)
		return nil, err
	}
	t.note(resp.StatusCode, nil)
	resp.Body = &limitedBody{Reader: io.LimitReader(resp.Body, maxReply), Closer: resp.Body}
	return resp, nil
}

// limitedBody ends a reply at maxReply.
type limitedBody struct {
	io.Reader
	io.Closer
}
