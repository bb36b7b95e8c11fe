package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func (s *session) prefsCmd() *cobra.Command {
	root := &cobra.Command{Use: "prefs", Short: "Show and set the server's preferences.", Args: cobra.ArbitraryArgs, RunE: s.noVerb,
		Example: "  drpcli prefs list\n  drpcli prefs set unknownBootEnv discovery defaultWorkflow discover"}
	list := &cobra.Command{Use: "list", Short: "Show all preferences.", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		out := object{}
		if err := s.conn().get(c.Context(), "/prefs", nil, &out); err != nil {
			return about(err, "list preferences")
		}
		return s.print("", out)
	}}
	set := &cobra.Command{Use: "set <name> <value> [<name> <value>]...", Short: "Set preferences.", Args: cobra.MinimumNArgs(2), RunE: func(c *cobra.Command, args []string) error {
		if len(args)%2 != 0 {
			return usage(c, "%s has no value", args[len(args)-1])
		}
		want, out := map[string]string{}, object{}
		for i := 0; i < len(args); i += 2 {
			want[args[i]] = args[i+1]
		}
		if err := s.conn().call(c.Context(), http.MethodPost, "/prefs", nil, want, &out); err != nil {
			return about(err, "set preferences")
		}
		return s.print("", out)
	}}
	root.AddCommand(list, set)
	return root
}

// completeLimit bounds what completion may take: a shell waits for it.
const completeLimit = 150 * time.Millisecond

// complete offers the names of a kind's objects. Without a server or a login
// it is silent.
func (g *group) complete(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(c.Context(), completeLimit)
	defer cancel()
	list := []any{}
	if err := g.conn().get(ctx, at(g.name), listQuery("slim", "Params,Meta", "limit", "500"), &list); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, o := range list {
		names = append(names, nameOf(o))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
