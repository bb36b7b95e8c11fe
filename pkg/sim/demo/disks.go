package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/sim/lab"
)

// Of the second disk: so large, and so slow to write that a wipe can be cut off
// in the middle.
const (
	dataSize  = 448 << 20
	dataRate  = 24 << 20
	partStart = 1 << 20
)

// runDisks takes one machine with two disks through what may become of them, and
// compares the bytes of its images: it boots by accident with a stranger's file
// system, is approved and installed, and comes back by a wipe that is cut off.
func runDisks(ctx context.Context, o options) (err error) {
	rep := newReport(os.Stdout)
	var b built
	if err := rep.phase("build", func() (string, error) { b, err = build(ctx, o.build); return "binaries and images", err }); err != nil {
		return err
	}
	nodes := machines(1)
	nodes[0].NetFirst, nodes[0].DataSize, nodes[0].DataRate = true, dataSize, dataRate
	s, err := siteOf(ctx, b, o.dir, nodes, os.Stderr)
	if s != nil && !o.keep {
		defer func() { err = joinClose(err, s) }()
	}
	if err != nil {
		return err
	}
	d := &disksCase{site: s, n: s.nodes[0]}
	for _, p := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"upload images", s.prepare},
		{"a stranger's machine boots by accident", d.accident},
		{"it is approved and installed", d.approved},
		{"a wipe is cut off in the middle", d.cutOff},
		{"it is Free when both disks are blank", d.freed},
	} {
		if err := rep.phase(p.name, func() (string, error) { return p.do(ctx) }); err != nil {
			return s.explain(ctx, err)
		}
	}
	rep.table()
	fmt.Println("5 passed, 0 failed")
	return nil
}

// disksCase is the machine and what is known of it.
type disksCase struct {
	*site
	n    *lab.Node
	name string // of the machine, once it has one
}

func (d *disksCase) machine(ctx context.Context) (*api.Machine, error) {
	list, err := d.machines(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		d.name = m.Name
		return m, nil
	}
	return nil, errors.New("no machine yet")
}

// until waits for a state, and refuses what must never be meanwhile.
func (d *disksCase) until(ctx context.Context, what string, limit time.Duration, cond func(m *api.Machine) (bool, error)) error {
	return d.await(ctx, what, limit, func() (bool, error) {
		m, err := d.machine(ctx)
		if err != nil {
			return false, err
		}
		return cond(m)
	})
}

// accident boots a machine that nobody has declared, with a file on a file
// system on its second disk: nothing of that changes.
func (d *disksCase) accident(ctx context.Context) (string, error) {
	if err := foreignDisk(ctx, d.n.DataPath()); err != nil {
		return "", err
	}
	before, err := d.sums()
	if err != nil {
		return "", err
	}
	if err := d.n.PowerOn(ctx); err != nil {
		return "", err
	}
	reason := ""
	err = d.until(ctx, "held", 10*time.Minute, func(m *api.Machine) (bool, error) {
		reason = m.PoolHoldReason
		return m.PoolStatus == api.HoldDestroy, nil
	})
	if err != nil {
		return "", err
	}
	if !strings.Contains(reason, d.n.DataSerial()) || !strings.Contains(reason, "ext file system") {
		return "", fmt.Errorf("the reason does not name the disk and what is on it: %s", reason)
	}
	time.Sleep(5 * time.Second)
	after, err := d.sums()
	if err != nil || before != after {
		return "", errors.Join(err, fmt.Errorf("the disks have changed: %s before, %s after", before, after))
	}
	return reason, nil
}

// approved lets the machine be used, and installs it: the data stay.
func (d *disksCase) approved(ctx context.Context) (string, error) {
	data, err := fileSum(d.n.DataPath())
	if err != nil {
		return "", err
	}
	for _, p := range [][2]string{{"ipmi/mode", "ipmitool"}, {"ipmi/address", d.n.BMC.Address}, {"ipmi/username", d.n.BMC.User}, {"ipmi/password", d.n.BMC.Password}} {
		if _, err := d.cli(ctx, "machines", "set", d.name, "param", p[0], "to", p[1]); err != nil {
			return "", err
		}
	}
	// With a BMC it is switched off for as long as it is held: not before that is
	// over does anything begin on it.
	err = d.until(ctx, "held and off", 3*time.Minute, func(m *api.Machine) (bool, error) { return m.Fence != nil && m.Fence.Off, nil })
	if err != nil {
		return "", err
	}
	if _, err := d.cli(ctx, "machines", "approve-disks", d.name); err != nil {
		return "", err
	}
	err = d.until(ctx, "Free", 3*time.Minute, func(m *api.Machine) (bool, error) { return m.PoolStatus == api.Free && m.WorkflowComplete, nil })
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"machines", "set", d.name, "param", "image-deploy/image", "to", "debian-12-image"},
		{"machines", "set", d.name, "param", "image-deploy/disk-serial", "to", d.n.DiskSerial},
		{"machines", "set", d.name, "param", "hostname", "to", "smoke"},
		{"pools", "manage", "allocate", "default", "--count=1", "--new-workflow=universal-linux-install"},
	} {
		if _, err := d.cli(ctx, args...); err != nil {
			return "", err
		}
	}
	err = d.until(ctx, "installed and in use", 15*time.Minute, func(m *api.Machine) (bool, error) { return m.PoolStatus == api.InUse, nil })
	if err != nil {
		return "", err
	}
	if is, err := fileSum(d.n.DataPath()); err != nil || is != data {
		return "", errors.Join(err, errors.New("the second disk has changed: only the first is installed to"))
	}
	log, err := d.lastLog(ctx, d.name, "os-online")
	return strings.Join(strings.Fields(log), " "), err
}

