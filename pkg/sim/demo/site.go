package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"drpd/pkg/sim/lab"
)

// The rack's addresses.
const (
	serverAddr  = "192.168.124.1"
	bmcNetwork  = "192.168.124.192/26" // the BMCs are addresses of the same host as the server
	endpoint    = "https://" + serverAddr + ":8092"
	bmcUser     = "admin"
	bmcPassword = "rack-secret"
)

// site is one rack with a drpd in it, driven through drpcli.
type site struct {
	built
	rack  *lab.Rack
	dir   string
	data  string // drpd's data directory
	env   []string
	nodes []*lab.Node
	out   io.Writer
}

// machines are the demo's: different firmware, disks and BMCs.
func machines(n int) []lab.NodeConfig {
	mac := func(i int) string { return fmt.Sprintf("52:54:00:aa:00:%02x", i) }
	id := func(i int) string { return fmt.Sprintf("d0d0d0d0-0000-4000-8000-0000000000%02x", i) }
	bmc := func(kind string, i int) lab.BMC {
		return lab.BMC{Kind: kind, Address: fmt.Sprintf("192.168.124.%d", 200+i), User: bmcUser, Password: bmcPassword}
	}
	all := []lab.NodeConfig{
		{Name: "n1", Firmware: lab.BIOS, Disk: lab.Virtio, BMC: bmc(lab.IPMI, 1)},
		{Name: "n2", Firmware: lab.UEFI, Disk: lab.NVMe, BMC: bmc(lab.Redfish, 2)},
		{Name: "n3", Firmware: lab.BIOS, Disk: lab.AHCI, BMC: bmc(lab.IPMI, 3)},
	}[:n]
	for i := range all {
		all[i].MAC, all[i].UUID, all[i].DiskSerial, all[i].MemoryMiB = mac(i+1), id(i+1), fmt.Sprintf("DISK-N%d", i+1), 1024
	}
	return all
}

// newSite makes the rack with n powered-off machines and starts drpd in it.
func newSite(ctx context.Context, b built, dir string, n int, out io.Writer) (*site, error) {
	return siteOf(ctx, b, dir, machines(n), out)
}

func siteOf(ctx context.Context, b built, dir string, nodes []lab.NodeConfig, out io.Writer) (*site, error) {
	if err := down(ctx, dir); err != nil {
		return nil, fmt.Errorf("remove an earlier rack: %w", err)
	}
	r, err := lab.Create(ctx, lab.Config{Dir: dir, Labctl: b.labctl})
	if err != nil {
		return nil, err
	}
	s := &site{built: b, rack: r, dir: dir, data: filepath.Join(dir, "data"), out: out}
	for _, cfg := range nodes {
		node, err := r.AddNode(ctx, cfg)
		if err != nil {
			return s, err
		}
		s.nodes = append(s.nodes, node)
	}
	return s, s.start(ctx)
}

// start runs drpd and waits until it is ready.
func (s *site) start(ctx context.Context) error {
	log := filepath.Join(s.dir, "drpd.log")
	from := fileSize(log)
	cmd := s.rack.Command(context.WithoutCancel(ctx), s.drpd, "--data-dir", s.data, "--dhcp-interface", s.rack.Bridge,
		"--callout-allow", bmcNetwork)
	if err := s.rack.StartProcess("drpd", cmd, log); err != nil {
		return err
	}
	_, err := waitFor(ctx, log, from, regexp.MustCompile(`ready: certificate authority sha256 [0-9a-f]{64}`), 30*time.Second)
	if err != nil {
		return err
	}
	if len(s.env) > 0 {
		return nil
	}
	var said bytes.Buffer
	show := exec.CommandContext(ctx, s.drpd, "first-password", "--data-dir", s.data)
	show.Stdout, show.Stderr = &said, s.out
	if err := show.Run(); err != nil {
		return fmt.Errorf("drpd first-password: %w; see %s", err, log)
	}
	password := strings.TrimSpace(said.String())
	s.env = []string{"RS_ENDPOINT=" + endpoint, "RS_KEY=rocketskates:" + password, "XDG_CONFIG_HOME=" + s.dir, "XDG_CACHE_HOME=" + s.dir,
		"PATH=" + filepath.Dir(s.drpcli) + ":" + os.Getenv("PATH")}
	if err := os.WriteFile(filepath.Join(s.dir, "env"), []byte(strings.Join(s.env, "\n")), 0o600); err != nil {
		return err
	}
	_, err = s.cli(ctx, "login", "--accept")
	return err
}

func readEnv(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "env"))
	return strings.Split(string(data), "\n"), err
}

// kill ends drpd as a power cut would, and waits until it is gone.
func (s *site) kill(ctx context.Context) error {
	return s.rack.KillProcess(ctx, "drpd", syscall.SIGKILL)
}

// cli runs drpcli as an operator would; standard error goes to the terminal.
func (s *site) cli(ctx context.Context, args ...string) (string, error) {
	return s.cliIn(ctx, "", args...)
}

func (s *site) cliIn(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := s.rack.Command(ctx, s.drpcli, args...)
	cmd.Env = append(os.Environ(), s.env...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout = strings.NewReader(stdin), &out
	cmd.Stderr = io.MultiWriter(&errs, s.out)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), fmt.Errorf("drpcli %s: exit %d: %s", strings.Join(args, " "), exit.ExitCode(), strings.TrimSpace(errs.String()))
	}
	return out.String(), err
}

// follow runs a verb that takes long. On a terminal drpcli draws its progress
// there itself; then only its exit code says what went wrong.
func (s *site) follow(ctx context.Context, args ...string) error {
	if s.out != os.Stderr || !term.IsTerminal(int(os.Stderr.Fd())) {
		_, err := s.cli(ctx, args...)
		return err
	}
	cmd := s.rack.Command(ctx, s.drpcli, args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("drpcli %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// get reads objects through drpcli.
func (s *site) get(ctx context.Context, into any, args ...string) error {
	out, err := s.cli(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("drpcli %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// await polls until cond holds or the limit has passed.
func (s *site) await(ctx context.Context, what string, limit time.Duration, cond func() (bool, error)) error {
	end := time.Now().Add(limit)
	var last error
	for time.Now().Before(end) {
		ok, err := cond()
		if ok {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return errors.Join(fmt.Errorf("%s did not come true within %s", what, limit), last)
}

// close removes everything.
func (s *site) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return down(ctx, s.dir)
}

func fileSize(path string) int64 {
	if fi, err := os.Stat(path); err == nil {
		return fi.Size()
	}
	return 0
}

// waitFor returns the text of a growing file once it holds what re matches.
func waitFor(ctx context.Context, path string, from int64, re *regexp.Regexp, limit time.Duration) (string, error) {
	end := time.Now().Add(limit)
	for {
		data, err := os.ReadFile(path)
		if err == nil && int64(len(data)) >= from && re.Match(data[from:]) {
			return string(data), nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return "", fmt.Errorf("%s never showed %q: %s", path, re, data[min(from, int64(len(data))):])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
