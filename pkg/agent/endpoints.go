//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"drpd/pkg/client"
)

// Bounds of what a server may say of itself.
const (
	maxEndpoints = 16
	maxPins      = 4
)

// place is where the server may answer, and what its authority may be, as it
// last said itself over a connection that was trusted.
type place struct {
	Endpoints []string // the one in use first
	Pins      []string // SHA-256 of its authority, and of those before
}

// pin is the authority that programs of ours are told, "" over http.
func (p place) pin() string {
	if len(p.Pins) == 0 {
		return ""
	}
	return p.Pins[0]
}

func (a *agent) placeFile() string { return filepath.Join(a.cfg.StateDir, "server.json") }

// knownPlace is what the configuration and an earlier run know.
func (a *agent) knownPlace() place {
	var p place
	if data, err := os.ReadFile(a.placeFile()); err == nil {
		_ = json.Unmarshal(data, &p) // damaged: it is learned again
	}
	p.Endpoints = distinct(maxEndpoints, append(append([]string{a.cfg.Endpoint}, a.cfg.Endpoints...), p.Endpoints...))
	p.Pins = distinct(maxPins, append(strings.Split(a.cfg.CAFingerprint, ","), p.Pins...))
	return p
}

func distinct(most int, list []string) []string {
	var out []string
	for _, s := range list {
		if u, err := url.Parse(s); err == nil && s != "" && !slices.Contains(out, s) && (u.Host != "" || u.Scheme == "") {
			out = append(out, s)
		}
	}
	return out[:min(len(out), most)]
}

// learn asks the server where else it answers, and by what it will be known.
func (a *agent) learn(ctx context.Context) {
	var info struct {
		Endpoints []string `json:"api_endpoints"`
		CA        string   `json:"ca_fingerprint"`
	}
	r, err := a.client().Raw(ctx, client.Request{Method: http.MethodGet, Path: "/info"})
	if err == nil {
		err = r.Decode(&info)
	}
	if err != nil {
		a.log.Debug("the server does not say where it answers", "err", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.at
	a.at.Endpoints = distinct(maxEndpoints, append(append(slices.Clone(was.Endpoints[:1]), info.Endpoints...), was.Endpoints[1:]...))
	a.at.Pins = distinct(maxPins, append([]string{info.CA}, was.Pins...))
	if slices.Equal(was.Endpoints, a.at.Endpoints) && slices.Equal(was.Pins, a.at.Pins) {
		return
	}
	if data, err := json.Marshal(a.at); err == nil {
		if err := os.WriteFile(a.placeFile(), data, 0o600); err != nil {
			a.log.Warn("where the server answers is not kept", "err", err)
		}
	}
	a.redial()
}

// elsewhere turns to the next place, after no answer at this one or one of
// another server.
func (a *agent) elsewhere() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.at.Endpoints) < 2 {
		return
	}
	a.at.Endpoints = append(slices.Clone(a.at.Endpoints[1:]), a.at.Endpoints[0])
	a.redial()
}

// redial makes a client for the place in use. a.mu is held.
func (a *agent) redial() {
	cfg := a.cfg
	cfg.Endpoint, cfg.CAFingerprint, cfg.Token = a.at.Endpoints[0], strings.Join(a.at.Pins, ","), a.api.Token()
	c, err := newClient(cfg)
	if err != nil {
		a.log.Warn("a place of the server is of no use", "endpoint", cfg.Endpoint, "err", err)
		return
	}
	a.api.Close()
	a.api = c
}

// place is where the server is called now.
func (a *agent) place() place {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}
