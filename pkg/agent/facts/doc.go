// Package facts takes the inventory of the machine the agent runs on: what the
// kernel and the firmware tell about processors, memory, disks, network
// interfaces and the machine's identity. It only reads, and what is not there
// stays empty. Linux only.
package facts
