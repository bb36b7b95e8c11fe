package rest

import (
	"net/url"
	"strings"
)

// shape is what a reply shows of objects.
type shape struct {
	slim   []string // left out: Params, Meta
	only   []string // of Params only these
	fields []string // of the object only these
	decode bool     // secure params opened
}

// shapeOf reads ?slim=Params,Meta, ?params=a,b, ?decode=true, and ours:
// ?fields=Name,Address keeps only these top-level fields. Whatever is thinned
// out says so in Partial, so that it is not stored again by mistake.
func shapeOf(q url.Values) shape {
	split := func(key string) (out []string) {
		for _, v := range q[key] {
			for s := range strings.SplitSeq(v, ",") {
				if s = strings.TrimSpace(s); s != "" {
					out = append(out, s)
				}
			}
		}
		return out
	}
	s := shape{only: split("params"), fields: split("fields"), decode: isTrue(q.Get("decode"))}
	for _, name := range split("slim") {
		if name == "Params" || name == "Meta" {
			s.slim = append(s.slim, name)
		}
	}
	return s
}

func (s shape) partial() bool { return len(s.slim)+len(s.only)+len(s.fields) > 0 }

func (s shape) thins() bool { return s.partial() || s.decode }

var (
	paramsName  = []byte(`"Params"`)
	partialName = []byte(`"Partial"`)
	jsonTrue    = []byte("true")
)

// cut copies the members of an object that the shape shows. plain replaces its
// params if it is not nil.
func (s shape) cut(to, data, plain []byte, carriesParams bool) []byte {
	out := object{to: to}
	members(data, func(name, value []byte) bool {
		switch {
		case isName(name, "Partial") && s.partial():
			return true
		case isOneOf(name, s.slim), len(s.fields) > 0 && !isOneOf(name, s.fields):
			return true
		case isName(name, "Params") && carriesParams:
			if plain != nil {
				value = plain
			}
			out.add(paramsName, s.some(value))
			return true
		}
		out.add(name, value)
		return true
	})
	if s.partial() && carriesParams {
		out.add(partialName, jsonTrue)
	}
	return out.end()
}

// some keeps the params that were asked for.
func (s shape) some(params []byte) []byte {
	if len(s.only) == 0 {
		return params
	}
	var out object
	members(params, func(name, value []byte) bool {
		if isOneOf(name, s.only) {
			out.add(name, value)
		}
		return true
	})
	return out.end()
}
