package openapi

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// route is one operation before it is written out.
type route struct {
	method, path   string // the path with {names}
	group          string // tag; "" is the first part of the path
	summary, about string
	ours           bool     // DRP does not have it
	open           bool     // asks for no credentials
	use            []string // names of shared parameters
	query          []Parameter
	body           any  // a value of the type, a *Schema or binary; nil: none
	optional       bool // the body may be missing
	sample         any  // an example of the body
	status         int  // of success; 0 is 200
	reply          any  // as body; nil: nothing
	says           string
	headers        map[string]Header
	also           map[string]string // further replies that are no errors
}

// binary is a body of a content type that is no JSON.
type binary string

const (
	octets = binary("application/octet-stream")
	events = binary("text/event-stream")
)

func (r route) tag() string {
	if r.group != "" {
		return r.group
	}
	first, _, _ := strings.Cut(r.path[1:], "/")
	return first
}

// id is the operation's name: the method and the words of the path.
func (r route) id() string {
	var b strings.Builder
	b.WriteString(strings.ToLower(r.method))
	for part := range strings.FieldsFuncSeq(r.path, func(c rune) bool { return strings.ContainsRune("/{}-_", c) }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func (r route) success() string {
	if r.status == 0 {
		return strconv.Itoa(http.StatusOK)
	}
	return strconv.Itoa(r.status)
}

func (r route) replies() string {
	if r.says != "" {
		return r.says
	}
	return map[string]string{"201": "It was made.", "204": "It was done."}[r.success()] + map[bool]string{true: "The answer."}[r.success() == "200"]
}

// pathWords says what the parts of paths are.
var pathWords = map[string]string{
	"id":     "The object: its key, or Index:value, such as Name:node1. Slashes in it are written %2F.",
	"name":   "The name, which may hold slashes.",
	"path":   "The name of the file; folders are divided by slashes.",
	"kind":   "A kind of object, such as machines.",
	"prefix": "A kind of object, such as machines.",
	"cmd":    "The name of the action.",
	"node":   "The id of a server.",
}

// parameters are those of the path, then the shared ones, then its own. Every
// change in JSON can carry an Idempotency-Key.
func (r route) parameters() []Parameter {
	var out []Parameter
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			out = append(out, Parameter{Name: name, In: "path", Required: true, Description: pathWords[name], Schema: &Schema{Type: "string"}})
		}
	}
	use := r.use
	if r.keeps() {
		use = append(slices.Clone(use), "IdempotencyKey")
	}
	for _, name := range use {
		out = append(out, Parameter{Ref: "#/components/parameters/" + name})
	}
	return append(out, r.query...)
}

// keeps says whether an Idempotency-Key is heeded, as in rest: not where
// passwords or tokens are, where credentials are not asked for, nor for bulk.
func (r route) keeps() bool {
	_, bulk := r.body.(binary)
	switch r.method {
	case http.MethodGet, http.MethodHead:
		return false
	}
	return !bulk && !r.open && !r.long() && !strings.HasSuffix(r.path, "/password") && !strings.HasSuffix(r.path, "/whoami")
}

// long says whether the request may wait for as long as the caller asks.
func (r route) long() bool {
	return slices.ContainsFunc([]string{"Machines", "ToPool"}, func(s string) bool { return strings.HasSuffix(r.path, s) })
}

// ask is a parameter of the query.
func ask(name, about string, s *Schema) Parameter {
	return Parameter{Name: name, In: "query", Description: about, Schema: s}
}

func text() *Schema     { return &Schema{Type: "string"} }
func yes() *Schema      { return &Schema{Type: "boolean"} }
func number() *Schema   { return &Schema{Type: "integer", Minimum: new(int)} }
func object() *Schema   { return &Schema{Type: "object"} }
func anything() *Schema { return &Schema{} }

func listOf(item *Schema) *Schema { return &Schema{Type: "array", Items: item} }

func mapOf(item *Schema) *Schema { return &Schema{Type: "object", Additional: item} }

// names is a comma list in one parameter.
func names() *Schema { return listOf(text()) }

// parameters are the shared ones by name.
func parameters() map[string]Parameter {
	no := false
	commas := func(p Parameter) Parameter { p.Style, p.Explode = "form", &no; return p }
	header := func(name, about string, s *Schema) Parameter {
		return Parameter{Name: name, In: "header", Description: about, Schema: s}
	}
	out := map[string]Parameter{
		"limit":     ask("limit", "At most so many objects.", number()),
		"offset":    ask("offset", "Leave out so many objects first.", number()),
		"sort":      ask("sort", "Sort by an index or a field; may be given several times.", names()),
		"reverse":   ask("reverse", "The other way round.", yes()),
		"slim":      commas(ask("slim", "Leave these out of each object.", listOf(&Schema{Type: "string", Enum: []any{"Params", "Meta"}}))),
		"params":    commas(ask("params", "Of Params show only these.", names())),
		"fields":    commas(ask("fields", "Of each object show only these fields (an addition of drpd). What the schema requires is left out too unless it is named.", names())),
		"decode":    ask("decode", "Open secure params; the caller needs the claim getSecure.", yes()),
		"aggregate": ask("aggregate", "Also what applies through profiles, stage, the global profile and defaults.", yes()),
		"force":     ask("force", "Do it although references or checks speak against it, where the kind allows that.", yes()),
		"IdempotencyKey": header("Idempotency-Key", "An addition of drpd: the same key for the same request is carried out once within 24 hours and answered alike.",
			&Schema{Type: "string", MaxLength: 128, Pattern: "^[!-~]+$"}),
		"IfMatch":     header("If-Match", "Only if the object still has this ETag (an addition of drpd).", text()),
		"IfNoneMatch": header("If-None-Match", "Answer 304 if the object still has this ETag (an addition of drpd).", text()),
		"Prefer":      header("Prefer", "wait=<seconds or duration>: with If-None-Match, wait until the object differs, 10 minutes at most (an addition of drpd).", text()),
	}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		if p := out[name]; p.In == "header" && p.Name == "Prefer" {
			p.Example = "wait=30"
			out[name] = p
		}
	}
	return out
}
