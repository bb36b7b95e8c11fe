package pxe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"drpd/pkg/api"
	"drpd/pkg/guard"
	"drpd/pkg/resource"
)

// errSpent says that somebody else used the intent up first.
var errSpent = errors.New("intent already served")

// answer resolves a request and claims what may go out only once. peek is a
// request for the size alone, which uses nothing up.
func (s *Server) answer(ctx context.Context, q Request, peek bool) (*Answer, error) {
	q.Ctx, q.Client, q.Server = ctx, q.Client.Unmap(), q.Server.Unmap()
	a, err := s.Resolve(s.cfg.DB.View(), q)
	if err != nil {
		return nil, err
	}
	if a.intent == "" || peek {
		return a, nil
	}
	switch err := s.claim(ctx, a.machine.Uuid, a.intent); {
	case errors.Is(err, errSpent):
		b, _ := parseBootName(a.Path)
		a.Body = localScript(b.lang, a.machine.Name, "its installer was already served for this intent")
	case err != nil:
		return nil, fmt.Errorf("mark boot of %s as served: %w", a.machine.Name, err)
	}
	return a, nil
}

// claim marks the intent as served, durably; only one caller ever succeeds.
func (s *Server) claim(ctx context.Context, machine, intent string) error {
	return s.cfg.DB.Update(ctx, func(tx *resource.Tx) error {
		return api.Machines.Modify(tx, machine, func(m *api.Machine) error {
			if m.Boot == nil || m.Boot.Intent != intent || m.Boot.Served || m.Boot.Env != m.BootEnv {
				return errSpent
			}
			if guard.Destroy(tx, m, guard.Install) != nil {
				return errSpent // protected since it was planned
			}
			m.Boot.Served = true
			return nil
		})
	})
}

// record tells the flight recorder of a file that went out.
func (s *Server) record(a *Answer, proto string) {
	s.cfg.Served(a, proto)
	if a.MAC == "" {
		return
	}
	if a.Step != "" {
		proto = a.Step
	}
	s.cfg.Record(a.MAC, proto, a.Path)
}

// contentType of what iPXE, shells and people fetch.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".ipxe", ".cfg", ".sh", ".ks", ".seed", ".yaml", ".yml", ".txt":
		return "text/plain; charset=utf-8"
	case ".json":
		return "application/json"
	case ".efi":
		return "application/efi"
	}
	return "application/octet-stream"
}

func addrOf(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}
