package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Firmware kinds.
const (
	BIOS = "bios"
	UEFI = "uefi"
)

// Disk attachments.
const (
	Virtio = "virtio"
	NVMe   = "nvme"
	AHCI   = "ahci"
)

// Kinds of management controller.
const (
	NoBMC   = "none"
	IPMI    = "ipmi"
	Redfish = "redfish"
)

// NodeConfig describes one machine. Name, MAC and UUID are needed.
type NodeConfig struct {
	// Name is at most 32 of a-z, 0-9 and -; it is also the chassis serial number.
	Name string `json:"name"`
	MAC  string `json:"mac"`
	UUID string `json:"uuid"`
	// Firmware is BIOS (the default) or UEFI.
	Firmware string `json:"firmware"`
	// HTTPBoot makes UEFI firmware skip PXE and ask for UEFI HTTP boot.
	HTTPBoot bool `json:"httpBoot,omitempty"`
	// NetFirst is a machine set up to try the network before its disk whenever
	// no override says otherwise. Without it the disk is first.
	NetFirst bool `json:"netFirst,omitempty"`
	// Disk is Virtio (the default), NVMe or AHCI.
	Disk string `json:"disk"`
	// DiskSerial is at most 20 characters, by default from Name.
	DiskSerial string `json:"diskSerial"`
	// DiskSize is in bytes, by default 2 GiB; the file is sparse.
	DiskSize int64 `json:"diskSize"`
	// DataSize makes a second disk, virtio, with that many bytes; DataRate bounds
	// how fast it is written, in bytes per second, if it is not 0.
	DataSize int64 `json:"dataSize,omitempty"`
	DataRate int64 `json:"dataRate,omitempty"`
	// MemoryMiB is by default 512.
	MemoryMiB int `json:"memoryMiB"`
	BMC       BMC `json:"bmc"`
}

// BMC describes a machine's management controller.
type BMC struct {
	// Kind is NoBMC (the default), IPMI or Redfish.
	Kind string `json:"kind"`
	// Address is an IPv4 address on the rack's bridge. IPMI answers on UDP port
	// 623, Redfish on TCP port 443.
	Address string `json:"address,omitempty"`
	// User and Password are at most 16 and 20 characters, the limits of IPMI 2.0.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// Node is one machine of a rack.
type Node struct {
	NodeConfig
	// Index counts from 1 within the rack; port and device names come from it.
	Index int `json:"index"`

	rack *Rack
}

// AddNode makes a machine, powered off, and starts its BMC. A directory left by
// an earlier rack keeps its disk.
func (r *Rack) AddNode(ctx context.Context, cfg NodeConfig) (*Node, error) {
	if err := cfg.complete(r.CIDR); err != nil {
		return nil, fmt.Errorf("add node %q: %w", cfg.Name, err)
	}
	unlock, err := lockFile(ctx, r.path("lock"))
	if err != nil {
		return nil, fmt.Errorf("add node %s: %w", cfg.Name, err)
	}
	defer unlock()
	n, err := r.placeNode(cfg)
	if err != nil {
		return nil, fmt.Errorf("add node %s: %w", cfg.Name, err)
	}
	if err := n.build(ctx); err != nil {
		return nil, fmt.Errorf("add node %s: %w", cfg.Name, err)
	}
	return n, nil
}

// placeNode finds a free index and refuses what another node has already.
func (r *Rack) placeNode(cfg NodeConfig) (*Node, error) {
	nodes, err := r.Nodes()
	if err != nil {
		return nil, err
	}
	n := &Node{NodeConfig: cfg, Index: 1, rack: r}
	for _, other := range nodes {
		switch {
		case other.Name == cfg.Name:
			return nil, fmt.Errorf("the rack has a node of this name")
		case other.MAC == cfg.MAC || other.UUID == cfg.UUID:
			return nil, fmt.Errorf("node %s has the same MAC or UUID", other.Name)
		case cfg.BMC.Kind != NoBMC && other.BMC.Address == cfg.BMC.Address:
			return nil, fmt.Errorf("node %s has the BMC address %s", other.Name, cfg.BMC.Address)
		}
		n.Index = max(n.Index, other.Index+1)
	}
	if path := n.path("serial.sock"); len(path) > 107 {
		return nil, fmt.Errorf("socket path %s is longer than the kernel's 107 bytes; use a shorter rack directory", path)
	}
	return n, nil
}

// build makes everything the node needs; node.json comes last, so a node that
// can be opened is complete.
func (n *Node) build(ctx context.Context) error {
	if err := os.MkdirAll(n.path(), 0o755); err != nil {
		return err
	}
	for path, size := range map[string]int64{n.DiskPath(): n.DiskSize, n.DataPath(): n.DataSize} {
		if size == 0 {
			continue
		}
		disk, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := errors.Join(disk.Truncate(size), disk.Close()); err != nil {
			return err
		}
	}
	if n.Firmware == UEFI {
		if err := copyFile(n.path("vars.fd"), ovmfVars); err != nil {
			return err
		}
	}
	if err := n.rack.addTap(ctx, n.tap()); err != nil {
		return err
	}
	if err := n.saveBoot(Boot{}); err != nil {
		return err
	}
	if err := writeJSON(n.path(nodeFile), n); err != nil {
		return err
	}
	return n.StartBMC(ctx)
}

const nodeFile = "node.json"

// Node opens a machine of the rack by name.
func (r *Rack) Node(name string) (*Node, error) {
	if !nodeName.MatchString(name) {
		return nil, fmt.Errorf("open node %q: use at most 32 of a-z, 0-9 and -", name)
	}
	n := &Node{rack: r}
	if err := readJSON(r.path("nodes", name, nodeFile), n); err != nil {
		return nil, fmt.Errorf("open node %s: %w", name, err)
	}
	return n, nil
}

// Nodes lists the rack's machines by name.
func (r *Rack) Nodes() ([]*Node, error) {
	files, err := filepath.Glob(r.path("nodes", "*", nodeFile))
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	nodes := make([]*Node, 0, len(files))
	for _, file := range files {
		n, err := r.Node(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// stopNodes takes the node files away too: their network ports go with the
// namespace, so the machines could not be used again.
func (r *Rack) stopNodes(ctx context.Context) error {
	nodes, err := r.Nodes()
	errs := []error{err}
	for _, n := range nodes {
		err := n.PowerOff(ctx)
		if err == nil {
			err = os.Remove(n.path(nodeFile))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// DiskPath is the raw image behind the machine's disk.
func (n *Node) DiskPath() string { return n.path("disk.raw") }

// DataPath is the raw image behind the second disk, if it has one.
func (n *Node) DataPath() string { return n.path("data.raw") }

// DataSerial is the second disk's.
func (n *Node) DataSerial() string { return "DATA-" + n.Name }

func (n *Node) path(parts ...string) string {
	return n.rack.path(append([]string{"nodes", n.Name}, parts...)...)
}

func (n *Node) tap() string { return "tap" + strconv.Itoa(n.Index) }

// copyFile makes a fresh copy.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
