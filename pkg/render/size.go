package render

import (
	"fmt"
	"reflect"
)

// maxNesting bounds how deep arrays and maps may hold each other.
const maxNesting = 200

// checkSize refuses values that would be longer than MaxOutput when printed.
// Templates can build such values in little memory by using one part many times.
func checkSize(v any) error {
	_, err := measure(v)
	return err
}

// measure is about how many bytes of memory a value takes that shares nothing.
func measure(v any) (int, error) {
	s := sizer{left: MaxOutput}
	s.add(v, 0)
	return MaxOutput - s.left + inMemory*s.items, s.fault()
}

// inMemory is about what a list or map takes for each item.
const inMemory = 32

// shallow is about how many bytes a list or map takes without what is in it.
func shallow(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return inMemory * (v.Len() + 1)
	}
	return inMemory
}

type sizer struct {
	left   int // bytes
	deep   bool
	items  int
	indent int // bytes before each item, for each level
}

func (s *sizer) fault() error {
	switch {
	case s.deep:
		return fmt.Errorf("a value is nested more than %d deep, perhaps in itself", maxNesting)
	case s.left < 0:
		return fmt.Errorf("a value is longer than %d bytes", MaxOutput)
	}
	return nil
}

// perItem is about what one item adds to a printed value.
const perItem = 2

func (s *sizer) add(v any, depth int) {
	s.left -= perItem + s.indent*depth
	s.items++
	if depth > maxNesting {
		s.deep = true
	}
	if s.left < 0 || s.deep {
		return
	}
	switch v := v.(type) {
	case nil, bool, int, float64:
	case string:
		s.left -= len(v)
	case map[string]any:
		for k, item := range v {
			s.left -= len(k)
			s.add(item, depth+1)
		}
	case []any:
		for _, item := range v {
			s.add(item, depth+1)
		}
	default:
		s.reflected(reflect.ValueOf(v), depth)
	}
}

func (s *sizer) reflected(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		s.left -= v.Len()
	case reflect.Slice:
		for i := 0; i < v.Len() && s.left >= 0 && !s.deep; i++ {
			s.add(v.Index(i).Interface(), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next() && s.left >= 0 && !s.deep; {
			s.add(it.Key().Interface(), depth+1)
			s.add(it.Value().Interface(), depth+1)
		}
	}
}
