// Package lab builds a simulated rack: QEMU machines on a bridge inside a
// network namespace, each with a simulated management controller (BMC).
//
// Everything about a rack lives in one directory, and there is no daemon: any
// process that knows the directory can read or switch a machine's power. QEMU
// and the controllers run detached and are found again by pid, and a pid is
// believed only after /proc shows that it is still the process we started.
//
//	DIR/rack.json                 namespace, bridge, addresses
//	DIR/run/NAME.json, NAME.log   processes started with StartProcess
//	DIR/nodes/NAME/node.json      the machine's fixed description
//	DIR/nodes/NAME/bootdev        the pending boot override
//	DIR/nodes/NAME/{disk.raw,vars.fd,serial.log,serial.sock,qmp.sock,qemu.pid}
//
// The machines are emulated without hardware acceleration (TCG), so the lab
// behaves the same with and without nested virtualization.
//
// # Boot order
//
// The boot override of a BMC is taken at power-on by giving the network card
// or the disk the lower bootindex. For a one-time override the indexes are put
// back over QMP as soon as QEMU runs: firmware already holds the first order,
// and QEMU hands out the new one at the next reset. So a guest that reboots
// after a one-time PXE boot starts from its disk, with SeaBIOS and OVMF alike.
package lab
