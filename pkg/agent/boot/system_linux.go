package boot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type mountPoint struct {
	fs, dir string
	flags   uintptr
	data    string
}

func mountPoints() []mountPoint {
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return []mountPoint{
		{"proc", "/proc", safe, ""},
		{"sysfs", "/sys", safe, ""},
		{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=0755"},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
}

// MountAll mounts what the kernel offers to the first process. A directory that
// is already a mount point is left alone. All are tried; the errors are joined.
func MountAll() error {
	var errs []error
	for _, m := range mountPoints() {
		errs = append(errs, mount(m))
	}
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		const dir = "/sys/firmware/efi/efivars"
		err := mount(mountPoint{"efivarfs", dir, unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""})
		// The driver may be a module that this image does not carry.
		if !errors.Is(err, unix.ENODEV) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func mount(m mountPoint) error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", m.dir, err)
	}
	err := unix.Mount(m.fs, m.dir, m.fs, m.flags, m.data)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", m.fs, m.dir, err)
	}
	return nil
}

// Console opens the place for messages: /dev/kmsg, which reaches every console
// and the kernel log in order, else /dev/console. Lines to /dev/kmsg are not
// limited in rate.
func Console() (io.WriteCloser, error) {
	// The kernel drops messages of a chatty process unless told otherwise.
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0)
	kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err == nil {
		return &kmsgWriter{f: kmsg}, nil
	}
	console, err2 := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err2 != nil {
		return nil, fmt.Errorf("open a console: %w", errors.Join(err, err2))
	}
	return console, nil
}

// kmsgWriter makes one kernel log record of each line.
type kmsgWriter struct{ f *os.File }

// kmsgMax is below the kernel's limit for one record; a longer write fails as a
// whole.
const kmsgMax = 900

func (k *kmsgWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		line = strings.TrimRight(line, "\n")
		// Facility user, level error: shown even by a kernel told to be quiet.
		if _, err := k.f.WriteString("<11>drpd: " + line[:min(len(line), kmsgMax)]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (k *kmsgWriter) Close() error { return k.f.Close() }

// LoadModules loads the kernel modules that the file list names, one path per
// line, relative to the list's directory, in the order of their dependencies.
// A module that does not load is logged and passed over: an image for all
// machines carries drivers that one kernel or another refuses. No list is no
// error.
func LoadModules(list string, log *slog.Logger) error {
	b, err := os.ReadFile(list)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load modules: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		name := strings.TrimSpace(line)
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(list), name)
		}
		if err := loadModule(name); err != nil {
			log.Warn("load module", "module", name, "err", err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	switch {
	case err == nil, errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENOENT):
		return errors.New("unknown symbol: a module it needs is missing before it in the list")
	}
	return err
}

// SetHostname names the machine for its own log messages.
func SetHostname(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name %q: %w", name, err)
	}
	return nil
}

// SetClock sets the system clock to t if it is behind by more than a minute: a
// machine with an empty clock battery starts in a year in which no certificate
// is valid yet. It says whether the clock was changed; it is never set back.
func SetClock(t time.Time) (bool, error) {
	if !clockBehind(time.Now(), t) {
		return false, nil
	}
	ts := unix.NsecToTimespec(t.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return false, fmt.Errorf("set clock to %s: %w", t.UTC().Format(time.RFC3339), err)
	}
	return true, nil
}

func clockBehind(now, t time.Time) bool { return t.Sub(now) > time.Minute }

// Reboot writes all buffers back and restarts the machine. It returns only on
// failure.
func Reboot() error { return halt("reboot", unix.LINUX_REBOOT_CMD_RESTART) }

// PowerOff writes all buffers back and turns the machine off. It returns only
// on failure.
func PowerOff() error { return halt("power off", unix.LINUX_REBOOT_CMD_POWER_OFF) }

func halt(what string, cmd int) error {
	unix.Sync()
	if err := unix.Reboot(cmd); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
