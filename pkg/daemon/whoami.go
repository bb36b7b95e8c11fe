package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/proof"
	"drpd/pkg/resource"
	"drpd/pkg/rest"
	"drpd/pkg/workflow"
)

// agentTTL is the life of an agent's token, which it renews.
const agentTTL = 24 * time.Hour

// whoAmI finds or makes the machine of an agent. If the caller has shown to be
// that machine, it notes that the agent is there and gives it a token.
func (d *Daemon) whoAmI(ctx context.Context, by auth.Identity, req rest.WhoAmIRequest) (rest.WhoAmIReply, error) {
	if len(req.MacAddrs) > 64 {
		return rest.WhoAmIReply{}, resource.Errorf(resource.Malformed, "whoami", "", "%d MAC addresses, 64 at most", len(req.MacAddrs))
	}
	if err := d.report(ctx, by, req); err != nil {
		return rest.WhoAmIReply{}, err
	}
	addr, err := netip.ParseAddr(resource.OriginOf(ctx).Address)
	if err != nil {
		return rest.WhoAmIReply{}, resource.Errorf(resource.Malformed, "whoami", "", "the address that you call from cannot be read")
	}
	var claim *proof.Claim
	var refusal, id string
	err = d.DB.Update(ctx, func(tx *resource.Tx) (err error) {
		m, err := machineOf(tx, by, req)
		if err != nil {
			return err
		}
		id = m.Uuid
		if claim, refusal, err = d.auth.Take(tx, by, m, addr, req.Fingerprint.SystemUUID); err != nil || claim == nil {
			return err
		}
		if held, err := takeReport(ctx, tx, m, req.Env); held || err != nil {
			return err
		}
		return workflow.Home(tx, id, req.Env)
	})
	if err != nil {
		return rest.WhoAmIReply{}, err
	}
	if claim == nil {
		return rest.WhoAmIReply{}, resource.Errorf(resource.Forbidden, "machines", id, "%s", refusal)
	}
	for _, addr := range req.MacAddrs {
		if mac, ok := api.MAC(addr); ok {
			d.recorder.Record(mac, "agent", req.Env)
		}
	}
	t, err := d.auth.ClaimToken(claim, agentTTL)
	return rest.WhoAmIReply{Result: rest.WhoAmIResult{Score: 100, Uuid: id, Token: t}}, err
}

// machineOf finds the machine that the caller says it is, or makes it.
func machineOf(tx *resource.Tx, by auth.Identity, req rest.WhoAmIRequest) (*api.Machine, error) {
	m := recognize(tx, by, req)
	if m == nil && len(req.MacAddrs) > 0 && req.Env != "" {
		return adopt(tx, req)
	}
	if m == nil {
		return nil, resource.Errorf(resource.NotFound, "whoami", "", "no machine has one of these MAC addresses: %s", strings.Join(req.MacAddrs, ", "))
	}
	return m, nil
}

// recognize finds the machine by a MAC address, else by the token it came with.
func recognize(r resource.Reader, by auth.Identity, req rest.WhoAmIRequest) *api.Machine {
	for _, addr := range req.MacAddrs {
		if mac, ok := api.MAC(addr); ok {
			if m := api.Machines.One(r, api.ByMAC, mac); m != nil {
				return m
			}
		}
	}
	if m, err := api.Machines.Get(r, by.Machine()); err == nil {
		return m
	}
	return nil
}

// adopt makes a machine of unknown hardware; its default workflow then runs. The
// caller says where it runs; what the machine shall boot it does not decide. A
// system that runs from its own disk is at work: it is not booted out of that
// before a person says so.
func adopt(tx *resource.Tx, req rest.WhoAmIRequest) (*api.Machine, error) {
	first, ok := api.MAC(req.MacAddrs[0])
	if !ok {
		return nil, resource.Errorf(resource.Malformed, "whoami", "", "%.40q is not a MAC address", req.MacAddrs[0])
	}
	m := &api.Machine{Name: "d" + strings.ReplaceAll(first, ":", "-"), HardwareAddrs: slices.Clone(req.MacAddrs), Fingerprint: req.Fingerprint}
	m.Description = "discovered by itself"
	if err := api.Machines.Create(tx, m); err != nil {
		return nil, err
	}
	env, err := api.BootEnvs.Get(tx, req.Env)
	if err != nil || env.NetBoots() || m.Boot == nil || m.Boot.Home || m.Boot.Env == env.Name {
		return m, nil
	}
	return m, api.Machines.Modify(tx, m.Uuid, func(m *api.Machine) error {
		m.Boot.Error = fmt.Sprintf("it joined as a running system, and workflow %s would boot it into %s", m.Workflow, m.BootEnv)
		return nil
	})
}
