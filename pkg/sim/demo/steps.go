package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/sim/lab"
)

// prepare uploads the images and declares the subnet and the OS image.
func (s *site) prepare(ctx context.Context) (string, error) {
	for _, args := range [][]string{
		{"files", "upload", s.kernel, "as", "discovery/vmlinuz"},
		{"files", "upload", s.initrd, "as", "discovery/initrd.zst"},
		{"isos", "upload", s.os + ".zst", "as", "debian-12.raw.zst"},
	} {
		if _, err := s.cli(ctx, args...); err != nil {
			return "", err
		}
	}
	subnet := fmt.Sprintf(`{"Name": "rack", "Enabled": true, "Subnet": "%s/24", "ActiveStart": "192.168.124.50", "ActiveEnd": "192.168.124.120", "AnswerRouterSolicitations": true}`, serverAddr)
	env := fmt.Sprintf(`{"Name": "debian-12-image", "OS": {"Name": "debian-12", "IsoFile": "debian-12.raw.zst", "IsoSha256": "%s"}, "Meta": {"raw-size": "%d"}}`, s.info.SHA256, s.info.RawSize)
	for kind, body := range map[string]string{"subnets": subnet, "bootenvs": env} {
		if _, err := s.cliIn(ctx, body, kind, "create", "-"); err != nil {
			return "", err
		}
	}
	var e api.BootEnv
	if err := s.get(ctx, &e, "bootenvs", "show", "debian-12-image"); err != nil {
		return "", err
	}
	if !e.Available {
		return "", fmt.Errorf("image is not available: %v", e.Errors)
	}
	return fmt.Sprintf("image %d MB, SHA-256 checked", s.info.Size>>20), nil
}

// enroll creates the machines by their BMC's address and credentials.
func (s *site) enroll(ctx context.Context) error {
	for _, n := range s.nodes {
		mode := "ipmitool"
		if n.BMC.Kind == lab.Redfish {
			mode = "redfish"
		}
		body := fmt.Sprintf(`{"Name": %q, "HardwareAddrs": [%q], "Params": {"ipmi/mode": %q, "ipmi/address": %q, "ipmi/username": %q, "ipmi/password": %q}}`,
			n.Name, n.MAC, mode, n.BMC.Address, n.BMC.User, n.BMC.Password)
		if _, err := s.cliIn(ctx, body, "machines", "create", "-"); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) machines(ctx context.Context) (map[string]*api.Machine, error) {
	var list []*api.Machine
	if err := s.get(ctx, &list, "machines", "list"); err != nil {
		return nil, err
	}
	out := map[string]*api.Machine{}
	for _, m := range list {
		out[m.Name] = m
	}
	return out, nil
}

// awaitFree waits until all machines are Free and switched off.
func (s *site) awaitFree(ctx context.Context, limit time.Duration) error {
	return s.await(ctx, "all machines Free and switched off", limit, func() (bool, error) {
		list, err := s.machines(ctx)
		if err != nil {
			return false, err
		}
		for _, n := range s.nodes {
			m := list[n.Name]
			if m == nil || m.PoolStatus != api.Free || !m.WorkflowComplete || n.Power() == lab.On {
				return false, nil
			}
		}
		return true, nil
	})
}

// reason asks drpd why something does not move.
func (s *site) reason(ctx context.Context, kind, id string) error {
	out, err := s.cli(ctx, "why", kind, id, "-o", "table")
	if err != nil {
		return err
	}
	return fmt.Errorf("%s %s: %s", kind, id, strings.TrimSpace(out))
}

// discovered checks what the agents reported.
func (s *site) discovered(ctx context.Context) (string, error) {
	list, err := s.machines(ctx)
	if err != nil {
		return "", err
	}
	var facts []string
	for _, n := range s.nodes {
		m := list[n.Name]
		mode := fmt.Sprint(m.Params["detected-bios-mode"])
		want := map[string]string{lab.BIOS: "legacy-bios", lab.UEFI: "uefi"}[n.Firmware]
		if mode != want {
			return "", fmt.Errorf("%s reports firmware %s, it has %s", n.Name, mode, want)
		}
		if !strings.Contains(fmt.Sprint(m.Params["inventory/data"]), n.DiskSerial) {
			return "", fmt.Errorf("%s: disk %s is not in its inventory", n.Name, n.DiskSerial)
		}
		if m.BootEnv != "local" {
			return "", fmt.Errorf("%s is in boot environment %s, not local", n.Name, m.BootEnv)
		}
		if s := fmt.Sprint(m.Params["ipmi/password"]); strings.Contains(s, bmcPassword) {
			return "", fmt.Errorf("%s shows its BMC password", n.Name)
		}
		facts = append(facts, fmt.Sprintf("%s %s %s", n.Name, mode, n.DiskSerial))
	}
	return strings.Join(facts, ", ") + "; Free, off, boots local", nil
}

// blank reads the machines' disks from outside: every byte must be zero.
func (s *site) blank() (string, error) {
	var total int64
	for _, n := range s.nodes {
		size, err := allZero(n.DiskPath())
		if err != nil {
			return "", fmt.Errorf("disk of %s: %w", n.Name, err)
		}
		total += size
	}
	return fmt.Sprintf("%d disks, %d MB read from outside, all zero", len(s.nodes), total>>20), nil
}

func allZero(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	var at int64
	for {
		n, err := f.Read(buf)
		for i, b := range buf[:n] {
			if b != 0 {
				return at, fmt.Errorf("byte %d is not zero", at+int64(i))
			}
		}
		at += int64(n)
		if n == 0 || err != nil {
			return at, nil
		}
	}
}
