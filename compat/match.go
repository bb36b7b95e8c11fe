package main

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// kinds are the placeholders of expectations.
var kinds = map[string]string{
	"uuid": `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"time": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`,
	"hex":  `[0-9a-f]+`,
	"int":  `-?\d+`,
	"any":  `.*?`,
}

var placeholder = regexp.MustCompile(`<(uuid|time|hex|int|any)(?::([A-Za-z][A-Za-z0-9]*))?>`)

// match says how the lines differ from what was wanted, "" if they do not,
// and remembers named placeholders in vars.
func match(want, got []string, vars map[string]string) string {
	found := maps.Clone(vars)
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return fmt.Sprintf("line %d is one too many: %q", i+1, got[i])
		case i >= len(got):
			return fmt.Sprintf("line %d is missing: %q", i+1, want[i])
		}
		if !matchLine(expand(want[i], found), got[i], found) {
			return fmt.Sprintf("line %d\n    want %q\n    got  %q", i+1, expand(want[i], found), got[i])
		}
	}
	maps.Copy(vars, found)
	return ""
}

func matchLine(want, got string, vars map[string]string) bool {
	if want == strings.TrimRight(got, " \t") || want == got {
		return true
	}
	var re strings.Builder
	var names []string
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		re.WriteString(regexp.QuoteMeta(want[last:m[0]]) + "(" + kinds[want[m[2]:m[3]]] + ")")
		name := ""
		if m[4] >= 0 {
			name = want[m[4]:m[5]]
		}
		names, last = append(names, name), m[1]
	}
	if len(names) == 0 {
		return false
	}
	re.WriteString(regexp.QuoteMeta(want[last:]))
	found := regexp.MustCompile("^" + re.String() + "$").FindStringSubmatch(got)
	for i, name := range names {
		if name != "" && found != nil {
			vars[name] = found[i+1]
		}
	}
	return found != nil
}

func expand(s string, vars map[string]string) string {
	for name, v := range vars {
		s = strings.ReplaceAll(s, "${"+name+"}", v)
	}
	return s
}

var volatile = regexp.MustCompile(kinds["uuid"] + "|" + kinds["time"])

// generalize makes an expectation of what was printed: known values become
// their names, other UUIDs and times placeholders. Values that the commands
// of the scenario name stay as they are.
func generalize(line string, vars map[string]string, given string) string {
	for name, v := range vars {
		if len(v) >= 4 {
			line = strings.ReplaceAll(line, v, "${"+name+"}")
		}
	}
	return volatile.ReplaceAllStringFunc(line, func(v string) string {
		switch {
		case strings.Contains(given, v) || strings.Trim(v, "0-") == "" || strings.HasPrefix(v, "0001-"):
			return v
		case len(v) == 36 && v[8] == '-':
			return "<uuid>"
		}
		return "<time>"
	})
}
