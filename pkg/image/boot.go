package image

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// grubDir holds GRUB's modules, one directory per platform.
const grubDir = "/usr/lib/grub"

// Where GRUB's BIOS images keep the numbers an installer fills in.
const (
	bootCodeSize   = 440    // what of sector 0 is code; then come disk signature and partitions
	bootKernelLBA  = 0x5c   // boot.img: first sector of core.img, 8 bytes
	bootDriveCheck = 0x66   // boot.img: jump that trusts the BIOS's drive number on hard disks
	coreNextLBA    = 0x1f4  // core.img: second sector of core.img, 8 bytes
	nopNop         = 0x9090 // two x86 no-operation instructions
)

// requireGrub checks for both platforms' modules.
func requireGrub() error {
	for platform, pkg := range map[string]string{"i386-pc": "grub-pc-bin", "x86_64-efi": "grub-efi-amd64-bin"} {
		if _, err := os.Stat(filepath.Join(grubDir, platform, "normal.mod")); err != nil {
			return fmt.Errorf("image tools %w: GRUB for %s: install it with: apt-get install %s", errMissing, platform, pkg)
		}
	}
	return nil
}

// installBoot makes the disk bootable by BIOS and, by the path for removable
// disks that needs no firmware setting, by UEFI.
func installBoot(ctx context.Context, d diskLayout, raw string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(raw), "boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	core, err := grubImage(ctx, tmp, d, "i386-pc", "biosdisk", "linux16")
	if err != nil {
		return err
	}
	if err := installBIOS(core, raw); err != nil {
		return fmt.Errorf("install BIOS boot loader: %w", err)
	}
	efi, err := grubImage(ctx, tmp, d, "x86_64-efi")
	if err != nil {
		return err
	}
	return installEFI(ctx, d, efi, raw)
}

// grubImage builds a GRUB that finds the root file system by its UUID, on
// whatever kind of disk, and continues with the configuration there. It returns
// the image's path.
func grubImage(ctx context.Context, dir string, d diskLayout, platform string, modules ...string) (string, error) {
	early := fmt.Sprintf("search --no-floppy --fs-uuid --set=root %s\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n", d.rootUUID)
	config, out := filepath.Join(dir, platform+".cfg"), filepath.Join(dir, platform+".img")
	if err := os.WriteFile(config, []byte(early), 0o644); err != nil {
		return "", err
	}
	args := []string{
		"-O", platform, "-d", filepath.Join(grubDir, platform), "-o", out, "-p", "/boot/grub", "-c", config,
		"part_gpt", "ext2", "search", "search_fs_uuid", "normal", "configfile", "linux", "boot", "echo", "test", "ls",
	}
	_, err := run(ctx, "", "grub-mkimage", append(args, modules...)...)
	return out, err
}

// installBIOS writes boot.img's code to sector 0 and core.img to the BIOS
// partition, telling each where the next one is, as grub-install would.
func installBIOS(corePath, raw string) error {
	boot, err := os.ReadFile(filepath.Join(grubDir, "i386-pc", "boot.img"))
	if err != nil {
		return err
	}
	core, err := os.ReadFile(corePath)
	if err != nil {
		return err
	}
	if err := linkBIOS(boot, core); err != nil {
		return err
	}
	f, err := os.OpenFile(raw, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, errBoot := f.WriteAt(boot[:bootCodeSize], 0)
	_, errCore := f.WriteAt(core, biosStart*sectorSize)
	return errors.Join(errBoot, errCore, f.Close())
}

// linkBIOS fills the sector numbers into both images, in place.
func linkBIOS(boot, core []byte) error {
	if len(boot) != sectorSize || len(core) <= sectorSize {
		return fmt.Errorf("boot.img has %d bytes and core.img %d, want 512 and more than 512", len(boot), len(core))
	}
	if room := (espStart - biosStart) * sectorSize; len(core) > room {
		return fmt.Errorf("core.img has %d bytes, the partition %d", len(core), room)
	}
	binary.LittleEndian.PutUint64(boot[bootKernelLBA:], biosStart)
	binary.LittleEndian.PutUint16(boot[bootDriveCheck:], nopNop)
	binary.LittleEndian.PutUint64(core[coreNextLBA:], biosStart+1)
	return nil
}

func installEFI(ctx context.Context, d diskLayout, efi, raw string) error {
	sizeKiB := (rootStart - espStart) / 2
	drive := fmt.Sprintf("%s@@%d", raw, espStart*sectorSize)
	for _, command := range [][]string{
		// FAT16: mtools refuses FAT32 on a partition this small.
		{"mkfs.fat", "-F", "16", "-n", "ESP", "-i", d.espID, fmt.Sprintf("--offset=%d", espStart), raw, fmt.Sprint(sizeKiB)},
		{"mmd", "-i", drive, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", drive, efi, "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if _, err := run(ctx, "", command[0], command[1:]...); err != nil {
			return fmt.Errorf("install UEFI boot loader: %w", err)
		}
	}
	return nil
}
