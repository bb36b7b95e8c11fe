package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"drpd/pkg/resource"
)

// maxInput bounds a body given in a file or on standard input.
const maxInput = 64 << 20

// bodyText reads a body given inline, as a file, or as - for standard input.
func (s *session) bodyText(arg string) ([]byte, error) {
	if arg == "-" {
		if s.inFD >= 0 {
			s.note("reading from the terminal; end with Ctrl-D")
		}
		data, err := io.ReadAll(io.LimitReader(s.in, maxInput))
		if err == nil && len(data) == 0 {
			err = failf(exitUsage, "standard input is empty")
		}
		return data, err
	}
	if inline(arg) {
		return []byte(arg), nil
	}
	data, err := readFile(arg)
	if os.IsNotExist(err) {
		return nil, failf(exitUsage, "%q is neither JSON, YAML nor a file", arg)
	}
	return data, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxInput))
}

func inline(arg string) bool {
	t := strings.TrimSpace(arg)
	return strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") || strings.HasPrefix(t, "---") ||
		strings.Contains(t, "\n") || strings.Contains(t, ": ")
}

// bodyValue decodes JSON or YAML.
func (s *session) bodyValue(arg string) (any, error) {
	data, err := s.bodyText(arg)
	if err != nil {
		return nil, err
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return nil, failf(exitUsage, "the body is neither JSON nor YAML: %v", err)
	}
	return v, nil
}

func (s *session) bodyObject(arg string) (map[string]any, error) {
	v, err := s.bodyValue(arg)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, failf(exitUsage, "the body must be an object")
	}
	return m, nil
}

// value reads one value: @file is a file's contents, - a line of standard
// input, JSON if it parses, else a string. So a secret need not stand on the
// command line.
func (s *session) value(arg string) (any, error) {
	switch {
	case arg == "-":
		return s.readLine()
	case strings.HasPrefix(arg, "@"):
		data, err := readFile(arg[1:])
		if err != nil {
			return nil, failf(exitUsage, "read the value: %v", err)
		}
		return parsed(strings.TrimRight(string(data), "\r\n")), nil
	}
	return parsed(arg), nil
}

func parsed(arg string) any {
	d := json.NewDecoder(strings.NewReader(arg))
	var v any
	if d.Decode(&v) == nil && !d.More() {
		return v
	}
	return arg
}

// pairs reads key=value words.
func (s *session) pairs(words []string) (map[string]any, error) {
	out := map[string]any{}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, failf(exitUsage, "%q is not key=value", w)
		}
		val, err := s.value(v)
		if err != nil {
			return nil, err
		}
		out[k] = val
	}
	return out, nil
}

// fieldsOf lists the JSON fields of a kind with their zero values, so that a
// word for a list or a string is read as one.
func fieldsOf(k resource.Any) map[string]any {
	zero, err := k.Decode([]byte("{}"))
	if err != nil {
		return nil
	}
	data, err := json.Marshal(zero)
	out := map[string]any{}
	if err == nil {
		_ = json.Unmarshal(data, &out)
	}
	return out
}

// assign puts pairs into an object: a key with a slash, or one that is no
// field of a kind with params, is a param.
func assign(k resource.Any, o map[string]any, set map[string]any) error {
	known := fieldsOf(k)
	for _, key := range sortedKeys(set) {
		if strings.Contains(key, "/") {
			if _, ok := known["Params"]; !ok {
				return failf(exitUsage, "%s have no params: %q cannot be set", k.KindName(), key)
			}
			p, _ := o["Params"].(map[string]any)
			if p == nil {
				p = map[string]any{}
			}
			p[key] = set[key]
			o["Params"] = p
			continue
		}
		o[key] = fitted(k, key, set[key])
	}
	return nil
}

// fitted makes the value what the field can hold: a string field gets the text
// of a number, a list gets its words.
func fitted(k resource.Any, key string, v any) any {
	try := func(v any) bool {
		data, err := json.Marshal(map[string]any{key: v})
		if err != nil {
			return false
		}
		_, err = k.Decode(data)
		return err == nil
	}
	if try(v) {
		return v
	}
	words := []any{}
	for w := range strings.SplitSeq(text(v), ",") {
		words = append(words, w)
	}
	for _, other := range []any{text(v), words} {
		if try(other) {
			return other
		}
	}
	return v
}

// keyField is the field that a bare name on the command line fills.
func keyField(k resource.Any) string {
	known := fieldsOf(k)
	for _, f := range []string{"Name", "Id", "ID", "Addr", "Path"} {
		if _, ok := known[f]; ok {
			return f
		}
	}
	return "Uuid"
}

// newBody makes the body of create: a body, or a name and pairs.
func (s *session) newBody(k resource.Any, args []string) (map[string]any, error) {
	o, rest := map[string]any{}, args
	switch first := args[0]; {
	case first == "-" || inline(first) || isFile(first):
		var err error
		if o, err = s.bodyObject(first); err != nil {
			return nil, err
		}
		rest = args[1:]
	case !strings.Contains(first, "="):
		o[keyField(k)] = first
		rest = args[1:]
	}
	set, err := s.pairs(rest)
	if err != nil {
		return nil, err
	}
	if err := assign(k, o, set); err != nil {
		return nil, err
	}
	return o, nil
}

func isFile(path string) bool {
	if !strings.ContainsAny(path, "./") {
		return false
	}
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func shortID(id string) string { return fmt.Sprintf("%.8s", id) }
