package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// session is one run of drpcli: its streams, settings and connection.
type session struct {
	cfg    Config
	env    map[string]string
	in     *bufio.Reader
	inFD   int // -1 if standard input is no terminal
	out    io.Writer
	err    io.Writer
	outTTY bool
	errTTY bool
	width  int
	flags  flags
	link   *conn
}

// flags are those that every command has.
type flags struct {
	endpoint, user, password, token, site string
	format, fields, color                 string
	ref                                   string
	noHeader, force, quiet, verbose       bool
	silent, strict                        bool
	yes                                   string
	timeout                               time.Duration
}

func newSession(cfg Config, env []string, in io.Reader, out, errw io.Writer) *session {
	s := &session{cfg: cfg, env: map[string]string{}, in: bufio.NewReader(in), inFD: -1, out: out, err: errw, width: 120}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		s.env[k] = v
	}
	if fd, ok := terminal(in); ok {
		s.inFD = fd
	}
	fd, ok := terminal(out)
	s.outTTY = ok
	if ok {
		if w, _, err := term.GetSize(fd); err == nil && w > 20 {
			s.width = w
		}
	}
	_, ok = terminal(errw)
	s.errTTY = ok && s.env["TERM"] != "dumb"
	return s
}

func terminal(stream any) (int, bool) {
	f, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

func (f *flags) declare(p *pflag.FlagSet, env map[string]string) {
	p.SortFlags = false
	p.StringVarP(&f.endpoint, "endpoint", "E", "", "server, such as https://drpd:8092 (RS_ENDPOINT)")
	p.StringVarP(&f.user, "username", "U", "", "user name (RS_KEY=user:password)")
	p.StringVarP(&f.password, "password", "P", "", "password; - reads a line from standard input (RS_KEY)")
	p.StringVarP(&f.token, "token", "T", "", "token instead of a user (RS_TOKEN)")
	p.StringVar(&f.site, "site", "", "site from the configuration (RS_SITE)")
	p.StringVarP(&f.format, "output", "o", "", "table, wide, json, yaml or name (RS_FORMAT); default: table on a terminal, else json")
	p.StringVarP(&f.format, "format", "F", "", "the same as --output")
	p.StringVarP(&f.fields, "columns", "J", "", "fields for table output, separated by commas, such as Name,Meta.color,Params.ipmi/address")
	p.BoolVarP(&f.noHeader, "no-header", "H", false, "no heading above tables")
	p.StringVar(&f.color, "color", "auto", "auto, always or never (NO_COLOR)")
	p.BoolVarP(&f.force, "force", "f", false, "let the server relax its checks")
	p.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "print requests, without secrets")
	p.BoolVar(&f.silent, "silent", false, "ask nothing")
	p.StringVar(&f.yes, "yes", "", "confirm: the name of what shall be destroyed")
	p.BoolVar(&f.strict, "fail-if-unchanged", false, "exit 10 if there was nothing to change")
	p.DurationVar(&f.timeout, "timeout", 0, "give up waiting after this time; the work goes on")
	_ = p.MarkHidden("format")
	if f.format = env["RS_FORMAT"]; f.format == "text" {
		f.format = "table"
	}
}

func (f *flags) check(c *cobra.Command) error {
	switch f.format {
	case "", "table", "wide", "json", "yaml", "name", "jsonl":
	default:
		return usage(c, "output format %q is not known; use table, wide, json, yaml or name", f.format)
	}
	switch f.color {
	case "auto", "always", "never":
		return nil
	}
	return usage(c, "--color is auto, always or never, not %q", f.color)
}

// ask puts a question to the person at the terminal; ok is false if there is
// nobody to ask.
func (s *session) ask(question string) (answer string, ok bool, err error) {
	if s.inFD < 0 || !s.errTTY || s.flags.silent {
		return "", false, nil
	}
	fmt.Fprint(s.err, question)
	answer, err = s.readLine()
	return answer, true, err
}

// readLine reads one line of standard input.
func (s *session) readLine() (string, error) {
	l, err := s.in.ReadString('\n')
	if err != nil && l == "" {
		return "", failf(exitUsage, "standard input is empty where a line was wanted")
	}
	return strings.TrimRight(l, "\r\n"), nil
}

// secret reads a password: from standard input for "-", else from a prompt
// that does not show it.
func (s *session) secret(given, prompt string) (string, error) {
	switch {
	case given == "-":
		return s.readLine()
	case given != "":
		return given, nil
	case s.inFD < 0 || !s.errTTY || s.flags.silent:
		return "", &failure{code: exitUsage, what: "a password is needed and there is no terminal to ask on", fix: "give it as a line on standard input with -P -, or set RS_KEY=user:password"}
	}
	fmt.Fprint(s.err, prompt)
	b, err := term.ReadPassword(s.inFD)
	fmt.Fprintln(s.err)
	if err != nil {
		return "", fmt.Errorf("read the password from the terminal: %w", err)
	}
	return string(b), nil
}

// confirm lets a destructive verb go on only if its target was named: typed at
// the terminal, or given as --yes.
func (s *session) confirm(verb, kind, name string) error {
	fix := fmt.Sprintf("drpcli %s %s %s --silent --yes %s", kind, verb, name, name)
	got := s.flags.yes
	if got == "" {
		answer, asked, err := s.ask(fmt.Sprintf("Type the name %q to %s it: ", name, verb))
		if err != nil {
			return err
		}
		if !asked {
			return &failure{code: exitUsage, what: fmt.Sprintf("%s %s needs a confirmation", verb, name), cause: "there is no terminal to ask on", fix: fix}
		}
		got = answer
	}
	if got != name {
		return &failure{code: exitUsage, what: fmt.Sprintf("%s %s: the name given is %q; nothing was done", verb, name, got), fix: fix}
	}
	return s.confirmSite(verb)
}

// confirmSite guards production sites against a forgotten environment.
func (s *session) confirmSite(verb string) error {
	name, site, err := s.site()
	if err != nil || !site.Production || s.flags.site != "" || !s.flags.silent {
		return err
	}
	return &failure{code: exitUsage, what: verb + ": site " + name + " is production", fix: "name it on the command line: --site " + name}
}

// note writes one line for people, unless they want quiet.
func (s *session) note(format string, args ...any) {
	if !s.flags.quiet {
		fmt.Fprintln(s.err, plain(fmt.Sprintf(format, args...)))
	}
}

func (s *session) line(format string, args ...any) error {
	_, err := fmt.Fprintln(s.out, plain(fmt.Sprintf(format, args...)))
	return err
}
