//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Numbers of users that nobody else gives out: people have those below 60,000,
// systemd 60,001 to 65,535 and from 524,288 on, containers from 100,000 on.
const (
	// ServerUser is the server's where the system has no user drpd.
	ServerUser = 86000
	firstUser  = ServerUser + 1
	manyUsers  = 999
)

// locks is where users are taken: by a lock on a file of their number, which
// every process of a cell holds.
const locks = "/run/drpd/users"

// takeUser takes a user that no process of any cell on this host has.
func takeUser() (int, *os.File, error) {
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return 0, nil, fmt.Errorf("make the directory of users in use: %w", err)
	}
	for n := firstUser; n < firstUser+manyUsers; n++ {
		f, err := os.OpenFile(filepath.Join(locks, strconv.Itoa(n)), os.O_RDONLY|os.O_CREATE, 0o600)
		if err != nil {
			return 0, nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && !known(n) {
			return n, f, nil
		}
		_ = f.Close() // nothing was written
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, nil, fmt.Errorf("take user %d: %w", n, err)
		}
	}
	return 0, nil, fmt.Errorf("all users %d to %d of confined processes are taken", firstUser, firstUser+manyUsers-1)
}

// known says whether the system has given the number to somebody.
func known(n int) bool {
	_, err := user.LookupId(strconv.Itoa(n))
	return err == nil
}
