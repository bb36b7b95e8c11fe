package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adminCommand is struct nvme_passthru_cmd of linux/nvme_ioctl.h.
type adminCommand struct {
	opcode, flags            uint8
	_                        uint16
	nsid, cdw2, cdw3         uint32
	metadata                 uint64
	addr                     uint64
	metadataLen, dataLen     uint32
	cdw10, cdw11             uint32
	cdw12, cdw13             uint32
	cdw14, cdw15             uint32
	timeoutMillis, theResult uint32
}

// NVMe admin commands, of NVMe 2.0 section 5.
const (
	nvmeGetLog   = 0x02
	nvmeIdentify = 0x06
	nvmeFormat   = 0x80
	nvmeSanitize = 0x84

	nvmeAdminIoctl  = 0xC0484E41
	sanitizeLogPage = 0x81
	formatTimeout   = 24 * 3600 * 1000 // milliseconds; it answers when it is done
	adminTimeout    = 60 * 1000
)

// nvme is an NVMe namespace that can erase itself; admin sends a command.
type nvme struct {
	nsid  uint32
	admin func(c *adminCommand, data []byte) error

	lbaf      uint32 // the format that it has
	formatted string // the record of a format, which the drive keeps none of
}

// Actions are what the controller says, if all that an action erases is this one
// namespace: a sanitize takes the whole subsystem with it.
func (d *nvme) Actions() ([]Action, error) {
	ctrl, spaces, ns := make([]byte, 4096), make([]byte, 4096), make([]byte, 4096)
	for _, q := range []struct {
		cns, nsid uint32
		into      []byte
	}{{1, 0, ctrl}, {2, 0, spaces}, {0, d.nsid, ns}} {
		if err := d.admin(&adminCommand{opcode: nvmeIdentify, nsid: q.nsid, cdw10: q.cns, timeoutMillis: adminTimeout}, q.into); err != nil {
			return nil, fmt.Errorf("identify: %w", err)
		}
	}
	d.lbaf = uint32(ns[26] & 0x0f)
	switch {
	case binary.LittleEndian.Uint32(spaces[4:]) != 0:
		return nil, errors.New("the drive has several namespaces, and would erase them all")
	case binary.LittleEndian.Uint32(spaces) != d.nsid:
		return nil, errors.New("the drive's namespace is another one")
	case ctrl[76]&0b10 != 0:
		return nil, errors.New("the drive has several controllers: another host may see it")
	}
	var out []Action
	sanicap := binary.LittleEndian.Uint32(ctrl[328:])
	if sanicap&0b10 != 0 {
		out = append(out, BlockErase)
	}
	if sanicap&0b1 != 0 {
		out = append(out, CryptoErase)
	}
	if binary.LittleEndian.Uint16(ctrl[256:])&0b10 != 0 && sanicap&0b111 == 0 {
		out = append(out, FormatUser)
		if ctrl[524]&0b100 != 0 {
			out = append(out, FormatCrypto)
		}
	}
	return out, nil
}

// Erase begins an action; a format is over when this returns.
func (d *nvme) Erase(a Action) error {
	switch a {
	case BlockErase, CryptoErase:
		act := map[Action]uint32{BlockErase: 2, CryptoErase: 4}[a]
		return d.admin(&adminCommand{opcode: nvmeSanitize, cdw10: act, timeoutMillis: adminTimeout}, nil)
	}
	ses := map[Action]uint32{FormatUser: 1, FormatCrypto: 2}[a]
	if ses == 0 {
		return errNone
	}
	c := &adminCommand{opcode: nvmeFormat, nsid: d.nsid, cdw10: d.lbaf | ses<<9, timeoutMillis: formatTimeout}
	if err := d.admin(c, nil); err != nil {
		return err
	}
	d.formatted = fmt.Sprintf("NVMe Format NVM, SES %d, completed with status 0", ses)
	return nil
}

// Status reads the sanitize status log.
func (d *nvme) Status() (Status, error) {
	if d.formatted != "" {
		return Status{Done: true, Record: d.formatted}, nil
	}
	log := make([]byte, 512)
	c := &adminCommand{opcode: nvmeGetLog, nsid: 0xffffffff, cdw10: sanitizeLogPage | uint32(len(log)/4-1)<<16, timeoutMillis: adminTimeout}
	if err := d.admin(c, log); err != nil {
		return Status{}, nil // it keeps none: then only a format is left
	}
	progress, status := binary.LittleEndian.Uint16(log), binary.LittleEndian.Uint16(log[2:])
	s := Status{Progress: float64(progress) / 65536,
		Record: fmt.Sprintf("NVMe sanitize log: SPROG %#04x, SSTAT %#04x, SCDW10 %#08x", progress, status, binary.LittleEndian.Uint32(log[4:]))}
	switch status & 0b111 {
	case 0:
		s.Record = ""
	case 1, 4:
		s.Done = true
	case 2:
		s.Running = true
	default:
		s.Failed = true
	}
	return s, nil
}

// adminOf sends commands to the controller behind a namespace's node.
func adminOf(f *os.File) func(c *adminCommand, data []byte) error {
	return func(c *adminCommand, data []byte) error {
		var pin runtime.Pinner
		defer pin.Unpin()
		if len(data) > 0 {
			pin.Pin(&data[0])
			c.addr, c.dataLen = uint64(uintptr(unsafe.Pointer(&data[0]))), uint32(len(data))
		}
		status, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), nvmeAdminIoctl, uintptr(unsafe.Pointer(c)))
		switch {
		case errno != 0:
			return errno
		case status != 0:
			return fmt.Errorf("NVMe status %#x", status)
		}
		return nil
	}
}

// selfOf opens what a disk erases itself by, errNone for those that we know no
// commands of.
func (h Host) selfOf(d Disk) (self, func() error, error) {
	if h.self != nil {
		s, err := h.self(d)
		return s, func() error { return nil }, err
	}
	if d.Transport != TransportNVMe {
		return nil, nil, errNone
	}
	f, err := os.OpenFile(d.Path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	nsid, err := unix.IoctlRetInt(int(f.Fd()), 0x4E40) // NVME_IOCTL_ID
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &nvme{nsid: uint32(nsid), admin: adminOf(f)}, f.Close, nil
}
