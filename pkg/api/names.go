package api

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// problems collects sentences for the user.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

type grammar struct {
	re   *regexp.Regexp
	says string
}

// Name grammars, as DRP has them: letters and digits of any script. DRP wants
// two characters at least, drpd takes one; 255 bytes at most.
var (
	plainName    = grammar{regexp.MustCompile(`^\pL[-\pL\pN _.]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.' and spaces"}
	machineName  = grammar{regexp.MustCompile(`^[\pL\pN][-\pL\pN _.]*$`), "must start with a letter or digit and hold only letters, digits, '-', '_', '.' and spaces"}
	userName     = grammar{regexp.MustCompile(`^\pL[-\pL\pN _.@]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.', '@' and spaces"}
	paramName    = grammar{regexp.MustCompile(`^\pL[-\pL\pN _./]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.', '/' and spaces"}
	templateID   = grammar{regexp.MustCompile(`^[\pL\pN][-\pL\pN _./]*$`), "must start with a letter or digit and hold only letters, digits, '-', '_', '.', '/' and spaces"}
	endpointName = grammar{regexp.MustCompile(`^[\pL\pN][-\pL\pN _.:]*$`), "must start with a letter or digit and hold only letters, digits, '-', '_', '.', ':' and spaces"}
	anyName      = grammar{regexp.MustCompile(`^[^/\pC]+$`), "must not hold '/' or control characters"}
)

// name checks one name; the message starts as DRP's does.
func (p *problems) name(field, value string, g grammar) {
	switch {
	case value == "":
		p.add("Invalid %s ``: it is empty", field)
	case len(value) > 255:
		p.add("Invalid %s `%.40s...`: it has %d bytes, 255 at most", field, value, len(value))
	case !g.re.MatchString(value):
		p.add("Invalid %s `%s`: it %s", field, value, g.says)
	}
}

func (p *problems) uuid(field, value string) {
	if _, err := uuid.Parse(value); err != nil {
		p.add("%s %q is not a UUID", field, value)
	}
}

func identified(id string, g grammar) []string {
	p := problems{}
	p.name("Id", id, g)
	return p
}

// paramNames checks the names in a map of params.
func paramNames(params resource.Params) []string {
	p := problems{}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p.name("param", name, paramName)
	}
	return p
}

// boolean is an index of a truth value.
func boolean[T any](name string, of func(*T) bool) resource.Index[T] {
	return resource.Index[T]{Name: name, Type: "boolean", Of: func(o *T) []string { return []string{strconv.FormatBool(of(o))} }}
}

// timeIndex is an index of an instant, none while it is zero.
func timeIndex[T any](name string, of func(*T) time.Time) resource.Index[T] {
	return resource.Index[T]{Name: name, Type: "dateTime", Scan: true, Of: func(o *T) []string {
		if t := of(o); !t.IsZero() {
			return []string{t.UTC().Format(time.RFC3339Nano)}
		}
		return nil
	}}
}
