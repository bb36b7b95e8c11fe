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

// inside runs do on a thread of its own that has entered the namespace. Sockets
// stay in the namespace they were made in. The thread is never unlocked, so the
// runtime ends it with its goroutine and nothing else gets to run there.
func (r *Rack) inside(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- r.enterAnd(do)
	}()
	return <-done
}

func (r *Rack) enterAnd(do func() error) error {
	ns, err := os.Open("/run/netns/" + r.Namespace)
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter namespace %s: %w", r.Namespace, err)
	}
	return do()
}
