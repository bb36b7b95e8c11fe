// Package machine is a simulated server machine whose disks are in memory, for
// tests that run the real agent in their own process. Linux only, as the agent.
package machine
