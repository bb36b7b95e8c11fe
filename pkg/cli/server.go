package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"drpd/pkg/client"
)

func (s *session) versionCmd() *cobra.Command {
	return s.verb("version", "Print the version of drpcli.", func(context.Context, []string) error {
		return s.line("Version: %s", s.cfg.Version)
	})
}

func (s *session) infoCmd() *cobra.Command {
	get := func(ctx context.Context, _ []string) error { return s.showPath(ctx, "/info", nil) }
	c := s.verb("info", "Show what the server says about itself.", get)
	c.AddCommand(
		s.verb("get", "Show what the server says about itself.", get),
		s.verb("check", "Exit 0 if the server answers and knows the caller.", func(ctx context.Context, _ []string) error {
			if err := s.conn().get(ctx, "/info", nil, nil); err != nil {
				return err
			}
			return s.print("", object{"active": true})
		}),
		s.verb("status", "Say which of the server's ports are served and answer.", s.portStatus))
	return c
}

// portStatus tries the ports over TCP; those over UDP answer nobody who is no
// machine, so only what the server says of them is known.
func (s *session) portStatus(ctx context.Context, _ []string) error {
	var info doc
	if err := s.conn().get(ctx, "/info", nil, &info); err != nil {
		return about(err, "get /info")
	}
	u, err := url.Parse(s.conn().endpoint)
	if err != nil {
		return err
	}
	out := object{}
	for _, p := range []struct{ name, port, enabled, net string }{
		{"API", "api_port", "", "tcp"}, {"Static", "file_port", "prov_enabled", "tcp"}, {"TFTP", "tftp_port", "tftp_enabled", "udp"},
		{"DHCP", "dhcp_port", "dhcp_enabled", "udp"}, {"BINL", "binl_port", "binl_enabled", "udp"}} {
		port, _ := strconv.Atoi(info.text(p.port))
		st := object{"Port": port, "Enabled": port > 0 && (p.enabled == "" || info.at(p.enabled) == true)}
		if p.net == "tcp" && port > 0 {
			st["Alive"] = reachable(ctx, net.JoinHostPort(u.Hostname(), strconv.Itoa(port)))
		}
		out[p.name] = st
	}
	return s.print("", out)
}

func reachable(ctx context.Context, address string) bool {
	c, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func (s *session) objectsCmd() *cobra.Command {
	return s.parent("objects", "Ask which kinds of objects the server has.", "  drpcli objects list",
		s.verb("list", "List the kinds of objects.", func(ctx context.Context, _ []string) error { return s.showPath(ctx, "/objects", nil) }))
}

// systemCmd is the server itself: its state in a pair of servers, its
// certificate, its software.
func (s *session) systemCmd() *cobra.Command {
	get := func(use, short, path string) *cobra.Command {
		return s.verb(use, short, func(ctx context.Context, _ []string) error { return s.showPath(ctx, path, nil) })
	}
	act := func(use, short, path string) *cobra.Command {
		return s.verb(use, short, func(ctx context.Context, _ []string) error { return s.post(ctx, path, s.forced(), nil) })
	}
	consensus := "/system/consensus/"
	ha := s.parent("ha", "Look after a group of servers that stand in for each other.", "",
		get("id", "Print this server's id in the group.", consensus+"id"),
		get("leader", "Print the id of the leader.", consensus+"leader"),
		get("active", "Print the id of the active server.", consensus+"active"),
		get("peers", "List the servers of the group.", consensus+"peers"),
		get("state", "Show the state of the group.", consensus+"state"),
		get("dump", "Show the state of all servers in full.", consensus+"fullstate"),
		s.verb("failOverSafe [<seconds>]", "Exit 0 if another server could take over now, or within that time.", func(ctx context.Context, args []string) error {
			q := url.Values{}
			if len(args) == 1 {
				q.Set("waitFor", args[0])
			}
			return s.post(ctx, consensus+"failOverSafe", q, nil)
		}),
		s.verb("remove <id>", "Take a passive server out of the group.", func(ctx context.Context, args []string) error {
			return about(s.conn().call(ctx, http.MethodDelete, consensus+"node"+at(args[0]), nil, nil, nil), "remove %s", args[0])
		}),
		s.verb("introduction <file>", "Save what a server needs to join the group.", func(ctx context.Context, args []string) error {
			return s.saveReply(ctx, consensus+"introduction", args[0])
		}),
		s.verb("join <file>", "Let this server join the group whose introduction is in the file.", func(ctx context.Context, args []string) error {
			body, err := s.bodyValue(args[0])
			if err != nil {
				return err
			}
			return s.post(ctx, consensus+"enroll", nil, body)
		}),
		s.verb("enroll <url> <user> <password> [<name> <value>]...", "Let the server at a URL join this one's group.", func(ctx context.Context, args []string) error {
			var intro doc
			if err := s.conn().get(ctx, consensus+"introduction", nil, &intro); err != nil {
				return about(err, "enroll %s with this server", args[0])
			}
			return failf(exitRefused, "save what it needs by drpcli system ha introduction <file>, then drpcli -E %s system ha join <file>", args[0])
		}))
	certs := s.certPair("/system/cert", "the API")
	c := s.parent("system", "Look after the server itself.", "  drpcli system ha state\n  drpcli system certs get cert.pem key.pem\n  drpcli system upgrade drpd.zip",
		ha, certs,
		act("active", "Make this server the active one.", "/system/active"),
		act("passive", "Make this server a passive one.", "/system/passive"),
		s.verb("upgrade <zip>", "Replace the server's software.", func(ctx context.Context, args []string) error {
			return s.uploadTo(ctx, "/system/upgrade", args[0], nil)
		}))
	c.AddCommand(s.systemActions()...)
	return c
}

// saveReply puts what a route answers into a file that only the user reads.
func (s *session) saveReply(ctx context.Context, path, file string) error {
	r, err := s.conn().raw(ctx, client.Request{Path: path})
	if err != nil {
		return about(err, "get %s", path)
	}
	if err := os.WriteFile(file, r.Body, 0o600); err != nil {
		return fmt.Errorf("save %s: %w", file, err)
	}
	return nil
}

// debugCmd saves what the server's profiler knows.
func (s *session) debugCmd() *cobra.Command {
	var span int
	var prefix string
	c := s.verb("debug <type> <file>", "Save a profile of the server: profile, trace, heap, allocs, block, mutex, threadcreate, goroutine, index.",
		func(ctx context.Context, args []string) error {
			q, path := url.Values{}, "/debug"+at(args[0])
			if args[0] == "index" {
				path = "/drp_debug/index" + at(prefix)
			}
			if span == 0 {
				span = map[string]int{"profile": 30, "trace": 1}[args[0]]
			}
			if span > 0 {
				q.Set("seconds", strconv.Itoa(span))
			}
			return about(s.saveStream(ctx, path, q, args[1]), "debug %s", args[0])
		})
	c.Flags().IntVar(&span, "seconds", 0, "how long to gather: profile 30, trace 1")
	c.Flags().StringVar(&prefix, "prefix", "", "with index: of this kind only")
	return c
}
