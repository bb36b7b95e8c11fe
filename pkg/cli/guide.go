package cli

import (
	"context"
	"slices"
	"strings"

	"drpd/pkg/api"
)

// guide asks on a terminal for the params that a workflow requires and that
// nothing gives yet, and ends with the command line that asks nothing.
func (c *clusters) guide(ctx context.Context, body object, flow string) error {
	if c.inFD < 0 || !c.errTTY || c.flags.silent || flow == "" {
		return nil
	}
	wanted, err := c.requiredParams(ctx, flow)
	if err != nil || len(wanted) == 0 {
		return err
	}
	given, _ := body["Params"].(map[string]any)
	if given == nil {
		given = object{}
	}
	line := "drpcli clusters create " + nameOf(body) + " --silent"
	asked := 0
	for _, name := range wanted {
		v, word, err := c.askParam(ctx, name, given)
		if err != nil {
			return err
		}
		if v != nil {
			given[name] = v
			if word == "-" {
				c.typed = append(c.typed, name)
			}
			line += " " + name + "=" + word
			asked++
		}
	}
	if asked > 0 {
		body["Params"] = given
		c.note("the same without questions: %s", line)
	}
	return nil
}

// requiredParams are those that the stages of a workflow and their tasks name,
// in order. What does not exist is the server's to refuse.
func (s *session) requiredParams(ctx context.Context, flow string) ([]string, error) {
	var out []string
	add := func(kind, name, more string) ([]any, error) {
		var o doc
		err := s.conn().get(ctx, at(kind, name), nil, &o)
		if err != nil && !isNotFound(err) {
			return nil, about(err, "required params of %s", flow)
		}
		for _, p := range o.list("RequiredParams") {
			if !slices.Contains(out, text(p)) {
				out = append(out, text(p))
			}
		}
		return o.list(more), nil
	}
	stages, err := add("workflows", flow, "Stages")
	if err != nil {
		return nil, err
	}
	for _, st := range stages {
		tasks, err := add("stages", text(st), "Tasks")
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			if verb, _ := api.Entry(text(t)); verb != "" {
				continue // an operation of the server, not a task
			}
			if _, err := add("tasks", text(t), ""); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// askParam asks for one param, unless it is given, has a default or is global.
// word is the value for a command line.
func (s *session) askParam(ctx context.Context, name string, given object) (v any, word string, err error) {
	if _, ok := given[name]; ok {
		return nil, "", nil
	}
	var global any
	if s.conn().get(ctx, at("profiles", "global", "params")+slashed(name), nil, &global) == nil && global != nil {
		return nil, "", nil
	}
	var def doc
	if err := s.conn().get(ctx, "/params"+at(name), nil, &def); err != nil && !isNotFound(err) {
		return nil, "", about(err, "param %s", name)
	}
	if def.at("Schema.default") != nil {
		return nil, "", nil
	}
	if def.at("Secure") == true {
		t, err := s.secret("", name+" (not shown): ")
		return parsed(t), "-", err
	}
	for {
		answer, _, err := s.ask(name + hint(def) + ": ")
		switch {
		case err != nil:
			return nil, "", err
		case answer == "?":
			s.note("%s\n%s", def.text("Description"), strings.TrimSpace(def.text("Documentation")))
		case answer == "":
			s.note("%s is required", name)
		case !allowed(def, answer):
			s.note("%s is one of %s", name, def.text("Schema.enum"))
		default:
			return parsed(answer), quoted(answer), nil
		}
	}
}

// hint is what a schema says of a value, for a prompt.
func hint(def doc) string {
	if enum := def.text("Schema.enum"); enum != "" {
		return " (" + enum + ")"
	}
	if t := def.text("Schema.type"); t != "" {
		return " (" + t + ", ? explains)"
	}
	return ""
}

func allowed(def doc, answer string) bool {
	enum := def.list("Schema.enum")
	return len(enum) == 0 || slices.ContainsFunc(enum, func(e any) bool { return same(e, parsed(answer)) || text(e) == answer })
}

// quoted is a word for a shell.
func quoted(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n'\"\\$&|;<>()[]{}*?#~`!") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
