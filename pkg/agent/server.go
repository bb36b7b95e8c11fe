//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"drpd/pkg/agent/facts"
	"drpd/pkg/client"
)

const (
	// stallLimit is how long a download may deliver nothing.
	stallLimit = time.Minute
	// installedTTL is the life of the token of an installed system's agent; it
	// has no other way to get one.
	installedTTL = "3y"
)

// ownServer is what operations may ask of the server about this machine.
type ownServer struct{ a *agent }

// Record stores the inventory where tasks and people look for it.
func (s ownServer) Record(ctx context.Context, inv facts.Inventory) error {
	id := s.a.machine()
	m, err := s.a.getMachine(ctx, id)
	if err != nil {
		return fmt.Errorf("record inventory: %w", err)
	}
	addrs := m.HardwareAddrs
	for _, mac := range hardwareAddrs(inv) {
		if !slices.Contains(addrs, mac) && len(addrs) < maxAddrs {
			addrs = append(addrs, mac)
		}
	}
	mode := "legacy-bios"
	if inv.FirmwareMode == facts.FirmwareUEFI {
		mode = "uefi"
	}
	p := []client.Op{
		client.Set(client.Pointer("Params", "inventory/data"), inv),
		client.Set("/Params/detected-bios-mode", mode),
		client.Set("/HardwareAddrs", addrs),
		client.Set("/Fingerprint", fingerprint(inv.System)),
	}
	if inv.BootMAC != "" {
		p = append(p, client.Set("/Params/last-boot-macaddr", inv.BootMAC))
	}
	if err := s.a.patchMachine(ctx, id, p...); err != nil {
		return fmt.Errorf("record inventory: %w", err)
	}
	return nil
}

// AgentConfig is the configuration for the agent of the installed system.
func (s ownServer) AgentConfig(ctx context.Context, env string) ([]byte, error) {
	if env == "" {
		return nil, errors.New("personalize.env is empty: name the boot environment of the installed system")
	}
	id := s.a.machine()
	token, err := ask(ctx, s.a, func(c *client.Client) (string, error) { return c.GrantToken(ctx, "machines", id, installedTTL) })
	if err != nil {
		return nil, fmt.Errorf("get a token for the installed system: %w", err)
	}
	return json.MarshalIndent(Config{Endpoint: s.a.cfg.Endpoint, CAFingerprint: s.a.cfg.CAFingerprint,
		Token: token, Machine: id, Env: env}, "", "  ")
}

// Download opens a stream without limit of time but with one for silence. The
// token goes to our own server only.
func (s ownServer) Download(ctx context.Context, from string) (io.ReadCloser, error) {
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("image %q is not an http or https URL", from)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	res, err := s.a.client().Fetch(ctx, from)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("download %s: %w", from, err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		cancel(nil)
		return nil, fmt.Errorf("download %s: server says %s", from, res.Status)
	}
	return newDownload(res, cancel), nil
}

// download is a body that fails when it stalls or ends early.
type download struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	from   string
	got    int64
}

func newDownload(res *http.Response, cancel context.CancelCauseFunc) *download {
	d := &download{body: res.Body, cancel: cancel, from: res.Request.URL.Redacted()}
	d.timer = time.AfterFunc(stallLimit, func() { cancel(fmt.Errorf("nothing came for %s", stallLimit)) })
	return d
}

// Read starts the clock only while it waits: a slow disk is no stalled server.
func (d *download) Read(b []byte) (int, error) {
	d.timer.Reset(stallLimit)
	n, err := d.body.Read(b)
	d.timer.Stop()
	d.got += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("download %s broke off after %d bytes: %w", d.from, d.got, err)
	}
	return n, err
}

func (d *download) Close() error {
	d.timer.Stop()
	d.cancel(nil)
	return d.body.Close()
}
