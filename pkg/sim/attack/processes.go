package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// processes look at what drpd is to the system.
func processes() []attack {
	status := func(e *env, field string) (string, error) {
		keeper := e.process.cmd.Process.Pid // which root started; the server is its child
		server := childrenOf(keeper)
		if len(server) == 0 {
			return "", fmt.Errorf("process %d has no child", keeper)
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

// childrenOf are the processes that any thread of one started.
func childrenOf(pid int) (out []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		data, _ := os.ReadFile(list) // a thread that has ended has none
		out = append(out, strings.Fields(string(data))...)
	}
	return out
}
