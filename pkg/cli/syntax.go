package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// token is one word of a use line: <x> is a value, anything else stands for
// itself.
type token struct {
	name string
	word bool
}

func (t token) String() string {
	if t.word {
		return t.name
	}
	return "<" + t.name + ">"
}

// syntax is a use line as a grammar, so that what help shows is what is
// accepted: words and values in their order, [..] may be left out as a whole,
// ... repeats.
type syntax struct {
	must []token
	may  [][]token
	many bool
}

// parseUse reads a use line; its first word is the name of the verb.
func parseUse(use string) syntax {
	_, rest, _ := strings.Cut(use, " ")
	var s syntax
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		part, optional := "", rest[0] == '['
		if optional {
			part, rest, _ = strings.Cut(rest[1:], "]")
			if strings.HasPrefix(rest, "...") {
				part, rest = part+"...", rest[3:]
			}
		} else if end := strings.IndexByte(rest, '>'); rest[0] == '<' && end > 0 {
			end += strings.IndexByte(rest[end:]+" ", ' ')
			part, rest = rest[:end], rest[end:]
		} else {
			part, rest, _ = strings.Cut(rest, " ")
		}
		s.add(part, optional)
	}
	return s
}

func (s *syntax) add(part string, optional bool) {
	if p, ok := strings.CutSuffix(part, "..."); ok {
		part, s.many = p, true
	}
	var group []token
	if !optional {
		s.must = append(s.must, tokenOf(part))
		return
	}
	for w := range strings.FieldsSeq(part) {
		group = append(group, tokenOf(w))
	}
	s.may = append(s.may, group)
}

func tokenOf(w string) token {
	name, value := strings.CutPrefix(w, "<")
	if value || strings.ContainsAny(w, "=|") {
		name, _, _ = strings.Cut(name, ">")
		return token{name: name}
	}
	return token{name: name, word: true}
}

// most is how many arguments there may be, -1 for any number.
func (s syntax) most() int {
	if s.many {
		return -1
	}
	n := len(s.must)
	for _, g := range s.may {
		n += len(g)
	}
	return n
}

// at is what the use line says of the argument after args.
func (s syntax) at(args []string) (token, bool) {
	if len(args) < len(s.must) {
		return s.must[len(args)], true
	}
	i := len(s.must)
	for _, g := range s.may {
		if len(args) < i+len(g) {
			return g[len(args)-i], true
		}
		i += len(g)
	}
	if s.many && i > 0 {
		if len(s.may) > 0 {
			return s.may[len(s.may)-1][0], true
		}
		return s.must[len(s.must)-1], true
	}
	return token{}, false
}

// check refuses what the use line does not allow, but for missing arguments.
func (s syntax) check(c *cobra.Command, args []string) error {
	for i, t := range s.must {
		if t.word && i < len(args) && args[i] != t.name {
			return usage(c, "%q stands where the word %q belongs", args[i], t.name)
		}
	}
	if n := s.most(); n >= 0 && len(args) > n {
		return usage(c, "%q is too much", args[n])
	}
	return nil
}

// verb makes a command whose arguments follow its use line. On a terminal it
// asks for those that are missing.
func (s *session) verb(use, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	g := parseUse(use)
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := g.check(c, args); err != nil {
			return err
		}
		args, err := s.fill(c, g, args)
		if err != nil {
			return err
		}
		err = run(c.Context(), args)
		if f, ok := errors.AsType[*failure](err); ok && f.code == exitUsage && f.status == 0 && f.fix == "" {
			g := *f
			g.fix = c.UseLine()
			return &g
		}
		return err
	}
	return c
}

// fill asks for what is missing, or lists all of it at once.
func (s *session) fill(c *cobra.Command, g syntax, args []string) ([]string, error) {
	var missing []string
	for i := len(args); i < len(g.must); i++ {
		t := g.must[i]
		if t.word {
			args = append(args, t.name)
			continue
		}
		answer, asked, err := s.askFor(c, t, args)
		if err != nil {
			return nil, err
		}
		if !asked || answer == "" {
			missing = append(missing, t.String())
		}
		args = append(args, answer)
	}
	if len(missing) > 0 {
		return nil, usage(c, "missing: %s", strings.Join(missing, ", "))
	}
	return args, nil
}

