package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// UnmarshalJSON takes what packs made for other servers have: fields that this
// one does not know, and numbers where strings are meant, as in Order: 10.
func (m *PackMeta) UnmarshalJSON(data []byte) error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	into := reflect.ValueOf(m).Elem()
	for name, raw := range fields {
		f := into.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) })
		if !f.IsValid() {
			continue
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		if err := setMeta(f, name, v, string(raw)); err != nil {
			return err
		}
	}
	return nil
}

func setMeta(f reflect.Value, name string, v any, raw string) error {
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		if f.Kind() == reflect.Bool {
			f.SetBool(v)
			return nil
		}
	case string:
		if f.Kind() == reflect.String {
			f.SetString(v)
			return nil
		}
	case float64:
		if f.Kind() == reflect.String {
			f.SetString(raw)
			return nil
		}
	}
	return fmt.Errorf("meta.%s: cannot hold %v", name, v)
}
