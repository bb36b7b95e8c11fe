// Package ops holds the operations that the agent carries out itself, without a
// shell: inventory, deploy, wipe, verify-blank, reboot and poweroff. A task asks
// for one with a YAML document; anything in it that is not known is an error.
// Linux only.
package ops
