package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

// unprotectCmd lifts what objects said of a machine's disks that it has no more.
func (g *group) unprotectCmd() *cobra.Command {
	cmd := g.cmd("unprotect <id> [<disk>]...", "Lift the protection of disks, all or by serial, that objects gave which the machine has no more.", g.unprotect)
	cmd.Example = "  drpcli machines show n7 --fields ProtectedDisks\n  drpcli machines unprotect n7 S1A2B3"
	return cmd
}

func (g *group) unprotect(ctx context.Context, args []string) error {
	key, err := g.keyFor(ctx, g.kind, args[0])
	if err != nil {
		return err
	}
	if g.flags.dryRun {
		g.note("would lift what is kept in ProtectedDisks of %s", args[0])
		return nil
	}
	var out doc
	if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, "unprotect"), nil, args[1:], &out); err != nil {
		return about(err, "unprotect disks of machine %s", args[0])
	}
	return g.print(g.name, out)
}
