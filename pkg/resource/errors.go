package resource

import (
	"errors"
	"fmt"
	"strings"
)

// Code classes an error by what its reader will do next.
type Code string

// The classes. Anything that is not an *Error is internal.
const (
	NotFound    Code = "NotFound"    // no such object
	Conflict    Code = "Conflict"    // exists, in use, or changed meanwhile
	Invalid     Code = "Invalid"     // the object breaks a rule: correct it
	Malformed   Code = "Malformed"   // the request cannot be read at all
	Forbidden   Code = "Forbidden"   // known, but not allowed
	Refused     Code = "Refused"     // the object's state does not allow it now
	Unavailable Code = "Unavailable" // try again later
)

// Error says what was wrong with which object, in sentences for a user.
type Error struct {
	Code      Code
	Kind, Key string
	Msgs      []string
}

func (e *Error) Error() string {
	where := e.Kind
	if e.Key != "" {
		where += "/" + e.Key
	}
	if where == "" {
		return strings.Join(e.Msgs, "; ")
	}
	return where + ": " + strings.Join(e.Msgs, "; ")
}

// Errorf makes an Error with one sentence.
func Errorf(code Code, kind, key, format string, args ...any) *Error {
	return &Error{Code: code, Kind: kind, Key: key, Msgs: []string{fmt.Sprintf(format, args...)}}
}

// CodeOf returns the class of err, "" for an internal error.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
