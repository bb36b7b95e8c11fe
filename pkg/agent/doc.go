// Package agent runs the tasks of one machine: it tells the server which
// machine it is, asks for jobs, runs them and reports. It runs as the first
// process of the discovery image, as a service of an installed system, and
// inside tests on simulated hardware; the loop is the same.
//
// The agent outlives its server: every call is tried again until it is
// answered, and a change whose answer was lost is looked up, not repeated
// blindly. Linux only; on other systems the commands say so.
package agent
