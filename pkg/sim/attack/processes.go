package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// processes look at what drpd is to the system.
func processes() []attack {
	status := func(e *env, field string) (string, error) {
		keeper := e.process.cmd.Process.Pid // which root started; the server is its child
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", keeper, keeper))
		server := strings.Fields(string(children))
		if err != nil || len(server) == 0 {
			return "", fmt.Errorf("process %d has no child: %w", keeper, err)
		}
		data, err := os.ReadFile("/proc/" + server[0] + "/status")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, field+":"); ok {
				return strings.Join(strings.Fields(rest), " "), nil
			}
		}
		return "", fmt.Errorf("no %s in its status", field)
	}
	return []attack{{"be the server's root", "it runs as root", "", func(_ context.Context, e *env) (string, error) {
		uid, err := status(e, "Uid")
		if err == nil && strings.HasPrefix(uid, "0 ") {
			return "Uid " + uid, nil
		}
		return "", err
	}}, {"be the server's root", "its capabilities", "", func(_ context.Context, e *env) (string, error) {
		caps, err := status(e, "CapEff")
		if err == nil && strings.TrimLeft(caps, "0") != "3400" { // low ports, raw sockets, ARP entries
			return "CapEff " + caps, nil
		}
		return "", err
	}}, {"be the server's root", "it may gain rights", "", func(_ context.Context, e *env) (string, error) {
		no, err := status(e, "NoNewPrivs")
		if err == nil && no != "1" {
			return "NoNewPrivs " + no, nil
		}
		return "", err
	}}}
}
