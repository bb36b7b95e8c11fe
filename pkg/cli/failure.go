package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes; "drpcli exit-codes" prints their meaning.
const (
	exitDone        = 0
	exitOther       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitDenied      = 5
	exitUnreachable = 6
	exitTimeout     = 7
	exitWorkFailed  = 8
	exitSomeFailed  = 9
	exitUnchanged   = 10
	exitInterrupted = 130
)

var exitMeaning = []struct {
	Code    int
	Meaning string
}{
	{exitDone, "done"},
	{exitOther, "another failure"},
	{exitUsage, "wrong usage, or missing or invalid input"},
	{exitNotFound, "not found"},
	{exitRefused, "refused by state: live, locked, protected, in use, or changed meanwhile"},
	{exitDenied, "not logged in, or not allowed"},
	{exitUnreachable, "server unreachable, or its certificate is not the known one"},
	{exitTimeout, "timed out; the work goes on"},
	{exitWorkFailed, "the work itself failed"},
	{exitSomeFailed, "some items failed"},
	{exitUnchanged, "nothing to change (with --fail-if-unchanged)"},
	{exitInterrupted, "interrupted; the work goes on"},
}

// failure is an error as the user sees it: what went wrong, in which attempt,
// why, and the command that mends it. All but what may be empty.
type failure struct {
	code    int
	status  int      // HTTP, 0 if no reply
	what    string   // of the server's: TYPE: model/key
	says    []string // the server's messages
	doing   string
	cause   string
	fix     string
	request string
}

func (f *failure) Error() string {
	what := f.message()
	if f.doing != "" {
		what = f.doing + ": " + what
	}
	return what
}

// message is what the server or drpcli says, on one line.
func (f *failure) message() string {
	if len(f.says) == 0 {
		return f.what
	}
	return f.what + ": " + strings.Join(f.says, "; ")
}

// usage is wrong input to one command.
func usage(c *cobra.Command, format string, args ...any) *failure {
	return &failure{code: exitUsage, what: fmt.Sprintf(format, args...), fix: strings.TrimPrefix(c.UseLine(), " ")}
}

func failf(code int, format string, args ...any) *failure {
	return &failure{code: code, what: fmt.Sprintf(format, args...)}
}

// about puts what was tried in front of a failure.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	g := *f
	if g.doing != "" {
		what += ": " + g.doing
	}
	g.doing = what
	return &g
}

// asFailure classes any error.
func asFailure(err error) *failure {
	f, ok := errors.AsType[*failure](err)
	switch {
	case ok:
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return failf(exitTimeout, "%v", err)
	case errors.Is(err, context.Canceled):
		return failf(exitInterrupted, "interrupted")
	}
	f = failf(exitOther, "%v", err)
	for _, sign := range []string{"accepts ", "requires at least", "unknown command", "unknown flag"} {
		if strings.Contains(f.what, sign) {
			f.code = exitUsage
		}
	}
	return f
}

// report writes an error and returns its exit code. Its first line is the one
// that DRP's scripts look for.
func (s *session) report(err error) int {
	f := asFailure(err)
	if s.flags.format == "json" {
		data, _ := json.Marshal(map[string]any{"error": plain(f.message()), "doing": plain(f.doing), "cause": plain(f.cause), "fix": plain(f.fix),
			"request": f.request, "code": f.code, "status": f.status})
		fmt.Fprintln(s.err, string(data))
		return f.code
	}
	first := f.message()
	if len(f.says) > 1 {
		first = f.what + "\n  " + strings.Join(f.says, "\n  ")
	}
	fmt.Fprintln(s.err, s.paint(s.errTTY, red, "Error:"), plain(first))
	for _, l := range []struct{ label, text string }{{"doing:", f.doing}, {"cause:", f.cause}, {"fix:", f.fix}, {"request:", f.request}} {
		if l.text != "" {
			fmt.Fprintln(s.err, l.label, plain(l.text))
		}
	}
	return f.code
}

// ofStatus is the one table from HTTP to exit codes.
func ofStatus(status int) int {
	switch status {
	case 404, 410:
		return exitNotFound
	case 401, 403:
		return exitDenied
	case 409, 412:
		return exitRefused
	case 400, 406, 413, 415, 422:
		return exitUsage
	case 502, 503, 504:
		return exitUnreachable
	}
	return exitOther
}

func (s *session) exitCodesCmd() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "List what the exit codes mean.", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, e := range exitMeaning {
				if err := s.line("%4d  %s", e.Code, e.Meaning); err != nil {
					return err
				}
			}
			return nil
		}, Example: "  drpcli exit-codes"}
}
