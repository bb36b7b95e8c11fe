package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

// Output formats that carry an expression.
const (
	templatePrefix = "go-template="
	pathPrefix     = "jsonpath="
)

// printTemplate renders the result with a Go template, as kubectl does.
func (s *session) printTemplate(text string, v any) error {
	t, err := template.New("-o").Option("missingkey=zero").Funcs(template.FuncMap{"json": func(v any) (string, error) {
		data, err := json.Marshal(v)
		return string(data), err
	}}).Parse(text)
	if err != nil {
		return failf(exitUsage, "the template: %v", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return failf(exitUsage, "the template: %v", err)
	}
	_, err = fmt.Fprint(s.out, plain(b.String()))
	return err
}

// printPath prints what a JSONPath selects, one value on a line. It knows
// .name, ['name'], [2] and [*].
func (s *session) printPath(path string, v any) error {
	found, err := selectPath(path, v)
	if err != nil {
		return err
	}
	for _, x := range found {
		if err := s.line("%s", text(x)); err != nil {
			return err
		}
	}
	return nil
}

func selectPath(path string, v any) ([]any, error) {
	rest := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(path, "{"), "}"), "$")
	at := []any{v}
	for rest != "" {
		var step string
		switch {
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, failf(exitUsage, "the path %q has no ] after [", path)
			}
			step, rest = rest[1:end], rest[end+1:]
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			step, rest = "'"+rest[1:end+1]+"'", rest[end+1:]
		default:
			return nil, failf(exitUsage, "the path %q does not go on with . or [ at %q", path, rest)
		}
		at = takeStep(at, step)
	}
	return at, nil
}

func takeStep(from []any, step string) []any {
	var out []any
	for _, v := range from {
		switch x := v.(type) {
		case map[string]any:
			if step == "*" || step == "'*'" {
				for _, k := range sortedKeys(x) {
					out = append(out, x[k])
				}
			} else if found, ok := x[strings.Trim(step, `'"`)]; ok {
				out = append(out, found)
			}
		case []any:
			if step == "*" {
				out = append(out, x...)
			} else if i, err := strconv.Atoi(step); err == nil && i >= -len(x) && i < len(x) {
				out = append(out, x[(i+len(x))%len(x)])
			}
		}
	}
	return out
}
