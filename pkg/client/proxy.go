package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// Proxy passes calls on to the client's server, over its connections and with
// its credentials: serve it on a Unix socket that only the user may open, and
// give others that as Config.Socket.
func (c *Client) Proxy() http.Handler {
	return &httputil.ReverseProxy{Transport: c.http.Transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(c.base)
		r.Out.Host = c.base.Host
		r.Out.Header.Del("Authorization")
		c.login(r.Out)
	}}
}

func socketTransport(path string) *http.Transport {
	return &http.Transport{ResponseHeaderTimeout: headerTimeout, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "unix", path)
	}}
}

// Download begins to fetch from anywhere, without credentials and by the roots
// of the system; the caller closes the body. proxy is the URL of an HTTP proxy,
// "" for that of the environment.
func Download(ctx context.Context, from, proxy string) (*http.Response, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: headerTimeout}
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil {
			return nil, fmt.Errorf("proxy %q: %w", proxy, err)
		}
		t.Proxy = http.ProxyURL(u)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return nil, &ConnError{Host: req.URL.Host, Err: err}
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("download %s: %s", from, resp.Status)
	}
	return resp, nil
}
