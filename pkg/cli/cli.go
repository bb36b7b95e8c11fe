// Package cli is drpcli: every kind of object with the same verbs, made from
// api.Kinds, and on top the verbs that operators think in (clusters destroy,
// work_orders run, why).
//
// The use line of a verb is its grammar: from it come the checks of arguments,
// the questions for missing ones, completion and examples (syntax.go). What the
// server sends is printed in the order in which it came (reply.go).
//
// Results go to standard output; progress, warnings and questions to standard
// error. Nothing is asked unless both ends are terminals, and no control byte
// goes to anything else.
package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Config adds to the command line what other packages bring.
type Config struct {
	Extra []*cobra.Command // more commands, such as the agent
	// Under are more verbs of groups, such as machines processjobs.
	Under   func(s Shared) map[string][]*cobra.Command
	Version string           // shown by "version"; default "devel"
	Poll    time.Duration    // between two looks at what is followed; default 1 s
	Beat    time.Duration    // silence after which followed work reports again; default 30 s
	Now     func() time.Time // default time.Now
}

// Main runs one command line and returns its exit code. args has no program
// name; env is as of os.Environ.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return Config{}.Main(ctx, args, env, stdin, stdout, stderr)
}

// Main is the function Main, configured.
func (c Config) Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	if c.Beat == 0 {
		c.Beat = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := newSession(c, env, stdin, stdout, stderr)
	root := s.root(args)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = s.savePlan()
	}
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = &failure{code: exitInterrupted, what: "interrupted"}
	}
	return s.report(err)
}

// root builds the tree of commands. Only groups that args name get their
// verbs, or all without args: there are more than a thousand, and a start must
// not be felt.
func (s *session) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use: "drpcli", Short: "Operate a drpd server: machines, clusters and everything they need.",
		Example:       "  drpcli login -E https://drpd:8092 -U admin\n  drpcli machines list Pool=default\n  drpcli clusters create web cluster/count=3",
		SilenceErrors: true, SilenceUsage: true, TraverseChildren: false,
	}
	root.AddGroup(&cobra.Group{ID: "objects", Title: "Objects"}, &cobra.Group{ID: "work", Title: "Commands"})
	s.flags.declare(root.PersistentFlags(), s.env)
	under := map[string][]*cobra.Command{}
	if s.cfg.Under != nil {
		under = s.cfg.Under(Shared{s})
	}
	for _, k := range kinds() {
		c := s.shell(k)
		root.AddCommand(c)
		if args == nil || named(c, args) {
			s.group(c, k)
			replace(c, under[c.Name()])
			exemplify(c, "drpcli "+c.Name(), c.Name())
		}
	}
	for _, c := range slices.Concat(s.commands(), s.cfg.Extra, under[""]) {
		c.GroupID = "work"
		root.AddCommand(c)
		exemplify(c, "drpcli "+c.Name(), c.Name())
		if c.Example == "" {
			c.Example = exampleOf("drpcli "+c.Name(), "", c.Use)
		}
	}
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { s.help(c) })
	root.SetUsageFunc(func(c *cobra.Command) error { return nil })
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(c, "%v", err)
	})
	root.RunE = func(c *cobra.Command, args []string) error { return s.noVerb(c, args) }
	root.Args = cobra.ArbitraryArgs
	root.SetHelpCommandGroupID("work")
	root.SetCompletionCommandGroupID("work")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return s.flags.check(c) }
	return root
}

// named says whether a word of the command line may mean the group.
func named(c *cobra.Command, args []string) bool {
	for _, a := range args {
		if a == c.Name() || c.HasAlias(a) {
			return true
		}
	}
	return false
}

// commands are those beside the groups of objects.
func (s *session) commands() []*cobra.Command {
	return []*cobra.Command{
		s.loginCmd(), s.sitesCmd(), s.infoCmd(), s.versionCmd(), s.prefsCmd(), s.isosCmd(), s.eventsCmd(), s.logsCmd(), s.whyCmd(),
		s.stuckCmd(), s.exitCodesCmd(), s.objectsCmd(), s.systemCmd(), s.extendedCmd(), s.supportCmd(), s.certsCmd(), s.debugCmd(),
		s.proxyCmd(), s.catalogCmd(), s.autocompleteCmd(), s.environmentCmd(), s.planCmd(),
	}
}

// noVerb answers a group without a verb, or with one that does not exist.
func (s *session) noVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		s.help(c)
		return nil
	}
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2
	}
	f := usage(c, "there is no command %q in %s", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		f.cause = "did you mean " + strings.Join(near, ", ") + "?"
	}
	f.fix = c.CommandPath() + " --help"
	return f
}
