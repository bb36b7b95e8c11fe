package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

type color string

const (
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	dim    color = "2"
)

// paint colors text for a terminal. Color never carries meaning alone.
func (s *session) paint(tty bool, c color, text string) string {
	on := tty && !s.flags.noColor && s.env["NO_COLOR"] == "" && s.env["RS_NO_COLOR"] == "" && s.env["TERM"] != "dumb"
	switch s.flags.color {
	case "always":
		on = true
	case "never":
		on = false
	}
	if !on || text == "" || c == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// plain makes text from a server safe for any terminal: no control characters
// but the line feed and the tab.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, text)
}

// formatOf is the output format: chosen, or a table for people and JSON for pipes.
func (s *session) formatOf() string {
	switch {
	case s.flags.format == "jsonl":
		return "jsonl"
	case s.flags.format != "":
		return s.flags.format
	case s.flags.fields != "", s.outTTY:
		return "table"
	}
	return "json"
}

// isTable says whether the result is drawn for people.
func (s *session) isTable() bool { f := s.formatOf(); return f == "table" || f == "wide" }

// print writes a result: an object or a list of objects of a kind, "" for
// anything else.
func (s *session) print(kind string, v any) error {
	switch f := s.formatOf(); f {
	case "table", "wide":
		return s.printTable(kind, bare(v))
	case "yaml":
		data, err := yaml.Marshal(bare(v))
		if err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
		_, err = s.out.Write(data)
		return err
	case "name":
		return s.printNames(v)
	case "jsonl":
		return s.printLines(v)
	default:
		if text, ok := strings.CutPrefix(f, templatePrefix); ok {
			return s.printTemplate(text, bare(v))
		}
		if path, ok := strings.CutPrefix(f, pathPrefix); ok {
			return s.printPath(path, bare(v))
		}
	}
	data, err := encode(v, "  ")
	if err != nil {
		return err
	}
	_, err = s.out.Write(data)
	return err
}

// printLines writes one object a line.
func (s *session) printLines(v any) error {
	for _, o := range rowsOf(v) {
		data, err := encode(o, "")
		if err != nil {
			return err
		}
		if _, err := s.out.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// unchanged prints an object that is already as wanted.
func (s *session) unchanged(kind string, v any, format string, args ...any) error {
	s.note(format+": unchanged", args...)
	if err := s.print(kind, v); err != nil || !s.flags.strict {
		return err
	}
	return failf(exitUnchanged, format+": unchanged", args...)
}

func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	return b.Bytes(), nil
}

func (s *session) printNames(v any) error {
	for _, o := range rowsOf(v) {
		if err := s.line("%s", nameOf(o)); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is what a person calls an object.
func nameOf(v any) string {
	for _, f := range []string{"Name", "Id", "ID", "Addr", "Path", "meta.Name", "Uuid", "Mac"} {
		if t := text(field(v, f)); t != "" {
			return t
		}
	}
	return text(v)
}

func rowsOf(v any) []any {
	switch list := v.(type) {
	case []any:
		return list
	case []doc:
		out := make([]any, len(list))
		for i, d := range list {
			out[i] = d
		}
		return out
	}
	return []any{v}
}

// field finds a value by its dotted path; below Params and Meta the rest is
// one key, since their keys hold dots and slashes.
func field(v any, path string) any {
	m, ok := bare(v).(map[string]any)
	if !ok {
		return nil
	}
	if found, ok := m[path]; ok {
		return found
	}
	head, rest, ok := strings.Cut(path, ".")
	if !ok {
		return nil
	}
	return field(m[head], rest)
}

// text renders one value for a cell.
func text(v any) string {
	switch x := v.(type) {
	case doc:
		return text(x.val)
	case nil:
		return ""
	case string:
		return x
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = text(e)
		}
		return strings.Join(parts, ",")
	case float64, bool, int, json.Number:
		return strings.TrimSuffix(fmt.Sprintf("%v", x), ".0")
	}
	data, err := encode(v, "")
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(string(data))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// printTable draws lists as rows, one object as a column of its fields.
func (s *session) printTable(kind string, v any) error {
	switch x := v.(type) {
	case []any:
		return s.drawTable(s.columnsOf(kind, x), x)
	case map[string]any:
		if s.flags.fields != "" {
			return s.drawTable(s.columnsOf(kind, []any{x}), []any{x})
		}
		return s.drawObject(x)
	case nil:
		return nil
	}
	return s.line("%s", text(v))
}

func (s *session) drawObject(m map[string]any) error {
	keys := sortedKeys(m)
	slices.SortStableFunc(keys, func(a, b string) int { return headRank(a) - headRank(b) })
	width := 0
	for _, k := range keys {
		width = max(width, len(k))
	}
	for _, k := range keys {
		t := text(m[k])
		if t == "" || t == "{}" {
			continue
		}
		if sub, ok := m[k].(map[string]any); ok && len(sub) > 0 {
			t = ""
			for _, p := range sortedKeys(sub) {
				t += "\n" + strings.Repeat(" ", width+2) + p + ": " + text(sub[p])
			}
			t = strings.TrimLeft(t, "\n ")
		}
		if err := s.line("%-*s  %s", width, k, t); err != nil {
			return err
		}
	}
	return nil
}

// headRank puts what names an object before the rest.
func headRank(k string) int {
	if i := slices.Index([]string{"Name", "Id", "ID", "Uuid", "State", "Description"}, k); i >= 0 {
		return i
	}
	return 99
}
