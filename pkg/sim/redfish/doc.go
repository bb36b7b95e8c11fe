// Package redfish simulates the Redfish service of one server's management
// controller: enough of DMTF's DSP0266 and its schemas for clients to log in,
// read and switch power, and override the boot source.
//
// What is simulated: ServiceRoot, SessionService with sessions, Systems with
// one ComputerSystem and its network port, Chassis, Managers, Basic and token
// authentication, ETags with If-Match, and error bodies with extended
// information. Anything else answers 404. The server behind it is a Machine:
// Memory in tests, or an emulated one of package lab.
//
// Faults make the controller silent, busy or lying, as real ones are.
package redfish
