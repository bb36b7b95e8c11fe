package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide help is drawn, at most.
const helpWidth = 100

// help writes at most 40 lines about a command.
func (s *session) help(c *cobra.Command) {
	w := s.out
	fmt.Fprintln(w, c.Short)
	if c.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	if c.Runnable() && !c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nUsage:\n  %s\n", c.UseLine())
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(w, "\nAlso called: %s\n", strings.Join(c.Aliases, ", "))
	}
	s.helpVerbs(w, c)
	helpFlags(w, c)
	if c.CommandPath() == "drpcli filters" {
		helpFilters(w)
	}
	if c.HasParent() {
		fmt.Fprintln(w, "\nFlags of every command: drpcli --help. Exit codes: drpcli exit-codes.")
	}
}

func (s *session) helpVerbs(w io.Writer, c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	if !c.HasParent() {
		for _, g := range c.Groups() {
			var names []string
			for _, sub := range c.Commands() {
				if sub.GroupID == g.ID && sub.IsAvailableCommand() || g.ID == "work" && sub.Name() == "help" {
					names = append(names, sub.Name())
				}
			}
			fmt.Fprintf(w, "\n%s:\n%s", g.Title, wrap(names, 2))
		}
		return
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	fmt.Fprintf(w, "\nVerbs (%s <verb> --help):\n", c.CommandPath())
	if len(names) > 12 {
		fmt.Fprint(w, wrap(names, 2))
		return
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(w, "  %-14s %s\n", sub.Name(), sub.Short)
		}
	}
}

func wrap(words []string, indent int) string {
	var b strings.Builder
	pad := strings.Repeat(" ", indent)
	line := pad
	for _, w := range words {
		if len(line)+len(w)+2 > helpWidth-15 {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = pad
		}
		line += w + "  "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

func helpFlags(w io.Writer, c *cobra.Command) {
	set := c.LocalNonPersistentFlags()
	if !c.HasParent() {
		set = c.PersistentFlags()
	}
	title := "\nFlags:\n"
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		short := "    "
		if f.Shorthand != "" {
			short = "-" + f.Shorthand + ", "
		}
		fmt.Fprintf(w, "%s  %s--%-10s %s\n", title, short, f.Name, f.Usage)
		title = ""
	})
}

// examples are three lines for each group that people start with.
func examples(kind string) string {
	switch kind {
	case "machines":
		return "  drpcli machines create n1 HardwareAddrs=52:54:00:00:00:01 ipmi/address=10.0.0.9 ipmi/username=admin ipmi/password=@secret\n" +
			"  drpcli machines list Pool=default PoolStatus=Free\n  drpcli machines await n1 WorkflowComplete=true --timeout 30m"
	case "clusters":
		return "  drpcli clusters create web cluster/count=3\n  drpcli clusters status web\n  drpcli clusters destroy web"
	case "work_orders":
		return "  drpcli work_orders run restart-app on n1 app/name=web\n  drpcli work_orders run patch --filter 'cluster/tags=In(worker)' --all\n  drpcli work_orders list State=failed"
	case "jobs":
		return "  drpcli jobs list State=failed\n  drpcli jobs log 3b7e8a12 --follow\n  drpcli jobs show 3b7e8a12"
	case "contents":
		return "  drpcli contents upload pack.yaml\n  drpcli contents list\n  drpcli contents show my-pack"
	case "files":
		return "  drpcli files upload ./vmlinuz as kernels/vmlinuz\n  drpcli files list\n  drpcli files download kernels/vmlinuz to ./vmlinuz"
	}
	return ""
}