// askFor asks for one argument; "?" lists what it may be.
func (s *session) askFor(c *cobra.Command, t token, args []string) (string, bool, error) {
	if id := s.env["RS_UUID"]; t.name == "id" && id != "" && c.HasParent() && c.Parent().Name() == "machines" {
		return id, true, nil
	}
	for {
		answer, asked, err := s.ask(t.name + ": ")
		if answer != "?" || err != nil {
			return answer, asked, err
		}
		if c.ValidArgsFunction == nil {
			s.note("%s", c.UseLine())
			continue
		}
		names, _ := c.ValidArgsFunction(c, args, "")
		s.note("%s", strings.Join(names, "\n"))
	}
}

// wantWord checks a word in an optional part of a use line.
func wantWord(got, want string) error {
	if got != want {
		return failf(exitUsage, "%q stands where the word %q belongs", got, want)
	}
	return nil
}

// exampleOf makes an example of a use line where none was written.
func exampleOf(path, kind, use string) string {
	out := "  " + path
	g := parseUse(use)
	for _, t := range g.must {
		if t.word {
			out += " " + t.name
			continue
		}
		out += " " + sample(kind, t.name)
	}
	return out
}

// exemplify gives every verb below c an example.
func exemplify(c *cobra.Command, path, kind string) {
	for _, sub := range c.Commands() {
		at := path + " " + sub.Name()
		if sub.Example == "" && sub.Runnable() {
			sub.Example = exampleOf(at, kind, sub.Use)
		}
		exemplify(sub, at, kind)
	}
}

// sample is a likely value of one word of a use line.
func sample(kind, name string) string {
	switch name {
	case "id", "name":
		return sampleID(kind)
	case "Field=value", "condition":
		return "Available=true"
	case "body":
		return fmt.Sprintf("'{%q: %q}'", "Name", sampleID(kind))
	case "JSON patch":
		return `'[{"op": "replace", "path": "/Description", "value": "rack 7"}]'`
	case "key", "param":
		return map[bool]string{true: "rack", false: "rack/unit"}[name == "key" && kind == "meta"]
	}
	values := map[string]string{"value": "21", "profile": "rack7", "workflow": "universal-discover", "stage": "discover", "bootenv": "local",
		"task": "inventory", "action": "poweron", "file": "./x.bin", "pool": "default", "state": "failed", "on|off": "on", "start": "10.0.0.10",
		"end": "10.0.0.99", "address": "10.0.0.1", "pickers": "hint,nextFree,mostExpired", "active": "3600", "reserved": "7200", "code": "6",
		"shell": "bash", "kind": "machines", "event": `'{"Type": "rack", "Action": "opened", "Key": "r7"}'`, "URL": "https://drpd:8092",
		"folder": ".", "cert": "cert.pem", "private": "key.pem", "socket": "./drpcli.sock", "type": "heap", "blueprint": "restart-app",
		"zip": "drpd.zip", "common name": "drpd.example", "root": "site", "password": "-", "text": "'{{ .Machine.Name }}'", "pack": "pack.yaml"}
	if v, ok := values[name]; ok {
		return v
	}
	return strings.ReplaceAll(name, " ", "-")
}

func sampleID(kind string) string {
	ids := map[string]string{"machines": "n1", "clusters": "web", "resource_brokers": "rack-east", "pools": "default", "jobs": "3b7e8a12",
		"work_orders": "3b7e8a12", "subnets": "lab", "leases": "10.0.0.20", "reservations": "10.0.0.5", "users": "ann", "bootenvs": "local",
		"workflows": "universal-discover", "profiles": "global", "templates": "motd.tmpl", "contents": "my-pack", "files": "kernels/vmlinuz",
		"isos": "debian-13.iso", "params": "rack/unit", "blueprints": "restart-app", "roles": "superuser", "tasks": "inventory"}
	if id, ok := ids[kind]; ok {
		return id
	}
	return "x1"
}
