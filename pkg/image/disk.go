package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
)

// Sector numbers of the disk; a sector is 512 bytes.
const (
	sectorSize   = 512
	sectorsInMiB = 2048

	biosStart = 1 * sectorsInMiB
	espStart  = 2 * sectorsInMiB
	rootStart = 34 * sectorsInMiB
	// endReserve keeps the last MiB for the backup partition table.
	endReserve = 1 * sectorsInMiB
)

// kernelOptions are for the kernel of the installed system: names eth0, eth1...
// as the agent saw them, errors on screen and serial port, and a restart rather
// than a dead machine after a panic. The self tests of the kernel's ciphers,
// which FIPS asks for, are left out; the processor's random numbers count.
const kernelOptions = "ro console=tty0 console=ttyS0,115200 quiet loglevel=3 panic=10 net.ifnames=0 " +
	"random.trust_cpu=on cryptomgr.notests systemd.show_status=0 systemd.gpt_auto=0"

// diskLayout is a GPT disk of three partitions: the BIOS boot loader (1 MiB),
// the EFI system partition (32 MiB) and the root file system (the rest).
type diskLayout struct {
	sectors  int
	rootUUID string // of the file system
	espID    string // FAT serial number, 8 hexadecimal digits
}

// newDiskLayout derives the identifiers from the tree's name, so that images
// of one tree share them and those of different trees do not.
func newDiskLayout(sizeMiB int, tree string) diskLayout {
	sum := sha256.Sum256([]byte("disk of " + tree))
	sum[6] = sum[6]&0x0f | 0x80 // version 8: a UUID made by rules of one's own
	sum[8] = sum[8]&0x3f | 0x80
	return diskLayout{
		sectors:  sizeMiB * sectorsInMiB,
		rootUUID: fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
		espID:    fmt.Sprintf("%x", sum[16:20]),
	}
}

// rootSectors is the size of the root partition.
func (d diskLayout) rootSectors() int { return d.sectors - rootStart - endReserve }

func (d diskLayout) fstab() string {
	return fmt.Sprintf("UUID=%s / ext4 errors=remount-ro,x-systemd.growfs 0 1\n", d.rootUUID)
}

// bootConfig is the GRUB configuration inside the root file system. It uses
// the links Debian keeps up to date at every kernel upgrade. On a BIOS the
// kernel is entered in real mode, the older way: emulated processors then
// unpack it in three seconds less.
func (d diskLayout) bootConfig() string {
	return fmt.Sprintf(`if [ "$grub_platform" = pc ]; then
	linux16 /vmlinuz root=UUID=%[1]s %[2]s
	initrd16 /initrd.img
else
	linux /vmlinuz root=UUID=%[1]s %[2]s
	initrd /initrd.img
fi
boot
`, d.rootUUID, kernelOptions)
}

// writeDisk makes the raw disk file from the tree without mounting anything:
// every tool writes at its partition's offset.
func writeDisk(ctx context.Context, d diskLayout, tree, raw string) error {
	if d.rootSectors() < 64*sectorsInMiB {
		return fmt.Errorf("disk of %d MiB has no room for a root file system", d.sectors/sectorsInMiB)
	}
	if err := createSparse(raw, int64(d.sectors)*sectorSize); err != nil {
		return err
	}
	if _, err := run(ctx, "", "sgdisk", d.partitionArgs(raw)...); err != nil {
		return err
	}
	if _, err := run(ctx, "", "mke2fs", d.rootArgs(tree, raw)...); err != nil {
		return fmt.Errorf("%w; if it is full, give a larger size", err)
	}
	return installBoot(ctx, d, raw)
}

func (d diskLayout) partitionArgs(raw string) []string {
	part := func(n, start, sectors int, code, name string) []string {
		return []string{
			fmt.Sprintf("--new=%d:%d:%d", n, start, start+sectors-1),
			fmt.Sprintf("--typecode=%d:%s", n, code), fmt.Sprintf("--change-name=%d:%s", n, name),
		}
	}
	args := []string{"--clear"}
	args = append(args, part(1, biosStart, espStart-biosStart, "ef02", "bios")...)
	args = append(args, part(2, espStart, rootStart-espStart, "ef00", "esp")...)
	args = append(args, part(3, rootStart, d.rootSectors(), "8304", "root")...)
	return append(args, raw)
}

// rootArgs turns off two features GRUB 2.06 cannot read, and prepares all
// inode tables now, which costs nothing in a sparse file and saves the first
// boot from doing it.
func (d diskLayout) rootArgs(tree, raw string) []string {
	return []string{
		"-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "root", "-U", d.rootUUID, "-J", "size=16",
		"-O", "^metadata_csum_seed,^orphan_file",
		"-E", fmt.Sprintf("offset=%d,lazy_itable_init=0,lazy_journal_init=0", rootStart*sectorSize),
		"-d", tree, raw, fmt.Sprintf("%dk", d.rootSectors()/2),
	}
}

func createSparse(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(size)
}
