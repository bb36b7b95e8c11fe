package cli

import (
	"bytes"
	"encoding/json"
)

// doc is JSON as the server sent it: printed in its order, read by its fields.
type doc struct {
	val any
	raw json.RawMessage
}

// UnmarshalJSON keeps both forms.
func (d *doc) UnmarshalJSON(data []byte) error {
	d.raw = bytes.Clone(data)
	return json.Unmarshal(data, &d.val)
}

// MarshalJSON is what came.
func (d doc) MarshalJSON() ([]byte, error) {
	if d.raw == nil {
		return json.Marshal(d.val)
	}
	return d.raw, nil
}

func (d doc) at(path string) any      { return field(d.val, path) }
func (d doc) text(path string) string { return text(d.at(path)) }

// list is the values of a field that is a list.
func (d doc) list(path string) []any {
	l, _ := d.at(path).([]any)
	return l
}

// bare is a value without its original form, for tables.
func bare(v any) any {
	switch x := v.(type) {
	case doc:
		return x.val
	case *doc:
		return x.val
	case []doc:
		out := make([]any, len(x))
		for i, d := range x {
			out[i] = d.val
		}
		return out
	case []any:
		for i := range x {
			x[i] = bare(x[i])
		}
	}
	return v
}
