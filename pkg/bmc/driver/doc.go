// Package driver talks to one management controller (BMC) over Redfish or IPMI.
//
// It knows nothing of machines, jobs or stores: a Target goes in, a Session with
// small capabilities (Power, BootDevice) comes out. The protocol is named by the
// caller and never probed, because a probe of every driver costs 20 s on a
// controller that is silent on one of them.
//
// bmclib carries the conversation wherever its answer can be trusted. Where it
// cannot (a reset that does not reset, a soft power-off reported as failed or as
// done when it was not sent, a boot override that rewrites the firmware mode),
// the adapters here use gofish or ipmitool themselves, each place with its reason.
//
// No power change is believed: after every order the state is read back until it
// is the one wanted or the time is over, and a controller that accepted an order
// without doing it is reported as ErrLied. Errors never contain a password.
package driver
