package render

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// maxCount bounds the numbers given to functions that make so many of something.
const maxCount = 1_000_000

// functions are sprig's, without those that look outside, with bounds on what
// they make.
func functions() template.FuncMap {
	out := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "now", "ago", "getHostByName"} {
		delete(out, name)
	}
	counting := []string{"until", "untilStep", "seq", "randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes"}
	for _, name := range counting {
		out[name] = countBounded(out[name])
	}
	out["repeat"] = repeat
	out["indent"] = indent
	out["nindent"] = func(n int, s string) (string, error) {
		s, err := indent(n, s)
		return "\n" + s, err
	}
	out["print"], out["printf"], out["println"] = fmt.Sprint, fmt.Sprintf, fmt.Sprintln
	out["html"], out["js"], out["urlquery"] = template.HTMLEscaper, template.JSEscaper, template.URLQueryEscaper
	for _, name := range []string{"merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"} {
		out[name] = cloneSources(out[name])
	}
	for name, fn := range out {
		if !slices.Contains(looking, name) {
			out[name] = sizeBounded(fn)
		}
	}
	return out
}

// looking are functions that only pick parts of what they get: checking all of
// a large param for each of them would be slow.
var looking = []string{"get", "hasKey", "keys", "values", "first", "rest", "last", "initial", "default", "empty",
	"ternary", "coalesce", "kindOf", "kindIs", "typeOf", "typeIs", "dig"}

// cloneSources keeps maps from being merged into themselves.
func cloneSources(fn any) any {
	return wrap(fn, func(args []reflect.Value, call func() []reflect.Value) ([]reflect.Value, error) {
		sources, _ := args[1].Interface().([]map[string]any)
		for i, m := range sources {
			sources[i], _ = clone(m).(map[string]any)
		}
		return call(), nil
	})
}

func repeat(n int, s string) (string, error) {
	if n < 0 || len(s) > 0 && n > MaxOutput/len(s) {
		return "", fmt.Errorf("%d times %d bytes is out of bounds (0 to %d bytes)", n, len(s), MaxOutput)
	}
	return strings.Repeat(s, n), nil
}

func indent(n int, s string) (string, error) {
	lines := strings.Count(s, "\n") + 1
	if n < 0 || n > MaxOutput/lines {
		return "", fmt.Errorf("%d spaces before each of %d lines is out of bounds (0 to %d bytes)", n, lines, MaxOutput)
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
}

// countBounded checks the whole numbers that fn gets.
func countBounded(fn any) any {
	return wrap(fn, func(args []reflect.Value, call func() []reflect.Value) ([]reflect.Value, error) {
		for _, a := range args {
			if err := checkCounts(a); err != nil {
				return nil, err
			}
		}
		return call(), nil
	})
}

func checkCounts(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkCounts(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Int:
		if n := v.Int(); n > maxCount || n < -maxCount {
			return fmt.Errorf("%d is out of bounds (%d to %d)", n, -maxCount, maxCount)
		}
	}
	return nil
}

// sizeBounded checks what fn gets and returns, so that a text can neither
// double a value until memory is gone nor put a map into itself.
func sizeBounded(fn any) any {
	return wrap(fn, func(args []reflect.Value, call func() []reflect.Value) ([]reflect.Value, error) {
		for _, a := range args {
			if err := checkSize(a.Interface()); err != nil {
				return nil, err
			}
		}
		out := call()
		return out, checkSize(out[0].Interface())
	})
}

type around func(args []reflect.Value, call func() []reflect.Value) ([]reflect.Value, error)

// wrap makes a function of fn's parameters that returns fn's result and an error.
func wrap(fn any, check around) any {
	f := reflect.ValueOf(fn)
	t := f.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	errType := reflect.TypeFor[error]()
	to := reflect.FuncOf(in, []reflect.Type{t.Out(0), errType}, t.IsVariadic())
	return reflect.MakeFunc(to, func(args []reflect.Value) []reflect.Value {
		out, err := check(args, func() []reflect.Value {
			if t.IsVariadic() {
				return f.CallSlice(args)
			}
			return f.Call(args)
		})
		if err != nil {
			return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		if len(out) == 1 {
			out = append(out, reflect.Zero(errType))
		}
		return out
	}).Interface()
}
