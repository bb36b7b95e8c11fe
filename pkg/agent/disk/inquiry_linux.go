package disk

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sgIO           = 0x2285
	sgFromDevice   = -3
	inquiryOp      = 0x12
	inquiryTimeout = 5000 // milliseconds
)

// sgHeader is struct sg_io_hdr of scsi/sg.h.
type sgHeader struct {
	interfaceID    int32
	direction      int32
	cmdLen         uint8
	maxSenseLen    uint8
	iovecCount     uint16
	dataLen        uint32
	data           unsafe.Pointer
	cmd            unsafe.Pointer
	sense          unsafe.Pointer
	timeout        uint32
	flags          uint32
	packID         int32
	userData       unsafe.Pointer
	status         uint8
	maskedStatus   uint8
	msgStatus      uint8
	senseWritten   uint8
	hostStatus     uint16
	driverStatus   uint16
	residual       int32
	duration, info uint32
}

// inquire asks the disk at node for a VPD page by a SCSI INQUIRY. A disk that
// does not answer has no such page: nil.
func inquire(node string, page byte) []byte {
	f, err := os.OpenFile(node, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	data := make([]byte, 252)
	sense := make([]byte, 32)
	cmd := []byte{inquiryOp, 1, page, 0, byte(len(data)), 0}
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&data[0])
	pin.Pin(&sense[0])
	pin.Pin(&cmd[0])
	h := sgHeader{
		interfaceID: 'S', direction: sgFromDevice, timeout: inquiryTimeout,
		cmdLen: uint8(len(cmd)), cmd: unsafe.Pointer(&cmd[0]),
		dataLen: uint32(len(data)), data: unsafe.Pointer(&data[0]),
		maxSenseLen: uint8(len(sense)), sense: unsafe.Pointer(&sense[0]),
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), sgIO, uintptr(unsafe.Pointer(&h)))
	if errno != 0 || h.status != 0 || h.hostStatus != 0 || h.driverStatus != 0 {
		return nil
	}
	return data
}
