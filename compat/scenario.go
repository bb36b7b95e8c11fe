package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
)

// A scenario is a text file:
//
//	# a comment
//	file pack.yaml            the lines that follow, without their two blanks,
//	  meta: {Name: x}         become this file in the scenario's directory
//	$ machines list           a drpcli command, quoted as for a shell
//	< text                    a line of its standard input
//	  []                      a line of its standard output
//	! Error: no               a line of its standard error
//	? 1                       its exit code, 0 if not given
//	% cat out.json            a command of the shell, not counted
//
// An empty line between lines of output is one of output.
//
// In expectations <uuid>, <time>, <hex>, <int> and <any> stand for what
// differs from run to run, <uuid:name> also remembers it: ${name} is then the
// same value in later lines. ${PORT} and ${DIR} are given.
type step struct {
	line    int
	note    []string // comments and blank lines before it, verbatim
	file    string   // name of a file to write
	command string   // of drpcli, or of the shell
	shell   bool
	stdin   []string
	stdout  []string // also the lines of a file
	stderr  []string
	exit    int
}

// parse reads a scenario; rest are comments after the last step.
func parse(data []byte) (steps []*step, rest []string, err error) {
	var note []string
	var s *step
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		text := in.Text()
		fresh := &step{line: n, note: note}
		switch {
		case text == "" || text[0] == '#':
			note = append(note, text)
			continue
		case strings.HasPrefix(text, "$ "):
			fresh.command = text[2:]
		case strings.HasPrefix(text, "% "):
			fresh.command, fresh.shell = text[2:], true
		case strings.HasPrefix(text, "file "):
			fresh.file = text[5:]
		default:
			if err := s.take(note, text); err != nil {
				return nil, nil, fmt.Errorf("line %d: %q belongs to no command (%w)", n, text, err)
			}
			note = nil
			continue
		}
		steps, s, note = append(steps, fresh), fresh, nil
	}
	return steps, note, in.Err()
}

// take adds a line of input or expectation to the step. What is between it and
// the line before can only be blank lines of the output.
func (s *step) take(between []string, text string) error {
	if s == nil {
		return fmt.Errorf("no command before it")
	}
	if strings.Join(between, "") != "" || (len(between) > 0 && !strings.HasPrefix(text, "  ")) {
		return fmt.Errorf("only output has blank lines")
	}
	s.stdout = append(s.stdout, between...)
	head, tail := text[:min(2, len(text))], text[min(2, len(text)):]
	switch {
	case head == "  ":
		s.stdout = append(s.stdout, tail)
	case s.file != "":
		return fmt.Errorf("a file has only indented lines")
	case head == "< ":
		s.stdin = append(s.stdin, tail)
	case head == "! " || head == "!":
		s.stderr = append(s.stderr, tail)
	case head == "? ":
		_, err := fmt.Sscan(tail, &s.exit)
		return err
	default:
		return fmt.Errorf("a line begins with two blanks, <, !, ?, $, %%, # or file")
	}
	return nil
}

// text writes the step as a scenario has it.
func (s *step) text(b *strings.Builder) {
	for _, n := range s.note {
		b.WriteString(n + "\n")
	}
	switch {
	case s.file != "":
		b.WriteString("file " + s.file + "\n")
	case s.shell:
		b.WriteString("% " + s.command + "\n")
	default:
		b.WriteString("$ " + s.command + "\n")
	}
	for _, group := range []struct {
		mark  string
		lines []string
	}{{"< ", s.stdin}, {"  ", s.stdout}, {"! ", s.stderr}} {
		for _, l := range group.lines {
			b.WriteString(strings.TrimRight(group.mark+l, " \t") + "\n")
		}
	}
	if s.exit != 0 {
		fmt.Fprintf(b, "? %d\n", s.exit)
	}
}

func save(path string, steps []*step, rest []string) error {
	var b strings.Builder
	for _, s := range steps {
		s.text(&b)
	}
	for _, n := range rest {
		b.WriteString(n + "\n")
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
