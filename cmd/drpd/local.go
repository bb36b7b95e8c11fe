package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"drpd/pkg/auth"
	"drpd/pkg/daemon"
	"drpd/pkg/datadir"
)

// local is what every command at the server's own data directory has.
type local struct{ cfg daemon.Config }

// localCommands are those that are run on the server, as the owner of its data
// directory. name is that of the program.
func localCommands(name string) []*cobra.Command {
	l := &local{}
	list := []*cobra.Command{l.firstPassword(), l.passwd(), l.adopt(), l.activate(), l.rotate(), l.auditCheck(), l.backup(), restoreCommand()}
	def := "/var/lib/drpd"
	if name == dropIn {
		def = "/var/lib/dr-provision"
	}
	for _, c := range list {
		if c.Flags().Lookup("data-dir") == nil {
			c.Flags().StringVar(&l.cfg.DataDir, "data-dir", def, "data directory of the server")
			c.Flags().StringVar(&l.cfg.Database, "database", "", "path of the database, if it is not in the data directory")
		}
		c.SilenceErrors, c.SilenceUsage = true, true
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			dir, _ := cmd.Flags().GetString("data-dir") // each has it
			if cmd.Name() != "restore" {
				if err := datadir.MustExist(datadir.Config{Dir: dir, Database: l.cfg.Database}); err != nil {
					return err
				}
			}
			return asBefore(dir, func() error { return run(cmd, args) })
		}
	}
	return list
}

// call does it on the server and prints what it says.
func (l *local) call(cmd *cobra.Command, do string, args map[string]string) error {
	lines, err := daemon.Administer(cmd.Context(), l.cfg, daemon.AdminCall{Do: do, Args: args})
	for _, line := range lines {
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
	return err
}

func (l *local) firstPassword() *cobra.Command {
	var forget bool
	c := &cobra.Command{Use: "first-password", Short: "Show the first user's password, until somebody has logged in with it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if forget {
				return l.call(cmd, "first-password", map[string]string{"forget": "true"})
			}
			if err := l.call(cmd, "first-password", nil); err != nil {
				return err
			}
			if !isTerminal(os.Stdin) || !isTerminal(cmd.OutOrStdout()) {
				return nil
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "It is the password of %s. Noted? Then it is not shown again. yes/no: ", auth.FirstUser)
			if answer, _ := bufio.NewReader(os.Stdin).ReadString('\n'); strings.TrimSpace(answer) != "yes" {
				return nil
			}
			return l.call(cmd, "first-password", map[string]string{"forget": "true"})
		}}
	c.Flags().BoolVar(&forget, "forget", false, "do not show it: it is noted, forget it")
	return c
}

func (l *local) passwd() *cobra.Command {
	return &cobra.Command{Use: "passwd [user]", Short: "Set a user's password, whether the server runs or not, and revoke their tokens", Args: cobra.MaximumNArgs(1),
		Long: "Set a user's password and revoke their tokens. The password is asked for, or is the first line of standard input.",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := auth.FirstUser
			if len(args) > 0 {
				name = args[0]
			}
			p, err := secretLine(cmd, "New password of "+name+": ", true)
			if err != nil {
				return err
			}
			return l.call(cmd, "passwd", map[string]string{"user": name, "password": p})
		}}
}

func (l *local) adopt() *cobra.Command {
	var parts []string
	c := &cobra.Command{Use: "adopt --accept-loss=PART,...", Short: "Accept that parts of the data directory are lost: the next start makes them anew", Args: cobra.NoArgs,
		Long: "Accept that parts of the data directory are lost. The next start makes them anew, moves what is left of them aside, and writes it into the audit. Parts are " +
			strings.Join(datadir.Parts(), ", ") + "; " + datadir.PartNewer + " accepts a database that is an older copy.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := daemon.AcceptLoss(cmd.Context(), l.cfg, parts, localUser())
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "accepted: the next start goes on without %s\n", strings.Join(parts, ", "))
			}
			return err
		}}
	c.Flags().StringSliceVar(&parts, "accept-loss", nil, "parts that are lost for good")
	return c
}

func (l *local) activate() *cobra.Command {
	var dry, dead, despite, accept bool
	c := &cobra.Command{Use: "activate", Short: "Let a server that was restored act: the old one is dead", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.call(cmd, "activate", map[string]string{"dry-run": strconv.FormatBool(dry), "old-server-is-dead": strconv.FormatBool(dead),
				"despite-old-server": strconv.FormatBool(despite), "accept-unreported": strconv.FormatBool(accept)})
		}}
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&dead, "old-server-is-dead", false, "state that the old server is dead, where its addresses are not known")
	c.Flags().BoolVar(&despite, "despite-old-server", false, "activate though the old server answers: it is kept from machines and their BMCs otherwise")
	c.Flags().BoolVar(&accept, "accept-unreported", false, "on an active server: take machines whose agents have not said what they run for what the backup says")
	return c
}

func (l *local) rotate() *cobra.Command {
	var overlap time.Duration
	c := &cobra.Command{Use: "rotate ca|token-key|master-key", Short: "Replace a key of the running server; the old one is accepted for a while", Args: cobra.ExactArgs(1),
		ValidArgs: []string{"ca", "token-key", "master-key"},
		RunE: func(cmd *cobra.Command, args []string) error {
			said := ""
			if cmd.Flags().Changed("overlap") {
				said = overlap.String()
			}
			return l.call(cmd, "rotate", map[string]string{"what": args[0], "overlap": said})
		}}
	c.Flags().DurationVar(&overlap, "overlap", 0, "how long the old one is accepted, 0s: no longer; default: token-key 3 years and a day, ca until it expires")
	return c
}

func (l *local) auditCheck() *cobra.Command {
	return &cobra.Command{Use: "audit-check", Short: "Check that no record was taken out of the audit", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, breaks, err := auth.CheckAudit((datadir.Config{Dir: l.cfg.DataDir}).At(datadir.AuditDir))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d records\n", n)
			if len(breaks) > 0 {
				return fmt.Errorf("the chain is broken at %s: a record is missing or changed, or the server crashed while it wrote", strings.Join(breaks, ", "))
			}
			return nil
		}}
}

// sayFirst tells whoever starts the server at a terminal the first password.
// What stands elsewhere, as in a journal, is read by others.
func sayFirst(stdout io.Writer, d *daemon.Daemon, dir string) {
	p, err := d.Unshown()
	switch {
	case err != nil:
		fmt.Fprintf(stdout, "first user: %v\n", err)
	case p == "":
	case isTerminal(stdout):
		fmt.Fprintf(stdout, "first start: user %s, password %s (shown until the first login; change it with drpcli users password)\n", auth.FirstUser, p)
	default:
		fmt.Fprintf(stdout, "first start: user %s; show the password on this host: drpd first-password --data-dir %s\n", auth.FirstUser, dir)
	}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// secretLine asks for a secret at the terminal, twice if it is a new one, or
// reads the first line of standard input.
func secretLine(cmd *cobra.Command, prompt string, twice bool) (string, error) {
	if !isTerminal(os.Stdin) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.Join(fmt.Errorf("%s: no terminal, and standard input is empty: give it in its first line", strings.TrimSuffix(prompt, ": ")), ignoreEOF(err))
		}
		return line, nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(b), err
	}
	one, err := ask(prompt)
	if err != nil || !twice {
		return one, err
	}
	two, err := ask("Again: ")
	if err == nil && one != two {
		err = errors.New("they differ: nothing was done")
	}
	return one, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func localUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
