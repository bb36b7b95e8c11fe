# Makes the initramfs small and the same for every disk: a named list of drivers
# instead of nearly all (30 MB, slow to unpack) or those of the building machine.
#
# It also replaces udev in there. Finding one root disk needs no device database:
# the kernel makes the nodes, blkid finds the UUID, and udev starts afresh in the
# real system anyway. Scripts named udev below /etc take the place of Debian's.
set -e
conf="$1/etc/initramfs-tools"
mkdir -p "$conf/conf.d" "$conf/hooks" "$conf/scripts/init-top" "$conf/scripts/init-bottom"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=9\nRESUME=none\n' > "$conf/conf.d/drpd"
cat > "$conf/hooks/drpd" <<'HOOK'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules ext4 crc32c_generic crc32c_intel virtio_pci virtio_blk virtio_scsi nvme ahci ata_piix sd_mod \
	megaraid_sas mpt3sas smartpqi hpsa aacraid
# Debian's own hooks have put udev, the device mapper and the mouse in.
lib="$DESTDIR/usr/lib/x86_64-linux-gnu"
rm -rf "$DESTDIR/usr/lib/systemd" "$DESTDIR/usr/lib/udev" "$DESTDIR/usr/bin/udevadm" "$DESTDIR/etc/udev" \
	"$DESTDIR/usr/sbin/dmsetup" "$lib"/libdevmapper.so.* "$lib"/libudev.so.* "$lib"/libselinux.so.* "$lib"/libpcre2-8.so.* "$lib"/libm.so.* \
	"$DESTDIR"/usr/lib/modules/*/kernel/drivers/md "$DESTDIR"/usr/lib/modules/*/kernel/drivers/input/mouse
HOOK
cat > "$conf/scripts/init-top/udev" <<'TOP'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
# Twice: the driver of a PCI card brings the devices behind it to light. Disks
# found later need no further driver than sd_mod; the wait for the root file
# system comes afterwards.
for round in 1 2; do
	set --
	for file in /sys/bus/pci/devices/*/modalias /sys/bus/virtio/devices/*/modalias; do
		[ -e "$file" ] && read -r alias < "$file" && set -- "$@" "$alias"
	done
	modprobe -a -b -q "$@"
done
for host in /sys/class/scsi_host/*; do
	[ -e "$host" ] && modprobe -b -q sd_mod && break
done
exit 0
TOP
cat > "$conf/scripts/init-bottom/udev" <<'BOTTOM'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
mount -n -o move /dev "$rootmnt/dev"
nuke /dev
ln -s "$rootmnt/dev" /dev
BOTTOM
chmod 755 "$conf/hooks/drpd" "$conf/scripts/init-top/udev" "$conf/scripts/init-bottom/udev"
