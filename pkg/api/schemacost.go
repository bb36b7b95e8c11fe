package api

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Limits of what a schema may cost. Values are checked inside updates, which wait
// for each other, and a schema of a few lines can apply its rules to one value
// more often than anybody can wait for.
const (
	maxRules  = 10_000      // that a schema applies, each as often as it is referred to
	maxVisits = 20_000_000  // rules times parts of a value
	maxSteps  = 200_000_000 // instructions of patterns times bytes of a value
)

// cost is what a schema does to a value.
type cost struct {
	rules   int // applied to one part of the value, at most
	again   int // references by which the schema applies itself to parts of that part
	pattern int // instructions of its patterns
}

func (c *cost) add(d cost) {
	c.rules = min(c.rules+d.rules, maxRules+1)
	c.again = min(c.again+d.again, maxRules+1)
	c.pattern = min(c.pattern+d.pattern, maxSteps+1)
}

// costOf walks a schema and what it refers to.
func costOf(doc any) (cost, error) {
	w := coster{doc: doc, known: map[string]cost{}, under: map[string]bool{"#": true}}
	c := w.of(doc)
	if w.err == nil && c.rules > maxRules {
		w.err = fmt.Errorf("it applies more than %d rules to one value: refer to each definition less often", maxRules)
	}
	return c, w.err
}

type coster struct {
	doc   any
	known map[string]cost // by reference
	under map[string]bool // references that are being walked
	err   error
}

func (w *coster) of(node any) cost {
	c := cost{}
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			c.add(w.of(item))
		}
	case map[string]any:
		c.rules = 1
		for key, v := range node {
			c.add(w.keyword(key, v))
		}
	}
	return c
}

// keyword is the cost of one field of a schema. Fields that are no keywords are
// taken for schemas.
func (w *coster) keyword(key string, v any) (c cost) {
	text, isText := v.(string)
	named, isMap := v.(map[string]any)
	switch {
	case key == "default", key == "examples", key == "enum", key == "const", key == "definitions", key == "$defs":
	case isText && (key == "$ref" || key == "$recursiveRef" || key == "$dynamicRef"):
		return w.ref(text)
	case isText && key == "pattern":
		return patternCost(text)
	case isText && (key == "$id" || key == "id") && !w.root(v):
		w.err = fmt.Errorf("%s within the schema makes its references mean other things: leave it out", key)
	case isMap && (key == "properties" || key == "patternProperties" || key == "dependencies" || key == "dependentSchemas"):
		for name, sub := range named {
			if c.add(w.of(sub)); key == "patternProperties" {
				c.add(patternCost(name))
			}
		}
	default:
		return w.of(v)
	}
	return c
}

// root says whether an id is that of the schema as a whole.
func (w *coster) root(id any) bool {
	top, _ := w.doc.(map[string]any)
	return id == top["$id"] || id == top["id"]
}

// ref is the cost of what a reference names; one to what is being walked is what
// makes the schema recursive.
func (w *coster) ref(to string) cost {
	if w.under[to] {
		return cost{again: 1}
	}
	if c, ok := w.known[to]; ok {
		return c
	}
	node, err := at(w.doc, to)
	if err != nil {
		w.err = err
		return cost{}
	}
	w.under[to] = true
	c := w.of(node)
	delete(w.under, to)
	w.known[to] = c
	return c
}

// at follows a reference within a schema.
func at(doc any, to string) (any, error) {
	rest, ok := strings.CutPrefix(to, "#/")
	if !ok {
		return nil, fmt.Errorf("%.100s is outside the schema: put it under definitions, and refer to it as #/definitions/x", strconv.Quote(to))
	}
	for step := range strings.SplitSeq(rest, "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~", "%25", "%", "%22", `"`).Replace(step)
		switch node := doc.(type) {
		case map[string]any:
			if doc, ok = node[step]; ok {
				continue
			}
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node) {
				doc = node[i]
				continue
			}
		}
		return nil, fmt.Errorf("%.100s is not in the schema", strconv.Quote(to))
	}
	return doc, nil
}

func patternCost(text string) cost {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return cost{} // the compiler of schemas says so
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return cost{}
	}
	return cost{pattern: len(prog.Inst)}
}

// errCostly is for values that would hold up all updates.
var errCostly = errors.New("the value is too large or too deep for this schema: it would take too long to check")

// admits says whether a value can be checked in a second or so.
func (c cost) admits(value any) error {
	s := extent{}
	s.add(value, 0)
	visits := s.parts * max(c.rules, 1)
	for range s.deep {
		if visits > maxVisits || c.again <= 1 {
			break
		}
		visits *= c.again
	}
	if visits > maxVisits || c.pattern > 0 && s.bytes > maxSteps/c.pattern {
		return errCostly
	}
	return nil
}

// extent is how much a value is.
type extent struct{ parts, bytes, deep int }

func (s *extent) add(v any, depth int) {
	s.parts++
	s.deep = max(s.deep, depth)
	switch v := v.(type) {
	case string:
		s.bytes += len(v)
	case []any:
		for _, item := range v {
			s.add(item, depth+1)
		}
	case map[string]any:
		for key, item := range v {
			s.bytes += len(key)
			s.add(item, depth+1)
		}
	}
}
