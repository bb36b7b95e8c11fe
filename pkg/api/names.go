package api

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"drpd/pkg/resource"
)

// problems collects sentences for the user.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// grammar is what a name may hold beside letters and digits. It is not a
// regular expression, because every save of a machine checks dozens of names.
type grammar struct {
	digitFirst bool
	extra      string
	says       string
}

// Name grammars, as DRP has them: letters and digits of any script. DRP wants
// two characters at least, drpd takes one; 255 bytes at most.
var (
	plainName    = grammar{false, "-_. ", "must start with a letter and hold only letters, digits, '-', '_', '.' and spaces"}
	machineName  = grammar{true, "-_. ", "must start with a letter or digit and hold only letters, digits, '-', '_', '.' and spaces"}
	userName     = grammar{false, "-_. @", "must start with a letter and hold only letters, digits, '-', '_', '.', '@' and spaces"}
	paramName    = grammar{false, "-_. /", "must start with a letter and hold only letters, digits, '-', '_', '.', '/' and spaces"}
	templateID   = grammar{true, "-_. /", "must start with a letter or digit and hold only letters, digits, '-', '_', '.', '/' and spaces"}
	endpointName = grammar{true, "-_. :", "must start with a letter or digit and hold only letters, digits, '-', '_', '.', ':' and spaces"}
	catalogName  = grammar{true, "-_. :+~@", "must start with a letter or digit and hold only letters, digits, '-', '_', '.', ':', '+', '~', '@' and spaces"}
)

func (g grammar) fits(name string) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > unicode.MaxASCII && unicode.IsLetter(c):
		case unicode.IsNumber(c):
			if i == 0 && !g.digitFirst {
				return false
			}
		case i == 0 || !strings.ContainsRune(g.extra, c):
			return false
		}
	}
	return name != ""
}

// name checks one name; the message starts as DRP's does.
func (p *problems) name(field, value string, g grammar) {
	switch {
	case value == "":
		p.add("Invalid %s ``: it is empty", field)
	case len(value) > 255:
		p.add("Invalid %s `%.40s...`: it has %d bytes, 255 at most", field, value, len(value))
	case !g.fits(value):
		p.add("Invalid %s `%s`: it %s", field, value, g.says)
	}
}

func (p *problems) optional(field, value string) {
	if value != "" {
		p.name(field, value, plainName)
	}
}

func (p *problems) names(field string, values []string, g grammar) {
	for _, v := range values {
		p.name(field, v, g)
	}
}

// oneOf checks a word; "" always fits.
func (p *problems) oneOf(field, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		p.add("%s `%.40s` is none of %s", field, value, strings.Join(words, ", "))
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
	for name := range params {
		p.name("Param Name", name, paramName)
	}
	slices.Sort(p)
	return p
}

func paramKeys(params resource.Params) []string { return slices.Sorted(maps.Keys(params)) }

// NameProblems says what is wrong with a name of the plainest grammar.
func NameProblems(field, value string) []string {
	var p problems
	p.name(field, value, plainName)
	return p
}

// MAC reads a MAC address as people and firmware write it: six bytes with
// colons, hyphens or nothing between them, or four digits to a dot, in either
// case, and with PXELINUX's 01- before it. It returns the one form that is
// stored: lower case with colons.
func MAC(s string) (mac string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) == 20 && strings.HasPrefix(s, "01-") {
		s = s[3:]
	}
	if len(s) == 12 {
		var b strings.Builder
		for i := 0; i < 12; i += 2 {
			if i > 0 {
				b.WriteByte(':')
			}
			b.WriteString(s[i : i+2])
		}
		s = b.String()
	}
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return "", false
	}
	return hw.String(), true
}

// spelledMAC is MAC for texts that need not be one: those are left in lower case.
func spelledMAC(s string) string {
	if mac, ok := MAC(s); ok {
		return mac
	}
	return strings.ToLower(s)
}
