package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// leftOut names units, or programs run at boot, that a server image starts
// without, and why.
type leftOut struct {
	reason string
	names  []string
}

// maskedUnits can be had back by systemctl unmask.
func maskedUnits() []leftOut {
	return []leftOut{
		{"take apt's lock while tasks install packages; updates come as a new image", []string{
			"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer"}},
		{"scrub snapshots of logical volumes, of which there are none", []string{"e2scrub_all.timer", "e2scrub_reap.service"}},
		{"done when the image was made", []string{
			"systemd-firstboot.service", "systemd-sysusers.service", "systemd-update-done.service", "systemd-network-generator.service"}},
		{"keep the log of logins and runlevels, which the journal has too", []string{
			"systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"}},
		{"load modules that the kernel loads by itself when they are first used", []string{
			"modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
			"modprobe@fuse.service", "modprobe@loop.service", "systemd-pstore.service", "proc-sys-fs-binfmt_misc.automount"}},
		{"show the progress of file system checks on a screen nobody watches; the check itself stays", []string{
			"systemd-fsckd.socket", "systemd-fsckd.service"}},
		{"mount what debuggers and tracers mount by themselves", []string{"sys-kernel-debug.mount", "sys-kernel-tracing.mount"}},
	}
}

// maskedGenerators are programs that systemd runs at every boot, before all
// else, to make units from older or rarer configuration. Masked as
// systemd.generator(7) says.
func maskedGenerators() []leftOut {
	return []leftOut{
		{"for encrypted and verified disks, which the image has not", []string{
			"systemd-cryptsetup-generator", "systemd-integritysetup-generator", "systemd-veritysetup-generator"}},
		{"turned off on the kernel command line: fstab says what is mounted", []string{"systemd-gpt-auto-generator"}},
		{"for machines that sleep, or update packages at boot", []string{
			"systemd-hibernate-resume-generator", "systemd-system-update-generator"}},
		{"for start scripts older than systemd, of which there are none", []string{
			"systemd-rc-local-generator", "systemd-sysv-generator"}},
	}
}

// loginUnits are started only when somebody can log in. Without them the
// session service still comes when it is first called.
func loginUnits() []string {
	return []string{"getty.target", "getty@tty1.service", "serial-getty@ttyS0.service"}
}

func allNames(groups []leftOut) []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.names...)
	}
	return names
}

// tuneUnits decides what is started at boot.
func tuneUnits(ctx context.Context, tree, password string) error {
	masked, dropped := allNames(maskedUnits()), under("etc/systemd/system-generators", allNames(maskedGenerators()))
	if password == "" {
		masked = append(masked, loginUnits()...)
		dropped = append(dropped, under("etc/systemd/system/multi-user.target.wants", []string{"systemd-logind.service"})...)
	} else if err := setRootPassword(ctx, tree, password); err != nil {
		return err
	}
	for _, name := range dropped {
		if err := linkToNull(filepath.Join(tree, name)); err != nil {
			return fmt.Errorf("mask %s: %w", name, err)
		}
	}
	for _, args := range [][]string{
		// Waiting for the network costs nothing until a unit asks for network-online.target.
		{"enable", "systemd-networkd.service", "systemd-networkd-wait-online.service", "resolv-conf.service", "drp-agent.service"},
		// A cluster task enables etcd when its configuration is there.
		{"disable", "etcd.service", "systemd-resolved.service"},
		append([]string{"mask"}, masked...),
	} {
		// Run inside the tree: the building machine need not have systemd.
		if _, err := run(ctx, "", "chroot", append([]string{tree, "systemctl", "--quiet"}, args...)...); err != nil {
			return fmt.Errorf("%s units: %w", args[0], err)
		}
	}
	return nil
}

func under(dir string, names []string) []string {
	paths := make([]string, 0, len(names))
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// linkToNull masks a file of the same name below /usr/lib.
func linkToNull(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.Symlink("/dev/null", name)
}
