package callout

import (
	"errors"
	"net/http"
	"time"
)

// maxHops is how often one request may be redirected.
const maxHops = 3

// Errors of redirects. What a request carries, such as credentials and its body,
// is for the host that it was made for.
var (
	ErrElsewhere = errors.New("it redirects to elsewhere")
	ErrWeaker    = errors.New("it redirects from https to http")
	ErrAround    = errors.New("it redirects too often")
)

// Client makes requests that stay with their host. It asks no proxy, whatever the
// environment says: a proxy would call for us, and check nothing. Close its idle
// connections at the end.
func (p *Policy) Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: p.Dialer(30 * time.Second).DialContext, TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1},
		CheckRedirect: stay,
	}
}

// stay lets a request be redirected within its host only.
func stay(to *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case len(via) > maxHops:
		return ErrAround
	case to.URL.Scheme != "http" && to.URL.Scheme != "https", to.URL.Host != from.Host:
		return ErrElsewhere
	case via[len(via)-1].URL.Scheme == "https" && to.URL.Scheme != "https":
		return ErrWeaker
	}
	return nil
}
