package cli

import (
	"context"
	"net/url"
	"slices"
	"strings"
)

// operators of filters, with the number of their values.
var operators = map[string]int{"Eq": 1, "Ne": 1, "Lt": 1, "Lte": 1, "Gt": 1, "Gte": 1, "Re": 1, "In": 1, "Nin": 1, "Between": 2, "Except": 2}

// filters turns Field=value words into a query. DRP's older form "Field Op
// value" and its bare modifiers are known too.
func filters(words []string) (url.Values, error) {
	q := url.Values{}
	for len(words) > 0 {
		w := words[0]
		if k, v, ok := strings.Cut(w, "="); ok && k != "" {
			q.Add(k, v)
			words = words[1:]
			continue
		}
		n, err := oldFilter(q, words)
		if err != nil {
			return nil, err
		}
		words = words[n:]
	}
	return q, nil
}

// oldFilter reads one filter of separate words and says how many it took.
func oldFilter(q url.Values, words []string) (int, error) {
	switch w := words[0]; {
	case w == "reverse" || w == "decode":
		q.Set(w, "true")
		return 1, nil
	case slices.Contains([]string{"sort", "limit", "offset", "slim", "params"}, w) && len(words) > 1:
		q.Add(w, words[1])
		return 2, nil
	case len(words) > 2 && operators[words[1]] > 0 && len(words) >= 2+operators[words[1]]:
		n := 2 + operators[words[1]]
		q.Add(w, words[1]+"("+strings.Join(words[2:n], ",")+")")
		return n, nil
	}
	return 0, failf(exitUsage, "%q is not Field=value", words[0])
}

// condition is what await waits for: a filter that the server decides, or some
// joined.
type condition struct {
	filter url.Values
	all    []condition
	any    []condition
	not    *condition
}

// parseCondition reads the words of await: filters that must all hold, groups of
// them joined by "or", and DRP's And(..), Or(..) and Not(..).
func parseCondition(words []string) (condition, error) {
	var out condition
	for len(words) > 0 {
		group := words
		if i := slices.Index(words, "or"); i >= 0 {
			if group, words = words[:i], words[i+1:]; len(words) == 0 {
				return out, failf(exitUsage, "a condition is missing after or")
			}
		} else {
			words = nil
		}
		c, err := allOf(group)
		if err != nil {
			return out, err
		}
		out.any = append(out.any, c)
	}
	if len(out.any) == 1 {
		return out.any[0], nil
	}
	if len(out.any) == 0 {
		return out, failf(exitUsage, "say what to wait for: Field=Value, or --for deleted")
	}
	return out, nil
}

func allOf(words []string) (condition, error) {
	var out condition
	var plain []string
	for _, w := range words {
		name, inner, ok := strings.Cut(w, "(")
		switch {
		case w == "and":
		case ok && strings.HasSuffix(w, ")") && slices.Contains([]string{"And", "Or", "Not"}, name):
			c, err := function(name, splitTop(strings.TrimSuffix(inner, ")")))
			if err != nil {
				return out, err
			}
			out.all = append(out.all, c)
		default:
			plain = append(plain, w)
		}
	}
	if len(plain) > 0 || len(out.all) == 0 {
		q, err := filters(plain)
		if err != nil {
			return out, err
		}
		if len(q) == 0 {
			return out, failf(exitUsage, "a condition is missing beside and, or")
		}
		out.all = append(out.all, condition{filter: q})
	}
	if len(out.all) == 1 {
		return out.all[0], nil
	}
	return out, nil
}

func function(name string, args []string) (condition, error) {
	var list []condition
	for _, a := range args {
		c, err := allOf([]string{a})
		if err != nil {
			return condition{}, err
		}
		list = append(list, c)
	}
	switch {
	case name == "And":
		return condition{all: list}, nil
	case name == "Or":
		return condition{any: list}, nil
	case len(list) == 1:
		return condition{not: &list[0]}, nil
	}
	return condition{}, failf(exitUsage, "Not takes one condition, not %d", len(list))
}

// splitTop splits at commas that are in no parentheses.
func splitTop(text string) []string {
	var out []string
	depth, from := 0, 0
	for i, r := range text {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(text[from:]))
}

// holds asks the server about the object with that key.
func (g *group) holds(ctx context.Context, key string, c condition) (bool, error) {
	if c.filter != nil {
		o, err := g.matches(ctx, key, c.filter)
		return o.val != nil, err
	}
	if c.not != nil {
		ok, err := g.holds(ctx, key, *c.not)
		return !ok && err == nil, err
	}
	list, want := c.all, false // all: stop at the first that does not hold
	if c.any != nil {
		list, want = c.any, true
	}
	for _, sub := range list {
		ok, err := g.holds(ctx, key, sub)
		if err != nil || ok == want {
			return ok && err == nil, err
		}
	}
	return !want, nil
}

// matches asks the server whether one object passes filters; an object that is
// gone never will.
func (g *group) matches(ctx context.Context, key string, q url.Values) (doc, error) {
	mine := url.Values{}
	for k, v := range q {
		mine[k] = slices.Clone(v)
	}
	if mine.Has(g.keyIndex()) { // values of one field are alternatives
		mine.Add("Key", "Eq("+key+")")
	} else {
		mine.Add(g.keyIndex(), "Eq("+key+")")
	}
	var list []doc
	if err := g.conn().get(ctx, at(g.name), mine, &list); err != nil {
		return doc{}, err
	}
	if len(list) > 0 {
		return list[0], nil
	}
	return doc{}, g.conn().get(ctx, at(g.name, key), nil, nil)
}
