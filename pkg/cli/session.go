package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

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
	steps  []planStep
	alive  string // the one of RS_ENDPOINTS that answered
}

// flags are those that every command has.
type flags struct {
	endpoint, user, password, token, site string
	format, fields, color, planOut        string
	ref, yes, via                         string
	noHeader, force, quiet, verbose       bool
	silent, strict, dryRun                bool
	exitEarly, noToken, noColor           bool
	truncate                              int
	trace, traceToken                     string
	downloadProxy, catalog                string
	timeout                               time.Duration
}

func newSession(cfg Config, env []string, in io.Reader, out, errw io.Writer) *session {
	s := &session{cfg: cfg, env: map[string]string{}, in: bufio.NewReader(in), inFD: -1, out: out, err: errw, width: 120}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		s.env[k] = v
	}
	s.readRC()
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
