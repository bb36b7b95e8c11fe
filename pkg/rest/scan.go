package rest

import (
	"bytes"
	"encoding/json"
)

// The functions below walk over compact JSON of our own encoding without
// decoding it, so that lists can be thinned out at the speed of a copy. What
// is no such JSON ends the walk; nothing reads past the end.

// members calls fn with each member of an object until it returns false: the
// quoted name, and the value.
func members(data []byte, fn func(name, value []byte) bool) {
	if len(data) == 0 || data[0] != '{' {
		return
	}
	for i := 1; i < len(data) && data[i] == '"'; i++ {
		colon := skipString(data, i)
		if colon >= len(data) || data[colon] != ':' {
			return
		}
		end := skipValue(data, colon+1)
		if end <= colon+1 || end >= len(data) || !fn(data[i:colon], data[colon+1:end]) || data[end] != ',' {
			return
		}
		i = end
	}
}

// skipString returns the position after the string that begins at i.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		next := bytes.IndexByte(data[i:], '"')
		if next < 0 {
			return len(data)
		}
		if back := bytes.IndexByte(data[i:i+next], '\\'); back >= 0 {
			i += back + 1 // the loop steps over what is escaped
			continue
		}
		return i + next + 1
	}
	return len(data)
}

// skipValue returns the position after the value that begins at i.
func skipValue(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i = skipString(data, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// isName says whether a quoted name of JSON is name.
func isName(quoted []byte, name string) bool {
	if len(quoted) < 2 {
		return false
	}
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return string(plain) == name
	}
	var s string
	return json.Unmarshal(quoted, &s) == nil && s == name
}

// isOneOf says whether a quoted name of JSON is among names.
func isOneOf(quoted []byte, names []string) bool {
	for _, n := range names {
		if isName(quoted, n) {
			return true
		}
	}
	return false
}

// member returns the value of one member, nil if there is none.
func member(data []byte, name string) (value []byte) {
	members(data, func(n, v []byte) bool {
		if isName(n, name) {
			value = v
		}
		return value == nil
	})
	return value
}

// object writes an object member by member.
type object struct {
	to    []byte
	begun bool
}

func (o *object) add(name, value []byte) {
	sep := byte(',')
	if !o.begun {
		sep, o.begun = '{', true
	}
	o.to = append(append(append(append(o.to, sep), name...), ':'), value...)
}

func (o *object) end() []byte {
	if !o.begun {
		o.to = append(o.to, '{')
	}
	return append(o.to, '}')
}
