package param

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"drpd/pkg/resource"
)

// Resolver looks parameters up in one scope. With a Vault it opens secure
// values; without one they stay sealed, and the typed getters refuse them.
type Resolver struct {
	Reader resource.Reader
	Scope  Scope
	Vault  *Vault
}

// Get is Get with the value opened.
func (x Resolver) Get(name string) (any, Source, bool, error) {
	v, src, ok := Get(x.Reader, x.Scope, name)
	if !ok {
		return nil, src, false, nil
	}
	v, err := x.open(name, src, v)
	return v, src, err == nil, err
}

// Compose is Compose with each value opened before they are merged.
func (x Resolver) Compose(name string) (any, bool, error) {
	var out any
	found := false
	for src, params := range x.Scope.layers(x.Reader) {
		v, ok := params[name]
		if !ok {
			continue
		}
		v, err := x.open(name, src, v)
		if err != nil {
			return nil, false, err
		}
		if found {
			v = merge(out, v)
		}
		out, found = v, true
	}
	if !found {
		out, found = defaultOf(x.Reader, name)
	}
	return out, found, nil
}

func (x Resolver) open(name string, src Source, v any) (any, error) {
	if x.Vault == nil || src.Kind == "" {
		return v, nil
	}
	out, err := x.Vault.Open(x.Reader, src.Kind, src.Key, v)
	if err != nil {
		return nil, fmt.Errorf("param %s from %s: %w", name, src, err)
	}
	return out, nil
}

// merge adds a farther value to a nearer one without changing either.
func merge(near, far any) any {
	switch n := near.(type) {
	case []any:
		if f, ok := far.([]any); ok {
			return slices.Concat(n, f)
		}
	case map[string]any:
		f, ok := far.(map[string]any)
		if !ok || IsSealed(near) || IsSealed(far) {
			return near
		}
		out := maps.Clone(f)
		for k, v := range n {
			if fv, ok := f[k]; ok {
				v = merge(v, fv)
			}
			out[k] = v
		}
		return out
	}
	return near
}

// Int returns a whole number.
func (x Resolver) Int(name string) (int, error) { return typed(x, name, "a whole number", toInt) }

// String returns a string.
func (x Resolver) String(name string) (string, error) {
	return typed(x, name, "a string", func(v any) (string, bool) { s, ok := v.(string); return s, ok })
}

// Bool returns a boolean.
func (x Resolver) Bool(name string) (bool, error) {
	return typed(x, name, "a boolean", func(v any) (bool, bool) { b, ok := v.(bool); return b, ok })
}

// Strings returns an array of strings.
func (x Resolver) Strings(name string) ([]string, error) {
	return typed(x, name, "an array of strings", toStrings)
}

// Int is Resolver.Int without a Vault.
func Int(r resource.Reader, s Scope, name string) (int, error) {
	return Resolver{Reader: r, Scope: s}.Int(name)
}

// String is Resolver.String without a Vault.
func String(r resource.Reader, s Scope, name string) (string, error) {
	return Resolver{Reader: r, Scope: s}.String(name)
}

// Bool is Resolver.Bool without a Vault.
func Bool(r resource.Reader, s Scope, name string) (bool, error) {
	return Resolver{Reader: r, Scope: s}.Bool(name)
}

// Strings is Resolver.Strings without a Vault.
func Strings(r resource.Reader, s Scope, name string) ([]string, error) {
	return Resolver{Reader: r, Scope: s}.Strings(name)
}

// typed gets a value of one type. Its errors never show the value, which may
// be a secret.
func typed[T any](x Resolver, name, want string, conv func(any) (T, bool)) (T, error) {
	var zero T
	v, src, ok, err := x.Get(name)
	if err != nil {
		return zero, err
	}
	if !ok {
		return zero, Missing(x.Scope, name)
	}
	if out, ok := conv(v); ok {
		return out, nil
	}
	return zero, resource.Errorf(resource.Invalid, "params", name, "%s gives %s, but %s is wanted", src, typeName(v), want)
}

// Missing is the error for a parameter that nothing sets: NotFound.
func Missing(s Scope, name string) error {
	return resource.Errorf(resource.NotFound, "params", name, "not set for %s: set it there, in one of its profiles or in profile %s", s.who(), Global)
}

func (s Scope) who() string {
	switch {
	case s.Machine != nil:
		return fmt.Sprintf("machine %s (%s)", s.Machine.Name, s.Machine.Uuid)
	case s.Order != nil:
		return "work order " + s.Order.Uuid
	case s.Blueprint != nil:
		return "blueprint " + s.Blueprint.Name
	case s.Stage != nil:
		return "stage " + s.Stage.Name
	}
	return "any machine"
}

func toInt(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		// Beyond 2^53 a float64 no longer holds every whole number.
		return int(n), n == math.Trunc(n) && math.Abs(n) <= 1<<53
	case interface{ Int64() (int64, error) }: // json.Number
		i, err := n.Int64()
		return int(i), err == nil
	}
	return 0, false
}

func toStrings(v any) ([]string, bool) {
	switch list := v.(type) {
	case []string:
		return list, true
	case []any:
		out := make([]string, len(list))
		for i, item := range list {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}

func typeName(v any) string {
	if IsSealed(v) {
		return "a sealed value"
	}
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case []any, []string:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return "a number"
}
