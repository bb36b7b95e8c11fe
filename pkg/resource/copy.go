package resource

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// copier makes dst, which already is a plain copy of src, independent of it.
type copier func(dst, src reflect.Value) error

// copierOf compiles the deep copy of a type, nil if a plain copy is one
// already. It does what a trip through JSON does, at a tenth of the cost: a
// number within an any becomes a float64, whatever it was.
func copierOf(t reflect.Type, seen map[reflect.Type]*copier) copier {
	if c := seen[t]; c != nil { // a type within itself: its copier is ready when it is called
		return func(dst, src reflect.Value) error { return (*c)(dst, src) }
	}
	switch t.Kind() {
	case reflect.Struct:
		return copyStruct(t, seen)
	case reflect.Slice:
		return copySlice(copierOf(t.Elem(), seen))
	case reflect.Map:
		return copyMap(t, copierOf(t.Elem(), seen))
	case reflect.Pointer:
		return copyPointer(t, seen)
	case reflect.Interface:
		return copyInterface
	case reflect.Array:
		if copierOf(t.Elem(), seen) != nil {
			return throughJSON
		}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return throughJSON
	}
	return nil
}

// copyStruct leaves hidden fields, as those of time.Time, as they are.
func copyStruct(t reflect.Type, seen map[reflect.Type]*copier) copier {
	type field struct {
		at   int
		copy copier
	}
	var fields []field
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			continue
		}
		if c := copierOf(t.Field(i).Type, seen); c != nil {
			fields = append(fields, field{i, c})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(dst, src reflect.Value) error {
		for _, f := range fields {
			if err := f.copy(dst.Field(f.at), src.Field(f.at)); err != nil {
				return err
			}
		}
		return nil
	}
}

func copySlice(elem copier) copier {
	return func(dst, src reflect.Value) error {
		if src.IsNil() {
			return nil
		}
		n := src.Len()
		out := reflect.MakeSlice(src.Type(), n, n)
		reflect.Copy(out, src)
		for i := 0; elem != nil && i < n; i++ {
			if err := elem(out.Index(i), src.Index(i)); err != nil {
				return err
			}
		}
		dst.Set(out)
		return nil
	}
}

func copyMap(t reflect.Type, elem copier) copier {
	return func(dst, src reflect.Value) error {
		if src.IsNil() {
			return nil
		}
		if m, ok := src.Interface().(map[string]string); ok {
			out := make(map[string]string, len(m))
			for k, v := range m {
				out[k] = v
			}
			dst.Set(reflect.ValueOf(out))
			return nil
		}
		if t.Key().Kind() == reflect.String && t.Elem() == anyType {
			return copyAnyMap(dst, src, t)
		}
		out := reflect.MakeMapWithSize(t, src.Len())
		for it := src.MapRange(); it.Next(); {
			v := reflect.New(t.Elem()).Elem()
			v.Set(it.Value())
			if elem != nil {
				if err := elem(v, it.Value()); err != nil {
					return err
				}
			}
			out.SetMapIndex(it.Key(), v)
		}
		dst.Set(out)
		return nil
	}
}

var (
	anyType    = reflect.TypeFor[any]()
	anyMapType = reflect.TypeFor[map[string]any]()
)

func copyAnyMap(dst, src reflect.Value, t reflect.Type) error {
	if !t.ConvertibleTo(anyMapType) {
		return throughJSON(dst, src)
	}
	m, err := copyAny(src.Convert(anyMapType).Interface())
	if err == nil {
		dst.Set(reflect.ValueOf(m).Convert(t))
	}
	return err
}

func copyPointer(t reflect.Type, seen map[reflect.Type]*copier) copier {
	var elem copier
	self := copier(func(dst, src reflect.Value) error {
		if src.IsNil() {
			return nil
		}
		out := reflect.New(t.Elem())
		out.Elem().Set(src.Elem())
		if elem != nil {
			if err := elem(out.Elem(), src.Elem()); err != nil {
				return err
			}
		}
		dst.Set(out)
		return nil
	})
	seen[t] = &self
	elem = copierOf(t.Elem(), seen)
	return self
}

func copyInterface(dst, src reflect.Value) error {
	if src.IsNil() {
		return nil
	}
	v, err := copyAny(src.Interface())
	if err == nil && v != nil {
		dst.Set(reflect.ValueOf(v))
	}
	return err
}

// copyAny copies a value as JSON would bring it back.
func copyAny(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, bool, float64:
		return v, nil
	case int:
		return float64(v), nil
	case map[string]any:
		if v == nil {
			return nil, nil
		}
		out := make(map[string]any, len(v))
		for key, e := range v {
			c, err := copyAny(e)
			if err != nil {
				return nil, err
			}
			out[key] = c
		}
		return out, nil
	case []any:
		if v == nil {
			return nil, nil
		}
		out := make([]any, len(v))
		for i, e := range v {
			c, err := copyAny(e)
			if err != nil {
				return nil, err
			}
			out[i] = c
		}
		return out, nil
	}
	var out any
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("copy %T: %w", v, err)
	}
	return out, nil
}

func throughJSON(dst, src reflect.Value) error {
	data, err := json.Marshal(src.Interface())
	if err == nil {
		out := reflect.New(dst.Type())
		err = json.Unmarshal(data, out.Interface())
		dst.Set(out.Elem())
	}
	return err
}

// copierFor is the deep copy of *T behind any.
func copierFor[T any]() func(any) (any, error) {
	deep := copierOf(reflect.TypeFor[T](), map[reflect.Type]*copier{})
	return func(v any) (any, error) {
		src := v.(*T)
		dst := new(T)
		*dst = *src
		if deep == nil {
			return dst, nil
		}
		err := deep(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem())
		return dst, err
	}
}
