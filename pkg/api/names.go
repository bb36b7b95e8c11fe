package api

import (
	"fmt"
	"regexp"
)

// problems collects sentences for the user.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

type grammar struct {
	re   *regexp.Regexp
	says string
}

// Name grammars, as DRP has them; 255 bytes at most.
var (
	plainName   = grammar{regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_. -]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.' and spaces"}
	machineName = grammar{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`), "must start with a letter or digit and hold only letters, digits, '-', '_' and '.'"}
	userName    = grammar{regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.@ -]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.', '@' and spaces"}
	paramName   = grammar{regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./ -]*$`), "must start with a letter and hold only letters, digits, '-', '_', '.', '/' and spaces"}
	templateID  = grammar{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./ -]*$`), "must start with a letter or digit and hold only letters, digits, '-', '_', '.', '/' and spaces"}
)

func (p *problems) name(field, value string, g grammar) {
	switch {
	case value == "":
		p.add("%s is empty", field)
	case len(value) > 255:
		p.add("%s has %d bytes, 255 at most", field, len(value))
	case !g.re.MatchString(value):
		p.add("%s %q %s", field, value, g.says)
	}
}
