package rest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"drpd/pkg/resource"
)

// maxUnknown bounds how many fields of one object may be unknown and empty.
const maxUnknown = 32

// withoutEmpty drops fields that the kind does not know if they are empty:
// clients of DRP send every field of theirs, and such a one says nothing. A
// field with a value stays, and is refused by its name.
func (h *kindServer) withoutEmpty(data []byte) []byte {
	for range maxUnknown {
		_, err := h.kind.Decode(data)
		name, ok := unknownField(err)
		if !ok {
			return data
		}
		fewer, dropped := h.withoutType(data, name)
		if !dropped {
			fewer, dropped = dropEmpty(data, name)
		}
		if !dropped {
			return data
		}
		data = fewer
	}
	return data
}

// withoutType drops the kind's own name from an object: drpcli extended, which
// knows no kinds, sends it as Type.
func (h *kindServer) withoutType(data []byte, field string) ([]byte, bool) {
	var m map[string]json.RawMessage
	if field != "Type" || json.Unmarshal(data, &m) != nil || string(m["Type"]) != `"`+h.kind.KindName()+`"` {
		return data, false
	}
	delete(m, "Type")
	return marshaled(m, data, true)
}

// unknownField is the field that Decode did not know.
func unknownField(err error) (string, bool) {
	e, ok := errors.AsType[*resource.Error](err)
	if !ok || len(e.Msgs) == 0 {
		return "", false
	}
	quoted, ok := strings.CutPrefix(e.Msgs[0], "unknown field ")
	return strings.Trim(quoted, `"`), ok
}

// free are members whose names are the users'.
var free = []string{"Params", "Meta", "Schema", "sections"}

// dropEmpty removes empty members of that name at any depth of the fields.
func dropEmpty(data json.RawMessage, name string) (out json.RawMessage, dropped bool) {
	switch {
	case len(data) > 0 && data[0] == '{':
		var m map[string]json.RawMessage
		if json.Unmarshal(data, &m) != nil {
			return data, false
		}
		for key, v := range m {
			switch {
			case key == name && emptyJSON(v):
				delete(m, key)
				dropped = true
			case !slices.Contains(free, key):
				var d bool
				m[key], d = dropEmpty(v, name)
				dropped = dropped || d
			}
		}
		return marshaled(m, data, dropped)
	case len(data) > 0 && data[0] == '[':
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil {
			return data, false
		}
		for i, v := range list {
			var d bool
			list[i], d = dropEmpty(v, name)
			dropped = dropped || d
		}
		return marshaled(list, data, dropped)
	}
	return data, false
}

func marshaled(v any, was json.RawMessage, changed bool) (json.RawMessage, bool) {
	if !changed {
		return was, false
	}
	data, err := json.Marshal(v)
	return data, err == nil
}
