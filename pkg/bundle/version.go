package bundle

import (
	"fmt"
	"strconv"
	"strings"
)

// version is major, minor and patch. What follows a hyphen or a plus sign in
// its text does not count, as in DRP.
type version [3]int

// parseVersion reads v1.2.3; missing parts are 0, nothing at all is 0.0.0.
func parseVersion(s string) (version, error) {
	p, err := parsePartial(s)
	if err == nil && p.wild {
		return version{}, fmt.Errorf("version %q is not complete", s)
	}
	return p.v, err
}

// partial is a version of which only the first parts may be given.
type partial struct {
	v     version
	parts int // how many are given
	wild  bool
}

func parsePartial(s string) (partial, error) {
	var p partial
	text := strings.TrimPrefix(strings.TrimSpace(s), "v")
	text, _, _ = strings.Cut(text, "+")
	text, _, _ = strings.Cut(text, "-")
	if text == "" {
		return p, nil
	}
	list := strings.Split(text, ".")
	if len(list) > 3 {
		return p, fmt.Errorf("version %q has more than three parts", s)
	}
	for i, part := range list {
		if part == "x" || part == "X" || part == "*" {
			p.wild = true
			continue
		}
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || p.wild {
			return p, fmt.Errorf("version %q: want numbers such as v1.2.3", s)
		}
		p.v[i] = int(n)
		p.parts = i + 1
	}
	return p, nil
}

func (v version) String() string { return fmt.Sprintf("v%d.%d.%d", v[0], v[1], v[2]) }

func (v version) less(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

// after is the first version that does not share the first n parts.
func (v version) after(n int) version {
	if n == 0 {
		return version{1 << 31, 0, 0}
	}
	var out version
	copy(out[:], v[:n])
	out[n-1]++
	return out
}

// span is all versions from the first on and before the second, or with not
// all others.
type span struct {
	from, to version
	not      bool
}

func (s span) has(v version) bool {
	return (!v.less(s.from) && v.less(s.to)) != s.not
}

// constraint is alternatives, each of which is spans that must all have the
// version.
type constraint [][]span

func (c constraint) allows(v version) bool {
	for _, all := range c {
		ok := true
		for _, s := range all {
			ok = ok && s.has(v)
		}
		if ok {
			return true
		}
	}
	return false
}

// parseConstraint reads a range as semver libraries have them: terms with =, !,
// !=, <, <=, >, >=, ~ and ^ that must all hold, 1.2.x, 1.2 - 1.4, and
// alternatives after ||. Nothing allows everything.
func parseConstraint(s string) (constraint, error) {
	var out constraint
	for _, alternative := range strings.Split(s, "||") {
		spans, err := parseTerms(alternative)
		if err != nil {
			return nil, fmt.Errorf("version constraint %q: %w", strings.TrimSpace(s), err)
		}
		out = append(out, spans)
	}
	return out, nil
}

func parseTerms(s string) ([]span, error) {
	var out []span
	words := strings.Fields(strings.ReplaceAll(s, ",", " "))
	for i := 0; i < len(words); i++ {
		op := operator(words[i])
		text := words[i][len(op):]
		if text == "" && i+1 < len(words) { // ">= 1.2"
			i++
			text = words[i]
		}
		if text == "" {
			return nil, fmt.Errorf("%q stands alone", op)
		}
		if op == "" && i+2 < len(words) && words[i+1] == "-" {
			s, err := between(text, words[i+2])
			if err != nil {
				return nil, err
			}
			out, i = append(out, s), i+2
			continue
		}
		p, err := parsePartial(text)
		if err != nil {
			return nil, err
		}
		out = append(out, term(op, p))
	}
	return out, nil
}

// operator is what a term begins with.
func operator(word string) string {
	for _, op := range []string{"!=", ">=", "<=", "==", "=>", "=<", "~>", "=", "!", "<", ">", "~", "^"} {
		if strings.HasPrefix(word, op) {
			return op
		}
	}
	return ""
}

func between(a, b string) (span, error) {
	from, err := parsePartial(a)
	if err != nil {
		return span{}, err
	}
	to, err := parsePartial(b)
	return span{from: from.v, to: to.v.after(to.parts)}, err
}

// last is after every version.
var last = version{1 << 31, 0, 0}

// term is what one operator means. A version of which parts are missing stands
// for all that begin with it after = and !, and for its first one else.
func term(op string, p partial) span {
	v := p.v
	next := v.after(3)
	if p.wild {
		next = v.after(p.parts)
	}
	switch op {
	case "!", "!=":
		return span{from: v, to: v.after(p.parts), not: true}
	case ">":
		return span{from: next, to: last}
	case ">=", "=>":
		return span{from: v, to: last}
	case "<":
		return span{to: v}
	case "<=", "=<":
		return span{to: next}
	case "~", "~>":
		return span{from: v, to: v.after(min(p.parts, 2))}
	case "^":
		return span{from: v, to: v.after(caret(p))}
	}
	return span{from: v, to: v.after(p.parts)}
}

// caret counts the parts that ^ keeps: up to the first that is not 0.
func caret(p partial) int {
	for i := range p.parts {
		if p.v[i] != 0 {
			return i + 1
		}
	}
	return p.parts
}
