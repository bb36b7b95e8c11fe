package cli

import (
	"context"
	"strings"

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

// Shared lets other packages' verbs speak to the same server and print the
// same way.
type Shared struct{ s *session }

// Verb makes a command whose arguments follow its use line.
func (h Shared) Verb(use, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	return h.s.verb(use, short, run)
}

// Print writes a result in the format that was asked for.
func (h Shared) Print(v any) error {
	var d doc
	if err := remarshal(v, &d); err != nil {
		return err
	}
	return h.s.print("", d)
}

// Post sends a body and decodes the reply.
func (h Shared) Post(ctx context.Context, path string, body, out any) error {
	return h.s.conn().call(ctx, "POST", path, nil, body, out)
}

// Machine finds the key of a machine, given as people name it, or by RS_UUID
// without a name.
func (h Shared) Machine(ctx context.Context, args []string) (string, error) {
	ref := h.s.env["RS_UUID"]
	if len(args) > 0 {
		ref = args[0]
	}
	if ref == "" {
		return "", failf(exitUsage, "missing: <id>")
	}
	return h.s.runnerKey(ctx, ref)
}

// Target is the server that the command speaks to, with a token for a machine.
func (h Shared) Target(ctx context.Context, machine string) (endpoint, token, certFingerprint string, err error) {
	t, err := h.s.target()
	if err != nil {
		return "", "", "", err
	}
	var out doc
	q := listQuery("ttl", "3y")
	if err := h.s.conn().get(ctx, at("machines", machine, "token"), q, &out); err != nil {
		return "", "", "", about(err, "token of machine %s", machine)
	}
	return t.Endpoint, out.text("Token"), strings.TrimPrefix(t.Fingerprint, pinPrefix), nil
}

func (s *session) autocompleteCmd() *cobra.Command {
	c := &cobra.Command{Use: "autocomplete <file>", Short: "Write the completion script for bash into a file; completion has more shells."}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(c, "missing: <file>")
		}
		return c.Root().GenBashCompletionFileV2(args[0], true)
	}
	return c
}
