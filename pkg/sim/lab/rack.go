package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Config describes a rack to be made. Only Dir is needed.
type Config struct {
	// Dir holds all state and must be short: socket paths under it are limited
	// to 107 bytes by the kernel. Commas are refused because QEMU splits on them.
	Dir string `json:"-"`
	// Namespace is the network namespace, by default drpd-lab- and a random part.
	Namespace string `json:"namespace"`
	// Bridge is the rack's switch, by default br0.
	Bridge string `json:"bridge"`
	// CIDR is the bridge's own IPv4 address, by default 192.168.124.1/24.
	CIDR string `json:"cidr"`
	// CIDR6 is the bridge's own IPv6 address, by default fd00:124::1/64.
	CIDR6 string `json:"cidr6"`
	// Labctl is the absolute path of the labctl program, which simulated BMCs
	// run. A rack whose nodes have no BMC can do without.
	Labctl string `json:"labctl,omitempty"`
}

// Rack is a simulated rack. Its methods may be called from several processes.
type Rack struct {
	Config
}

const rackFile = "rack.json"

// linkName is what the kernel takes as a device name and ip as a namespace.
var linkName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,14}$`)

// Create makes the namespace and its bridge and records them in cfg.Dir.
func Create(ctx context.Context, cfg Config) (*Rack, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("create rack: %w", err)
	}
	r := &Rack{Config: cfg}
	for _, dir := range []string{r.path("nodes"), r.path("run")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create rack: %w", err)
		}
	}
	if _, err := os.Stat(r.path(rackFile)); err == nil {
		return nil, fmt.Errorf("create rack: %s already holds a rack; destroy it first or choose another directory", cfg.Dir)
	}
	if err := r.setUpNetwork(ctx); err != nil {
		return nil, fmt.Errorf("create rack in namespace %s: %w", cfg.Namespace, err)
	}
	if err := writeJSON(r.path(rackFile), cfg); err != nil {
		return nil, errors.Join(err, r.deleteNamespace(ctx))
	}
	return r, nil
}

// Open reads the rack that lives in dir.
func Open(dir string) (*Rack, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open rack %s: %w", dir, err)
	}
	var cfg Config
	if err := readJSON(filepath.Join(abs, rackFile), &cfg); err != nil {
		return nil, fmt.Errorf("open rack %s: %w", dir, err)
	}
	cfg.Dir = abs
	return &Rack{Config: cfg}, nil
}

// Destroy ends every machine and process of the rack and removes its devices
// and namespace. Logs and disks stay in Dir for whoever wants to look; remove
// the directory to be rid of them.
func (r *Rack) Destroy(ctx context.Context) error {
	errs := []error{r.stopNodes(ctx), r.stopProcesses(ctx)}
	if left := r.strangers(ctx); left != "" {
		errs = append(errs, fmt.Errorf("processes %s still run in namespace %s and were not started by the rack", left, r.Namespace))
	}
	errs = append(errs, r.deleteNamespace(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("destroy rack %s: %w", r.Dir, err)
	}
	if err := os.Remove(r.path(rackFile)); err != nil {
		return fmt.Errorf("destroy rack %s: %w", r.Dir, err)
	}
	return nil
}

// Command returns a command that will run inside the rack's namespace. The
// host's files and processes stay visible to it.
func (r *Rack) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + r.Namespace, "--", name}, args...)...)
}

func (r *Rack) path(parts ...string) string {
	return filepath.Join(append([]string{r.Dir}, parts...)...)
}

// complete fills the defaults and refuses what the kernel or QEMU would
// misread later.
func (c *Config) complete() error {
	if c.Namespace == "" {
		c.Namespace = "drpd-lab-" + randomHex(3)
	}
	defaults := []struct {
		field *string
		value string
	}{{&c.Bridge, "br0"}, {&c.CIDR, "192.168.124.1/24"}, {&c.CIDR6, "fd00:124::1/64"}}
	for _, d := range defaults {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	abs, err := filepath.Abs(c.Dir)
	if err != nil || c.Dir == "" || strings.ContainsAny(abs, ",\" \n") {
		return fmt.Errorf("directory %q: give a path without commas, quotes or spaces", c.Dir)
	}
	c.Dir = abs
	for _, name := range []string{c.Namespace, c.Bridge} {
		if !linkName.MatchString(name) {
			return fmt.Errorf("name %q: use at most 15 of a-z, 0-9 and -", name)
		}
	}
	if p, err := netip.ParsePrefix(c.CIDR); err != nil || !p.Addr().Is4() {
		return fmt.Errorf("address %q: give an IPv4 address with a prefix length, such as 192.168.124.1/24", c.CIDR)
	}
	if p, err := netip.ParsePrefix(c.CIDR6); err != nil || !p.Addr().Is6() {
		return fmt.Errorf("address %q: give an IPv6 address with a prefix length, such as fd00:124::1/64", c.CIDR6)
	}
	return nil
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}

// writeJSON replaces a file in one step, so that a reader in another process
// never sees half of it.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	tmp := path + ".new"
	// Node files carry the simulated BMC's password.
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
