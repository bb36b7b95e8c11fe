package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PowerState says whether a machine runs.
type PowerState string

// The two power states.
const (
	On  PowerState = "on"
	Off PowerState = "off"
)

// actionLimit bounds one power action, lock included, when the caller's context
// has no deadline: BMC simulators call without one.
const actionLimit = 30 * time.Second

// Power says whether the machine's QEMU runs.
func (n *Node) Power() PowerState {
	if _, on := n.qemu(); on {
		return On
	}
	return Off
}

// PowerOn starts the machine with the pending boot override, which it uses up
// if it was for one boot. A machine that runs is left alone.
func (n *Node) PowerOn(ctx context.Context) error {
	return n.act(ctx, "power on", n.start)
}

// PowerOff cuts the power. Data the guest has written stay on its disk.
func (n *Node) PowerOff(ctx context.Context) error {
	return n.act(ctx, "power off", n.stop)
}

// Reset cuts the power and gives it again, so that a pending boot override
// counts. A machine that is off stays off, as with IPMI.
func (n *Node) Reset(ctx context.Context) error {
	return n.act(ctx, "reset", func(ctx context.Context) error {
		if n.Power() == Off {
			return nil
		}
		if err := n.stop(ctx); err != nil {
			return err
		}
		return n.start(ctx)
	})
}

// SoftOff presses the power button: the guest is asked by ACPI and may take its
// time or not listen. It returns at once.
func (n *Node) SoftOff(ctx context.Context) error {
	return n.act(ctx, "soft off", func(ctx context.Context) error {
		if n.Power() == Off {
			return nil
		}
		return qmp(ctx, n.path("qmp.sock"), qmpCommand{Execute: "system_powerdown"})
	})
}

// act runs do while holding the node's lock against all other processes.
func (n *Node) act(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	unlock, err := lockFile(ctx, n.path("lock"))
	if err != nil {
		return fmt.Errorf("%s node %s: %w", what, n.Name, err)
	}
	defer unlock()
	if err := n.noteAct(what); err != nil {
		return fmt.Errorf("%s node %s: %w", what, n.Name, err)
	}
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s node %s: %w", what, n.Name, err)
	}
	return nil
}

// noteAct writes down what is done to the machine from outside, by its BMC for
// instance.
func (n *Node) noteAct(what string) error {
	f, err := os.OpenFile(n.path("acts.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, what)
	return errors.Join(err, f.Close())
}

// Acts lists what was done to the machine's power and boot order from outside,
// since it was added to the rack.
func (n *Node) Acts() ([]string, error) {
	data, err := os.ReadFile(n.path("acts.log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(strings.ReplaceAll(string(data), " ", "-")), err
}

func (n *Node) start(ctx context.Context) error {
	if n.Power() == On {
		return nil
	}
	boot, err := n.Boot()
	if err != nil {
		return err
	}
	first, later := n.bootOrder(boot)
	if err := run(n.rack.Command(ctx, qemuProgram, n.qemuArgs(first)...)); err != nil {
		return err
	}
	if first != later {
		if err := n.setBootOrder(ctx, later); err != nil {
			return errors.Join(err, n.stop(ctx))
		}
	}
	if boot.Once {
		return n.saveBoot(Boot{})
	}
	return nil
}

func (n *Node) stop(ctx context.Context) error {
	p, on := n.qemu()
	if !on {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill QEMU (pid %d): %w", p.PID, err)
	}
	return p.waitGone(ctx)
}

// qemu finds the machine's process by its pid file and believes it only if the
// command line names this very pid file.
func (n *Node) qemu() (process, bool) {
	data, err := os.ReadFile(n.path("qemu.pid"))
	if err != nil {
		return process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return process{}, false
	}
	stat, err := readStat(pid)
	if err != nil {
		return process{}, false
	}
	// A process that has ended but was not waited for has an empty command line.
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || !isQEMU(cmdline, n.path("qemu.pid")) {
		return process{}, false
	}
	return process{PID: pid, Start: stat.start}, true
}

func isQEMU(cmdline []byte, pidFile string) bool {
	program, args, _ := bytes.Cut(cmdline, []byte{0})
	return strings.HasSuffix(string(program), qemuProgram) &&
		bytes.Contains(args, []byte("-pidfile\x00"+pidFile+"\x00"))
}

// lockFile takes an exclusive lock that ends with the returned function, or
// with the process.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = poll(ctx, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { f.Close() }, nil
}
