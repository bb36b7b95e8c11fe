# Makes the initramfs small and the same for every disk: a named list of drivers
# instead of nearly all (30 MB, slow to unpack) or those of the building machine.
set -e
conf="$1/etc/initramfs-tools"
mkdir -p "$conf/conf.d" "$conf/hooks"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=9\nRESUME=none\n' > "$conf/conf.d/drpd"
cat > "$conf/hooks/drpd" <<'HOOK'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules ext4 crc32c_generic crc32c_intel virtio_pci virtio_blk virtio_scsi nvme ahci ata_piix sd_mod \
	megaraid_sas mpt3sas smartpqi hpsa aacraid
HOOK
chmod 755 "$conf/hooks/drpd"