// cutOff releases the machine and cuts its power while it is wiped.
func (d *disksCase) cutOff(ctx context.Context) (string, error) {
	if _, err := d.cli(ctx, "pools", "manage", "release", "default", "--all-machines"); err != nil {
		return "", err
	}
	err := d.await(ctx, "the wipe has begun", 10*time.Minute, func() (bool, error) {
		var jobs []*api.Job
		err := d.get(ctx, &jobs, "jobs", "list", "State=running", "Task=disk-wipe")
		return len(jobs) > 0, err
	})
	if err != nil {
		return "", err
	}
	time.Sleep(4 * time.Second)
	if err := d.n.PowerOff(ctx); err != nil {
		return "", err
	}
	left, err := notBlank(d.n.DataPath())
	if err != nil || left == 0 {
		return "", errors.Join(err, errors.New("the wipe was over before it was cut off: nothing is shown"))
	}
	for range 15 {
		time.Sleep(time.Second)
		if m, err := d.machine(ctx); err != nil || m.PoolStatus == api.Free {
			return "", errors.Join(err, errors.New("it is Free, and its data is there"))
		}
	}
	return fmt.Sprintf("%d MiB of the second disk hold something still, and it is not Free", left>>20), nil
}

// freed switches the machine on again: its agent finds that the wipe was cut off,
// so it is held; then it is wiped from the beginning.
func (d *disksCase) freed(ctx context.Context) (string, error) {
	if err := d.n.PowerOn(ctx); err != nil {
		return "", err
	}
	err := d.until(ctx, "held and off", 6*time.Minute, func(m *api.Machine) (bool, error) {
		if m.PoolStatus == api.Free {
			return false, errors.New("it is Free")
		}
		return m.PoolStatus == api.HoldDestroy && m.Fence != nil && m.Fence.Off, nil
	})
	if err != nil {
		return "", err
	}
	if _, err := d.cli(ctx, "machines", "wipe", d.name); err != nil {
		return "", err
	}
	err = d.until(ctx, "Free", 10*time.Minute, func(m *api.Machine) (bool, error) { return m.PoolStatus == api.Free && m.Unwiped == nil, nil })
	if err != nil {
		return "", err
	}
	for _, path := range []string{d.n.DiskPath(), d.n.DataPath()} {
		if left, err := notBlank(path); err != nil || left > 0 {
			return "", errors.Join(err, fmt.Errorf("it is Free, and %d bytes of %s are not zero", left, filepath.Base(path)))
		}
	}
	var proofs []*api.DiskProof
	if err := d.get(ctx, &proofs, "disk_proofs", "list"); err != nil {
		return "", err
	}
	var said []string
	for _, p := range proofs {
		said = append(said, fmt.Sprintf("%s: %s, %d samples", p.Disk.Serial, p.Method, len(p.Samples)))
	}
	return strings.Join(said, "; "), nil
}

func (d *disksCase) sums() (string, error) {
	a, err := fileSum(d.n.DiskPath())
	if err != nil {
		return "", err
	}
	b, err := fileSum(d.n.DataPath())
	return a + " " + b, err
}

// notBlank counts the bytes that are not zero, in blocks of a MiB.
func notBlank(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for left := int64(0); ; {
		n, err := io.ReadFull(f, buf)
		if !bytes.Equal(buf[:n], zeros[:n]) {
			left += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return left, nil
		}
		if err != nil {
			return left, err
		}
	}
}

// foreignDisk makes a partition with an ext4 file system that holds a file, and
// something at the end of the disk.
func foreignDisk(ctx context.Context, path string) error {
	files, err := os.MkdirTemp("", "foreign-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	if err := os.WriteFile(filepath.Join(files, "ledger"), bytes.Repeat([]byte("what a company lives on\n"), 100_000), 0o644); err != nil {
		return err
	}
	size := (dataSize - 2*partStart) >> 10
	mkfs := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-d", files, "-E", fmt.Sprintf("offset=%d", partStart), path, fmt.Sprintf("%dk", size))
	if out, err := mkfs.CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	mbr := make([]byte, 512)
	mbr[446+4] = 0x83
	binary.LittleEndian.PutUint32(mbr[446+8:], partStart/512)
	binary.LittleEndian.PutUint32(mbr[446+12:], uint32(size*2))
	mbr[510], mbr[511] = 0x55, 0xaa
	_, err = f.WriteAt(mbr, 0)
	_, end := f.WriteAt([]byte("the last of it"), dataSize-4096)
	return errors.Join(err, end, f.Close())
}
