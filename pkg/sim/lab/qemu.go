package lab

import (
	"context"
	"fmt"
	"strconv"
)

const (
	qemuProgram = "qemu-system-x86_64"
	ovmfCode    = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars    = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// qemuArgs are QEMU's arguments; netFirst gives the network card the lower
// bootindex. With -daemonize QEMU returns when the machine runs, or reports on
// stderr why it cannot.
func (n *Node) qemuArgs(netFirst bool) []string {
	args := []string{
		"-name", n.Name,
		"-accel", "tcg,thread=multi",
		"-M", "q35,graphics=off",
		// Without rdrand a guest's random pool fills too slowly for DHCP.
		"-cpu", "qemu64,+rdrand",
		"-smp", "1",
		"-m", strconv.Itoa(n.MemoryMiB),
		"-nodefaults", "-display", "none",
		"-uuid", n.UUID,
		"-smbios", "type=1,manufacturer=Simulated,product=drpd-lab,serial=" + n.Name,
		"-qmp", "unix:" + n.path("qmp.sock") + ",server=on,wait=off",
		"-pidfile", n.path("qemu.pid"),
		"-daemonize",
	}
	args = append(args, n.serialArgs()...)
	args = append(args, n.firmwareArgs()...)
	args = append(args, n.nicArgs(netFirst)...)
	return append(args, n.diskArgs(netFirst)...)
}

// serialArgs log the console and offer it to one client: for IPMI that is the
// BMC simulator's serial-over-LAN, else whoever opens the socket.
func (n *Node) serialArgs() []string {
	backend := "path=" + n.path("serial.sock")
	if n.BMC.Kind == IPMI {
		backend = "host=127.0.0.1,port=" + strconv.Itoa(n.solPort()) + ",telnet=on"
	}
	return []string{
		"-chardev", "socket,id=s0," + backend + ",server=on,wait=off,logfile=" + n.SerialLog() + ",logappend=on",
		"-serial", "chardev:s0",
	}
}

// solPort is on the namespace's loopback, out of the machines' reach.
func (n *Node) solPort() int { return 9000 + n.Index }

func (n *Node) firmwareArgs() []string {
	if n.Firmware != UEFI {
		return nil
	}
	args := []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + ovmfCode,
		"-drive", "if=pflash,format=raw,file=" + n.path("vars.fd"),
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}
	if n.HTTPBoot {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}
	return args
}

// nicArgs leave UEFI without the card's iPXE ROM, so that the firmware's own
// PXE client runs, as on most hardware.
func (n *Node) nicArgs(netFirst bool) []string {
	device := "virtio-net-pci,id=nic0,netdev=n0,mac=" + n.MAC + ",bootindex=" + bootIndex(netFirst)
	if n.Firmware == UEFI {
		device += ",romfile="
	}
	return []string{
		"-netdev", "tap,id=n0,ifname=" + n.tap() + ",script=no,downscript=no",
		"-device", device,
	}
}

// diskArgs drop the host's flushes: a crash of the host loses a simulated disk,
// a crash of the guest does not.
func (n *Node) diskArgs(netFirst bool) []string {
	device := map[string]string{
		Virtio: "virtio-blk-pci,",
		NVMe:   "nvme,",
		AHCI:   "ide-hd,bus=ide.0,",
	}[n.Disk]
	args := []string{
		"-drive", "if=none,id=d0,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=" + n.DiskPath(),
		"-device", device + "id=disk0,drive=d0,serial=" + n.DiskSerial + ",bootindex=" + bootIndex(!netFirst),
	}
	if n.DataSize == 0 {
		return args
	}
	drive := "if=none,id=d1,format=raw,cache=unsafe,file=" + n.DataPath()
	if n.DataRate > 0 {
		drive += ",throttling.bps-write=" + strconv.FormatInt(n.DataRate, 10)
	}
	return append(args, "-drive", drive, "-device", "virtio-blk-pci,id=disk1,drive=d1,serial="+n.DataSerial())
}

func bootIndex(first bool) string {
	if first {
		return "0"
	}
	return "1"
}

// setBootOrder changes the order that firmware will see after the next reset.
// The index is taken from the card first, as QEMU refuses equal ones.
func (n *Node) setBootOrder(ctx context.Context, netFirst bool) error {
	nic, disk := 1, 0
	if netFirst {
		nic, disk = 0, 1
	}
	const nicPath, diskPath = "/machine/peripheral/nic0", "/machine/peripheral/disk0"
	steps := []qmpCommand{
		setProperty(nicPath, "bootindex", -1),
		setProperty(diskPath, "bootindex", disk),
		setProperty(nicPath, "bootindex", nic),
	}
	if err := qmp(ctx, n.path("qmp.sock"), steps...); err != nil {
		return fmt.Errorf("set boot order: %w", err)
	}
	return nil
}
