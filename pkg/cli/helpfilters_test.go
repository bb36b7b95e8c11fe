package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFilterHelp runs the examples of "help filters".
func TestFilterHelp(t *testing.T) {
	t.Parallel()
	r := newRig(t, 0)
	r.ok(t, "machines", "create", `{"Name":"n1","Address":"10.0.0.1","Meta":{"color":"red"}}`)
	r.ok(t, "machines", "create", "n2", "Address=10.0.0.2")
	r.ok(t, "machines", "create", "n3", "Address=10.0.0.3")
	r.ok(t, "machines", "set", "n2", "param", "rack", "to", "r7")
	want := map[string]string{
		"Name=n1":                                 "n1",
		"Name=Eq(n1)":                             "n1",
		"Name=Ne(n1)":                             "n2 n3",
		"Address=Lt(10.0.0.2)":                    "n1",
		"Address=Lte(10.0.0.2)":                   "n1 n2",
		"Address=Gt(10.0.0.1)":                    "n2 n3",
		"Address=Gte(10.0.0.1)":                   "n1 n2 n3",
		"Address=Between(10.0.0.1,10.0.0.2)":      "n1 n2",
		"Address=Except(10.0.0.1,10.0.0.2)":       "n3",
		"Name=In(n1,n3)":                          "n1 n3",
		"Name=Nin(n1,n3)":                         "n2",
		"Name=Re(^n[12]$)":                        "n1 n2",
		"rack=r7":                                 "n2",
		"Meta.color=red":                          "n1",
		"Name=n1 Name=n2":                         "n1 n2",
		"Name=Re(^n) Meta.color=red":              "n1",
		"sort=Name reverse=true limit=2 offset=1": "n2 n1",
	}
	seen := map[string]bool{}
	for _, e := range filterHelp() {
		args := append([]string{"machines", "list", "-o", "name"}, strings.Fields(e[0])...)
		if !strings.Contains(e[0], "sort=") {
			args = append(args, "sort=Name")
		}
		got := strings.Fields(r.ok(t, args...))
		assert.Equal(t, want[e[0]], strings.Join(got, " "), e[0])
		for op := range operators {
			seen[op] = seen[op] || strings.Contains(e[0], "="+op+"(")
		}
	}
	for op := range operators {
		assert.True(t, seen[op], "%s has no example", op)
	}
	text := r.ok(t, "help", "filters")
	for _, e := range filterHelp() {
		assert.Contains(t, text, e[0])
	}
	require.LessOrEqual(t, strings.Count(text, "\n"), 40)
	assert.NotContains(t, r.ok(t, "help", "machines"), "Between")
}
