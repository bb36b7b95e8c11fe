//go:build linux

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"drpd/pkg/agent/ops"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 64 << 10

// Config is the agent's configuration file and, in the fields that are not
// stored, what it runs on. Endpoint, Token and Env are required.
type Config struct {
	Endpoint      string   // https://host:port of the server
	Endpoints     []string `json:",omitempty"` // further places of the same server
	CAFingerprint string   // SHA-256 of the server's CA in hex; required with https
	Token         string   // a boot token, or the token of the machine
	Machine       string   // uuid, if it is known
	Env           string   // boot environment that the agent runs in
	Context       string   // "" for the machine itself
	Kind          string   // machines, clusters or resource_brokers; default machines
	StateDir      string   // default /var/lib/drp-agent

	Hardware ops.Hardware  `json:"-"` // default: this machine
	Log      *slog.Logger  `json:"-"` // default: discard
	Poll     time.Duration `json:"-"` // between looks without an event; default 10 s
}

// ReadConfig reads a configuration file.
func ReadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read agent configuration: %w", err)
	}
	defer f.Close()
	var c Config
	d := json.NewDecoder(io.LimitReader(f, maxConfig))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read agent configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *Config) fill() error {
	u, err := url.Parse(c.Endpoint)
	var errs []error
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		errs = append(errs, fmt.Errorf("Endpoint %q is not a URL such as https://server:8092", c.Endpoint))
	} else if u.Scheme == "https" && c.CAFingerprint == "" {
		errs = append(errs, errors.New("CAFingerprint is empty: an https server is known by its CA"))
	}
	if c.Token == "" {
		errs = append(errs, errors.New("Token is empty"))
	}
	if c.Kind == "" {
		c.Kind = "machines"
	}
	if c.Env == "" && c.Context == "" {
		errs = append(errs, errors.New("Env is empty: name the boot environment that the agent runs in"))
	}
	if c.StateDir == "" {
		c.StateDir = "/var/lib/drp-agent"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Poll == 0 {
		c.Poll = 10 * time.Second
	}
	if c.Hardware.Facts == nil {
		c.Hardware = thisMachine()
	}
	return errors.Join(errs...)
}
