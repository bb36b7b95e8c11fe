package driver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// Class says what kind of trouble an error is, and so who can cure it.
type Class string

// The classes of error.
const (
	ClassUnreachable Class = "unreachable" // silence, refusal, no route, timeout: try again
	ClassAuth        Class = "auth"        // credentials or rights are wrong: do not try again
	ClassUnsupported Class = "unsupported" // the controller (or this server) cannot do it
	ClassLied        Class = "lied"        // accepted and not done; wraps ErrLied
	ClassOther       Class = "other"
)

// maxDetail limits how much of a controller's own words an error repeats, in bytes.
const maxDetail = 512

// Error is every error of this package. It wraps ErrLied, context.Canceled and
// context.DeadlineExceeded only: what libraries and controllers say is kept as
// text, with the credentials taken out.
type Error struct {
	Class    Class
	Op       string // what was tried: "open", "set power on"
	Address  string // host:port
	Protocol string // ModeRedfish or ModeIPMI
	Detail   string // what went wrong
	Cure     string // what an operator can do; may be empty
	err      error
}

// Error names address, protocol, operation, cause and cure.
func (e *Error) Error() string {
	text := fmt.Sprintf("bmc %s over %s: %s: %s (%s)", e.Address, e.Protocol, e.Op, e.Detail, e.Class)
	if e.Cure != "" {
		text += "; " + e.Cure
	}
	return text
}

// Unwrap returns ErrLied or the context's error, or nil.
func (e *Error) Unwrap() error { return e.err }

// ClassOf returns the class of err: ClassOther for errors not of this package,
// "" for nil.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	}
	return ClassOther
}

// ErrLied says that the controller accepted an order and did not carry it out.
type ErrLied struct {
	Wanted   string // the order: a Want, or "boot once from pxe"
	Reported string // what the controller reported when time was over
}

// Error tells what was wanted and what was reported instead.
func (e ErrLied) Error() string {
	return fmt.Sprintf("accepted %q but still reports %q", e.Wanted, e.Reported)
}

// reporter makes errors about one target, without its secrets.
type reporter struct {
	address  string
	protocol string
	secrets  *strings.Replacer
}

func newReporter(t Target) reporter {
	return reporter{address: t.hostPort(), protocol: t.Mode, secrets: redactor(t.User, t.Password)}
}

// redactor hides the password in each form in which a controller or a library
// could echo it.
func redactor(user, password string) *strings.Replacer {
	if password == "" {
		return strings.NewReplacer()
	}
	quoted, err := json.Marshal(password)
	if err != nil {
		quoted = []byte(`""`)
	}
	forms := []string{
		base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
		password, url.QueryEscape(password), url.PathEscape(password),
	}
	if inner := string(quoted[1 : len(quoted)-1]); inner != "" {
		forms = append(forms, inner)
	}
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, "[redacted]")
	}
	return strings.NewReplacer(pairs...)
}

// fail makes an Error of err's text, redacted before it is cut so that no half of
// a password is left over. An err that is one already passes through.
func (r reporter) fail(class Class, op, cure string, err error) error {
	var done *Error
	if errors.As(err, &done) {
		return done
	}
	e := &Error{Class: class, Op: op, Address: r.address, Protocol: r.protocol, Cure: cure, err: sentinel(err)}
	e.Detail = r.clean(err.Error())
	return e
}

func (r reporter) clean(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, r.secrets.Replace(text))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "..."
	}
	return text
}

// sentinel returns the part of err that is safe to hand on.
func sentinel(err error) error {
	var lied ErrLied
	switch {
	case errors.As(err, &lied):
		return lied
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return nil
}
