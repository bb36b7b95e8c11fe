package cli

import (
	"fmt"
	"io"
)

// filterHelp are the words that lists, await and pools take to choose objects:
// an example for each, which a test runs, and what it means.
func filterHelp() [][2]string {
	return [][2]string{
		{"Name=n1", "equal; the same as Name=Eq(n1)"},
		{"Name=Eq(n1)", "equal, where the value looks like an operator"},
		{"Name=Ne(n1)", "not equal"},
		{"Address=Lt(10.0.0.2)", "less; Lte(..): or equal"},
		{"Address=Lte(10.0.0.2)", "less or equal"},
		{"Address=Gt(10.0.0.1)", "greater; Gte(..): or equal"},
		{"Address=Gte(10.0.0.1)", "greater or equal"},
		{"Address=Between(10.0.0.1,10.0.0.2)", "from the first to the second, both too"},
		{"Address=Except(10.0.0.1,10.0.0.2)", "outside of that"},
		{"Name=In(n1,n3)", "one of these"},
		{"Name=Nin(n1,n3)", "none of these"},
		{"Name=Re(^n[12]$)", "matches a regular expression"},
		{"rack=r7", "a param, its default and profiles too"},
		{"Meta.color=red", "a value in Meta"},
		{"Name=n1 Name=n2", "one field twice: one of both"},
		{"Name=Re(^n) Meta.color=red", "different fields: all must hold"},
		{"sort=Name reverse=true limit=2 offset=1", "order and part of a list"},
	}
}

// helpFilters is the second half of "help filters".
func helpFilters(w io.Writer) {
	fmt.Fprintln(w, "\nFilters of list, count, await, run and pools (drpcli machines indexes: fields with an index):")
	for _, e := range filterHelp() {
		fmt.Fprintf(w, "  %-41s %s\n", e[0], e[1])
	}
	fmt.Fprintln(w, "Quote parentheses in a shell: 'Name=Re(^n)'.")
}
