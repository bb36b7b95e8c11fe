package cli

import (
	"context"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"
)

// subnetVerbs set what people change most in a subnet.
func (g *group) subnetVerbs() []*cobra.Command {
	return []*cobra.Command{
		g.cmd("range <id> <start> <end>", "Set the first and last address for leases.", func(ctx context.Context, args []string) error {
			if err := addresses(args[1:]...); err != nil {
				return err
			}
			return g.set(ctx, args[0], setField("ActiveStart", args[1]), setField("ActiveEnd", args[2]))
		}),
		g.cmd("subnet <id> <CIDR>", "Set the network, such as 10.0.0.1/24.", func(ctx context.Context, args []string) error {
			if _, err := netip.ParsePrefix(args[1]); err != nil {
				return failf(exitUsage, "%q is not a network such as 10.0.0.1/24", args[1])
			}
			return g.set(ctx, args[0], setField("Subnet", args[1]))
		}),
		g.cmd("nextserver <id> <address>", "Set the server that machines boot from.", func(ctx context.Context, args []string) error {
			if err := addresses(args[1]); err != nil {
				return err
			}
			return g.set(ctx, args[0], setField("NextServer", args[1]))
		}),
		g.cmd("pickers <id> <pickers>", "Set how free addresses are chosen: hint, nextFree, mostExpired, none.", func(ctx context.Context, args []string) error {
			return g.set(ctx, args[0], setField("Pickers", commaList(args[1])))
		}),
		g.cmd("leasetimes <id> <active> <reserved>", "Set the seconds that leases and reservations last.", func(ctx context.Context, args []string) error {
			active, err1 := strconv.Atoi(args[1])
			reserved, err2 := strconv.Atoi(args[2])
			if err1 != nil || err2 != nil {
				return failf(exitUsage, "%s and %s are not both numbers of seconds", args[1], args[2])
			}
			return g.set(ctx, args[0], setField("ActiveLeaseTime", active), setField("ReservedLeaseTime", reserved))
		}),
		g.cmd("set <id> option <code> to <value>", "Set a DHCP option; null removes it.", g.setOption),
		g.cmd("get <id> option <code>", "Show a DHCP option.", g.getOption),
	}
}

func addresses(list ...string) error {
	for _, a := range list {
		if ip, err := netip.ParseAddr(a); err != nil || !ip.Is4() {
			return failf(exitUsage, "%q is not an IPv4 address", a)
		}
	}
	return nil
}

func optionCode(text string) (float64, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 254 {
		return 0, failf(exitUsage, "%q is not the code of a DHCP option, 1 to 254", text)
	}
	return float64(n), nil
}

func (g *group) setOption(ctx context.Context, args []string) error {
	code, err := optionCode(args[2])
	if err != nil {
		return err
	}
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	next := []any{}
	for _, opt := range o.list("Options") {
		if field(opt, "Code") != code {
			next = append(next, opt)
		}
	}
	if args[4] != "null" {
		next = append(next, object{"Code": code, "Value": args[4]})
	}
	return g.set(ctx, keyOf(g.kind, o), setField("Options", next))
}

func (g *group) getOption(ctx context.Context, args []string) error {
	code, err := optionCode(args[2])
	if err != nil {
		return err
	}
	o, err := g.fetch(ctx, g.kind, args[0], nil)
	if err != nil {
		return err
	}
	for _, opt := range o.list("Options") {
		if field(opt, "Code") == code {
			return g.line("Option %s: %s", args[2], text(field(opt, "Value")))
		}
	}
	return failf(exitNotFound, "subnet %s has no option %s", args[0], args[2])
}
