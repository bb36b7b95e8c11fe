package main

import (
	"strings"
	"testing"
)

func TestParseAndText(t *testing.T) {
	t.Parallel()
	const in = "# profiles\n\n$ profiles create -\n< {\"Name\": \"a\"}\n  {\n    \"Name\": \"a\"\n  }\n\nfile x.yaml\n  a: 1\n$ profiles show b\n! Error: GET: profiles/b: Not Found\n!\n? 1\n% cat x.yaml\n  a: 1\n# end\n"
	steps, rest, err := parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 4 || steps[1].file != "x.yaml" || steps[2].exit != 1 || !steps[3].shell {
		t.Fatalf("%+v", steps)
	}
	var b strings.Builder
	for _, s := range steps {
		s.text(&b)
	}
	if got := b.String() + strings.Join(rest, "\n") + "\n"; got != in {
		t.Errorf("got %q\nwant %q", got, in)
	}
	for _, bad := range []string{"  stray\n", "$ a\nno mark\n", "file f\n< in\n", "$ a\n? x\n", "$ a\n# c\n  late\n", "$ a\n  x\n\n! y\n"} {
		if _, _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const id = "3e7031fe-3062-45f1-835c-92541bc9cbd3"
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"a", "a", true},
		{"a", "a ", true},
		{"a", "b", false},
		{`"U": "<uuid>"`, `"U": "` + id + `"`, true},
		{`"U": "<uuid>"`, `"U": "x"`, false},
		{"at <time>.", "at 2026-11-21T04:16:36.5Z.", true},
		{"<int>+<int>", "1+-2", true},
		{"(<any>)", "(a(b))", true},
		{"(<any>)", "(a(b)", true},
		{"[<any>]", "(a)", false},
		{"<uuid:A> ${B}", id + " b", true},
	} {
		vars := map[string]string{"B": "b"}
		if got := match([]string{c.want}, []string{c.got}, vars) == ""; got != c.ok {
			t.Errorf("match(%q, %q) = %v", c.want, c.got, got)
		}
		if strings.Contains(c.want, ":A") && vars["A"] != id {
			t.Errorf("A is %q", vars["A"])
		}
	}
	if match([]string{"a"}, []string{"a", "b"}, nil) == "" || match([]string{"a", "b"}, []string{"a"}, nil) == "" {
		t.Error("other numbers of lines match")
	}
}

func TestCountSteps(t *testing.T) {
	t.Parallel()
	const log = "    t.go:1: x\n    00_agent_test.go:31: Testing one\n    00_agent_test.go:42: Got expected results\n" +
		"    00_agent_test.go:31: Testing two\n    00_agent_test.go:45: ERROR: Got unexpected error: x\n    00_agent_test.go:31: Testing three\n"
	got, bad := countSteps([]byte(log))
	if got != (tally{passed: 2, failed: 1}) || len(bad) != 1 || bad[0] != "two" {
		t.Errorf("%+v %v", got, bad)
	}
}
