package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

// admitCmd is machines admit.
func (g *group) admitCmd() *cobra.Command {
	var life string
	c := g.cmd("admit <id>", "Take the next who says to be the machine for it, once: for one in use that has no BMC.",
		func(ctx context.Context, args []string) error {
			key, err := g.keyFor(ctx, g.kind, args[0])
			if err != nil {
				return err
			}
			var out doc
			if err := g.conn().call(ctx, http.MethodPost, at(g.name, key, "admit"), nil, object{"For": life}, &out); err != nil {
				return about(err, "admit %s", args[0])
			}
			return g.print("", out)
		})
	c.Flags().StringVar(&life, "for", "", "how long it may take to come, such as 15m (the default) or 2h")
	return c
}

// joinTokenCmd is machines jointoken.
func (g *group) joinTokenCmd() *cobra.Command {
	var life string
	c := g.cmd("jointoken [<id>]", "Make a token by which a running system becomes that machine, or a new one; prints the command to run there.",
		func(ctx context.Context, args []string) error {
			body := object{"For": life}
			if len(args) > 0 {
				key, err := g.keyFor(ctx, g.kind, args[0])
				if err != nil {
					return err
				}
				body["Machine"] = key
			}
			var out doc
			if err := g.conn().call(ctx, http.MethodPost, "/join_tokens", nil, body, &out); err != nil {
				return about(err, "make a join token")
			}
			return g.print("", out)
		})
	c.Flags().StringVar(&life, "for", "", "how long it is good, such as 1h (the default); 24h at most")
	return c
}
