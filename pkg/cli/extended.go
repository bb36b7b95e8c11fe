package cli

import (
	"github.com/spf13/cobra"
)

// extendedCmd is the common verbs for any kind, named by -l: plugins store
// objects of kinds that no client knows.
func (s *session) extendedCmd() *cobra.Command {
	prefix := ""
	c := s.parent("extended", "List, change and follow objects of any kind: name it with -l.",
		"  drpcli extended -l rack_views list\n  drpcli extended -l rack_views create '{\"Id\": \"r7\"}'")
	g := &group{s, foreignKind("extended"), "extended"}
	c.PersistentFlags().StringVarP(&prefix, "ldata", "l", "", "kind of the objects")
	g.verbs(c)
	c.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.flags.check(cmd); err != nil {
			return err
		}
		if prefix == "" {
			return usage(cmd, "say which kind of objects: -l <kind>")
		}
		g.kind, g.name = foreignKind(prefix), prefix
		return nil
	}
	return c
}

func (s *session) autocompleteCmd() *cobra.Command {
	c := &cobra.Command{Use: "autocomplete <file>", Short: "Write the completion script for bash into a file; completion has more shells."}
	c.Args, c.Hidden = cobra.ArbitraryArgs, true // completion says the same
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(c, "missing: <file>")
		}
		return c.Root().GenBashCompletionFileV2(args[0], true)
	}
	return c
}
