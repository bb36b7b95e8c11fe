package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial connects from inside the rack's namespace, so that a test can talk to a
// server there. It fits http.Transport's DialContext; give literal addresses,
// as there is no name service in the rack.
func (r *Rack) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = r.inside(func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens inside the rack's namespace, for a server that the test itself
// is.
func (r *Rack) Listen(ctx context.Context, network, addr string) (ln net.Listener, err error) {
	err = r.inside(func() error {
		var config net.ListenConfig
		var err error
		ln, err = config.Listen(ctx, network, addr)
		return err
	})
	return ln, err
}

func (r *Rack) inside(do func() error) error { return Inside(r.Namespace, do) }

// Inside runs do on a thread that has entered a network namespace meanwhile.
// Sockets stay in the namespace they were made in.
func Inside(namespace string, do func() error) error {
	ns, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer ns.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", namespace, err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// Still locked: no other goroutine must ever run on this thread.
		return fmt.Errorf("leave namespace %s: %w", namespace, back)
	}
	runtime.UnlockOSThread()
	return err
}
