package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Session is one conversation with one controller. It may be used by several
// goroutines; their calls run one after another. Close it: until then nobody else
// gets a turn.
type Session struct {
	target  Target
	link    link
	report  reporter
	cfg     Config
	release func()

	mu     sync.Mutex
	closed bool
}

var (
	_ Power      = (*Session)(nil)
	_ BootDevice = (*Session)(nil)
)

// errClosed is for calls on a session that was closed.
var errClosed = errors.New("session is closed")

// PowerState reads the power state once.
func (s *Session) PowerState(ctx context.Context) (state State, err error) {
	err = s.run(ctx, "read power state", func() error {
		state, err = s.link.state(ctx)
		return err
	})
	return state, err
}

// SetPower gives the order and returns when the controller reports it done. A
// machine that already is as wanted gets no order. See the Want constants for
// what is proved by each.
func (s *Session) SetPower(ctx context.Context, want Want) error {
	op := "set power " + string(want)
	return s.run(ctx, op, func() error {
		if !want.valid() {
			return s.report.fail(ClassOther, op, "", fmt.Errorf("unknown power order %.20q", want))
		}
		switch want {
		case WantCycle:
			return s.cycle(ctx, want)
		case WantReset:
			return s.reset(ctx)
		case WantOn:
			return s.drive(ctx, want, want, StateOn)
		}
		return s.drive(ctx, want, want, StateOff)
	})
}

// BootOnce sets the device of the next start only. With uefi the start is asked to
// be a UEFI one; without it the firmware mode is left as it is.
func (s *Session) BootOnce(ctx context.Context, device Device, uefi bool) error {
	op := "boot once from " + string(device)
	return s.run(ctx, op, func() error {
		switch {
		case !device.valid():
			return s.report.fail(ClassOther, op, "", fmt.Errorf("unknown boot device %.20q", device))
		case device == DeviceHTTP && !uefi:
			return s.report.fail(ClassUnsupported, op, "ask for a UEFI start", errors.New("HTTP boot exists in UEFI only"))
		}
		return s.link.bootOnce(ctx, device, uefi)
	})
}

// identified is a link whose controller may tell which machine it is in.
type identified interface {
	systemUUID(ctx context.Context) string
}

// SystemUUID is the UUID of the machine that the controller says it is in, as it
// writes it, "" if it does not tell. Vendors differ in the order of bytes, and
// some ship the same for all.
func (s *Session) SystemUUID(ctx context.Context) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.link.(identified); ok && !s.closed {
		return l.systemUUID(ctx)
	}
	return ""
}

// Close logs out, even if ctx is over, and gives the turn back. Later calls of
// Close do nothing.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.release()
	return s.link.close(context.WithoutCancel(ctx))
}

// run is the frame of every call: turn, log line, closed check.
func (s *Session) run(ctx context.Context, op string, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.report.fail(ClassOther, op, "open a new one", errClosed)
	}
	started := time.Now()
	err := fn()
	s.cfg.Logger.DebugContext(ctx, "bmc call", "target", s.target, "op", op, "took", time.Since(started), "error", err)
	return err
}

// drive gives one order, unless its goal is met already, and verifies it. asked is
// what the caller wanted, for the error.
func (s *Session) drive(ctx context.Context, asked, order Want, goal State) error {
	state, err := s.link.state(ctx)
	if err != nil {
		return err
	}
	if state == goal {
		return nil
	}
	if err := s.link.order(ctx, order); err != nil {
		return err
	}
	return s.await(ctx, asked, order, goal)
}

// cycle does not use the controllers' own cycle: it is done later than it is
// answered, so a read right after it says "on" whether or not it happens.
func (s *Session) cycle(ctx context.Context, asked Want) error {
	if err := s.drive(ctx, asked, WantOff, StateOff); err != nil {
		return err
	}
	return s.drive(ctx, asked, WantOn, StateOn)
}

func (s *Session) reset(ctx context.Context) error {
	state, err := s.link.state(ctx)
	if err != nil {
		return err
	}
	if state == StateOff {
		return s.drive(ctx, WantReset, WantOn, StateOn)
	}
	err = s.link.order(ctx, WantReset)
	if ClassOf(err) == ClassUnsupported {
		return s.cycle(ctx, WantReset)
	}
	if err != nil {
		return err
	}
	return s.await(ctx, WantReset, WantReset, StateOn)
}

// await verifies order by the state that it leads to.
func (s *Session) await(ctx context.Context, asked, order Want, goal State) error {
	within, cure := s.cfg.Timeouts.Verify, "try again; if it stays so, restart the controller or look at the machine"
	if order == WantSoft {
		within, cure = s.cfg.Timeouts.Soft, "the operating system may ignore the power button: order off instead"
	}
	return s.report.until(ctx, proof{
		op: "verify power " + string(asked), wanted: string(asked), cure: cure,
		within: within, every: s.cfg.Timeouts.Poll,
		read: func(ctx context.Context) (bool, string, error) {
			state, err := s.link.state(ctx)
			return state == goal, string(state), err
		},
	})
}
