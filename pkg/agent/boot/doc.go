// Package boot is what the agent does as the first process of the discovery
// image: it mounts the kernel's file systems, loads drivers, brings the network
// up by DHCP and, at the end, restarts the machine or turns it off. Nothing in
// it needs another program, and nothing waits for the kernel's random pool,
// which old machines fill only after minutes. Linux only.
package boot
