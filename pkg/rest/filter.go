package rest

import (
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// Limits of a list request.
const (
	maxFilters   = 32 // conditions of one request
	maxFilterLen = 4096
	maxRegexLen  = 256
)

// condition is one "key=Op(args)" of a query.
type condition struct {
	key  string
	op   string
	args []string
	vals []value // args, read once
	re   *regexp.Regexp
}

// read makes the values of the arguments.
func (c *condition) read() {
	c.vals = make([]value, len(c.args))
	for i, a := range c.args {
		c.vals[i] = valueOf(a)
	}
}

var filterForm = regexp.MustCompile(`(?s)^(Eq|Ne|Lt|Lte|Gt|Gte|Between|Except|In|Nin|Re)\((.*)\)$`)

// parseCondition reads one filter. A value without an operator means Eq; for
// HardwareAddr it may be a comma list, as discovery sends it.
func parseCondition(key, value string) (condition, error) {
	if len(value) > maxFilterLen {
		return condition{}, badFilter("filter %s has %d bytes, %d at most", key, len(value), maxFilterLen)
	}
	c := condition{key: key, op: "Eq", args: []string{value}}
	m := filterForm.FindStringSubmatch(value)
	if m != nil {
		c.op, c.args = m[1], []string{m[2]}
	} else if key == api.ByMAC && strings.Contains(value, ",") {
		c.op = "In"
	}
	switch c.op {
	case "In", "Nin":
		c.args = strings.Split(c.args[0], ",")
	case "Between", "Except":
		c.args = strings.Split(c.args[0], ",")
		if len(c.args) != 2 {
			return condition{}, badFilter("filter %s: %s takes two values, as %s(a,b)", key, c.op, c.op)
		}
	case "Re":
		return c.compile()
	}
	c.read()
	return c, nil
}

// spell brings the values into the form that objects have them in.
func (c *condition) spell(k resource.Any, key string) {
	if c.op == "Re" {
		return
	}
	for i, a := range c.args {
		c.args[i] = k.Spelled(key, a)
	}
	c.read()
}

func (c condition) compile() (condition, error) {
	if len(c.args[0]) > maxRegexLen {
		return c, badFilter("filter %s: the regular expression has %d bytes, %d at most", c.key, len(c.args[0]), maxRegexLen)
	}
	re, err := regexp.Compile(c.args[0])
	if err != nil {
		return c, badFilter("filter %s: %v", c.key, err)
	}
	c.re = re
	return c, nil
}

// badFilter is an error of DRP's status; its type is the request's method.
func badFilter(format string, args ...any) error {
	return failf(http.StatusNotAcceptable, "", format, args...)
}

// truth spells truth values as objects do: any form of strconv.ParseBool will do.
func (c *condition) truth() error {
	if c.op == "Re" {
		return nil
	}
	for i, a := range c.args {
		b, err := strconv.ParseBool(strings.TrimSpace(a))
		if err != nil {
			return badFilter("filter %s: %q is neither true nor false", c.key, a)
		}
		c.args[i] = strconv.FormatBool(b)
	}
	c.read()
	return nil
}

// negative operators hold when the positive one does not.
func (c *condition) negative() bool { return c.op == "Ne" || c.op == "Nin" || c.op == "Except" }

// holds says whether the values of an object meet the condition. Of several
// values one that meets it is enough; a negative operator wants none to be
// among what it excludes. An object without a value meets only negative ones.
func (c *condition) holds(values []any) bool {
	return slices.ContainsFunc(values, c.one) != c.negative()
}

func (c *condition) one(v any) bool {
	switch c.op {
	case "Eq", "Ne":
		return compare(v, &c.vals[0]) == 0
	case "Lt":
		return compare(v, &c.vals[0]) < 0
	case "Lte":
		return compare(v, &c.vals[0]) <= 0
	case "Gt":
		return compare(v, &c.vals[0]) > 0
	case "Gte":
		return compare(v, &c.vals[0]) >= 0
	case "Between", "Except":
		return compare(v, &c.vals[0]) >= 0 && compare(v, &c.vals[1]) <= 0
	case "In", "Nin":
		for i := range c.vals {
			if compare(v, &c.vals[i]) == 0 {
				return true
			}
		}
		return false
	}
	return c.re.MatchString(text(v))
}

// query is a parsed list request.
type query struct {
	any     map[string][]condition // by key; one of each key's must hold
	sort    []string
	reverse bool
	offset  int
	limit   int // -1: none
	view    shape
}

// modifiers are the query keys that are no filters.
var modifiers = []string{"sort", "reverse", "offset", "limit", "slim", "params", "decode", "aggregate", "fields", "force", "token", "path"}

func parseQuery(q url.Values) (query, error) {
	out := query{any: map[string][]condition{}, sort: q["sort"], reverse: isTrue(q.Get("reverse")), limit: -1, view: shapeOf(q)}
	if len(out.sort) > maxFilters {
		return out, badFilter("%d sort keys, %d at most", len(out.sort), maxFilters)
	}
	var err error
	if out.offset, err = count(q, "Offset", 0); err != nil {
		return out, err
	}
	if out.limit, err = count(q, "Limit", -1); err != nil {
		return out, err
	}
	n := 0
	for key, values := range q {
		if slices.Contains(modifiers, key) {
			continue
		}
		for _, v := range values {
			if n++; n > maxFilters {
				return out, badFilter("more than %d filters: use In(a,b,...) or Re(...)", maxFilters)
			}
			c, err := parseCondition(key, v)
			if err != nil {
				return out, err
			}
			out.any[key] = append(out.any[key], c)
		}
	}
	return out, nil
}

func isTrue(s string) bool { b, _ := strconv.ParseBool(s); return b }

func count(q url.Values, name string, def int) (int, error) {
	s := q.Get(strings.ToLower(name))
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, badFilter("%s not valid: %q is not a number", name, s)
	case n < 0:
		return 0, badFilter("%s cannot be negative", name)
	}
	return n, nil
}

// keys lists the keys that are filtered by, in order.
func (q query) keys() []string { return slices.Sorted(maps.Keys(q.any)) }

// exact returns the values that an object must have one of under a key, if
// that is all that is asked: addresses and times may be equal without having
// the same spelling.
func (q query) exact(key string) (values []string, ok bool) {
	for _, c := range q.any[key] {
		if c.op != "Eq" && c.op != "In" {
			return nil, false
		}
		for _, a := range c.args {
			if a == "" || !plainText(a) {
				return nil, false
			}
			values = append(values, a)
		}
	}
	return values, len(values) > 0
}

func plainText(s string) bool {
	_, notAddr := netip.ParseAddr(s)
	_, notTime := time.Parse(time.RFC3339Nano, s)
	return notAddr != nil && notTime != nil
}

// holds evaluates all conditions on one object.
func (q query) holds(f *fields, o resource.Object) bool {
	for key, conds := range q.any {
		values := f.of(o, key)
		met := false
		for i := range conds {
			met = met || conds[i].holds(values)
		}
		if !met {
			return false
		}
	}
	return true
}
