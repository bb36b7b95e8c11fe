package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// parent is a command that has only verbs.
func (s *session) parent(use, short, example string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.ArbitraryArgs, RunE: s.noVerb}
	c.AddCommand(verbs...)
	return c
}

func (s *session) prefsCmd() *cobra.Command {
	return s.parent("prefs", "Show and set the server's preferences.",
		"  drpcli prefs list\n  drpcli prefs set unknownBootEnv discovery defaultWorkflow discover",
		s.verb("list", "Show all preferences.", func(ctx context.Context, _ []string) error {
			return s.showPath(ctx, "/prefs", nil)
		}),
		s.verb("set <name> [value]...", "Set preferences: names and values by turns, or a body.", s.setPrefs))
}

func (s *session) setPrefs(ctx context.Context, args []string) error {
	want := object{}
	if len(args) == 1 {
		body, err := s.bodyObject(args[0])
		if err != nil {
			return err
		}
		want = body
	} else if len(args)%2 != 0 {
		return failf(exitUsage, "%s has no value", args[len(args)-1])
	}
	for i := 0; i+1 < len(args); i += 2 {
		want[args[i]] = args[i+1]
	}
	var out doc
	if err := s.conn().call(ctx, http.MethodPost, "/prefs", nil, want, &out); err != nil {
		return about(err, "set preferences")
	}
	return s.print("", out)
}

// showPath prints what a route answers.
func (s *session) showPath(ctx context.Context, path string, q url.Values) error {
	var out doc
	if err := s.conn().get(ctx, path, q, &out); err != nil {
		return about(err, "get %s", path)
	}
	return s.print("", out)
}

// post sends a body and prints the answer.
func (s *session) post(ctx context.Context, path string, q url.Values, body any) error {
	var out doc
	if err := s.conn().call(ctx, http.MethodPost, path, q, body, &out); err != nil {
		return about(err, "post %s", path)
	}
	return s.print("", out)
}
