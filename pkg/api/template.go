package api

import (
	"fmt"
	"text/template/parse"
)

// parseProblem finds syntax errors when a template is saved, long before a
// machine needs it. Function names are checked when it is rendered.
func parseProblem(name, text string) []string {
	t := parse.New(name)
	t.Mode = parse.SkipFuncCheck
	if _, err := t.Parse(text, "", "", map[string]*parse.Tree{}); err != nil {
		return []string{fmt.Sprintf("template %v", err)}
	}
	return nil
}
