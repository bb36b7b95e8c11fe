package boot

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// transactionID returns an identifier for a DHCP exchange. It tells exchanges
// apart and guards nothing, so it never waits for the random pool: where the
// kernel has no bytes at once, time and hardware address must do.
func transactionID(mac net.HardwareAddr, now time.Time) (xid [4]byte) {
	for _, flags := range []int{unix.GRND_INSECURE, unix.GRND_NONBLOCK} {
		if n, err := unix.Getrandom(xid[:], flags); err == nil && n == len(xid) {
			return xid
		}
	}
	return mixedID(mac, now)
}

func mixedID(mac net.HardwareAddr, now time.Time) (xid [4]byte) {
	seed := binary.BigEndian.AppendUint64(append([]byte(nil), mac...), uint64(now.UnixNano()))
	binary.BigEndian.PutUint32(xid[:], uint32(xxhash.Sum64(seed)))
	return xid
}

// AwaitRandom waits until the kernel's random pool is ready, which TLS needs.
// Without a random number instruction the kernel starts to gather timing jitter
// only when someone waits in earnest as this call does; asking without waiting,
// over and over, gets nothing for minutes. It may be run beside the DHCP
// exchange. It cannot be interrupted.
func AwaitRandom() error {
	if _, err := unix.Getrandom(make([]byte, 1), 0); err != nil {
		return fmt.Errorf("wait for random numbers: %w", err)
	}
	return nil
}
