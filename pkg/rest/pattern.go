package rest

import (
	"strings"

	"drpd/pkg/resource"
)

// pattern is a registration <type>.<action>.<key>: each part a comma list or
// "*". \1, \2 and \3 stand for a dot, a comma and a star.
type pattern struct {
	text  string
	parts [3][]string // nil: anything
}

const maxPatternLen = 1024

func parsePattern(s string) (pattern, error) {
	p := pattern{text: s}
	if len(s) > maxPatternLen {
		return p, resource.Errorf(resource.Malformed, "", "", "the pattern has %d bytes, %d at most", len(s), maxPatternLen)
	}
	parts := strings.SplitN(s, ".", 3)
	if len(parts) != 3 {
		return p, resource.Errorf(resource.Malformed, "", "", "pattern %q is not <type>.<action>.<key>", s)
	}
	plain := strings.NewReplacer(`\1`, ".", `\2`, ",", `\3`, "*")
	for i, part := range parts {
		var words []string
		for w := range strings.SplitSeq(part, ",") {
			if w == "*" {
				words = nil
				break
			}
			if w == "" {
				return p, resource.Errorf(resource.Malformed, "", "", "pattern %q has an empty part; use * for anything", s)
			}
			words = append(words, plain.Replace(w))
		}
		p.parts[i] = words
	}
	return p, nil
}

// EventPattern reads a registration such as machines.create.*, for those who
// look for the same events as a websocket would.
func EventPattern(s string) (func(resource.Event) bool, error) {
	p, err := parsePattern(s)
	return p.matches, err
}

func (p pattern) matches(e resource.Event) bool {
	for i, v := range []string{e.Type, e.Action, e.Key} {
		if !oneOf(p.parts[i], v) {
			return false
		}
	}
	return true
}

func oneOf(words []string, v string) bool {
	if words == nil {
		return true
	}
	for _, w := range words {
		if w == v {
			return true
		}
	}
	return false
}
