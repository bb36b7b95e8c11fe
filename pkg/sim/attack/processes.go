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
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.process.cmd.Process.Pid))
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
			return "", fmt.Errorf("%w: the server still runs as root", errSkip)
		}
		return "", err
	}}, {"be the server's root", "its capabilities", "", func(_ context.Context, e *env) (string, error) {
		uid, err := status(e, "Uid")
		if err == nil && strings.HasPrefix(uid, "0 ") {
			return "", fmt.Errorf("%w: the server still runs as root", errSkip)
		}
		caps, err := status(e, "CapEff")
		if err == nil && strings.TrimLeft(caps, "0") != "2400" { // bind low ports, raw sockets
			return "CapEff " + caps, nil
		}
		return "", err
	}}}
}
