package cli

import (
	"net/url"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseUse(t *testing.T) {
	t.Parallel()
	for use, want := range map[string]syntax{
		"list":                       {},
		"show <id>":                  {must: []token{{"id", false}}},
		"destroy <id>...":            {must: []token{{"id", false}}, many: true},
		"patch <id> <JSON patch>":    {must: []token{{"id", false}, {"JSON patch", false}}},
		"set <id> option <c> to <v>": {must: []token{{"id", false}, {"option", true}, {"c", false}, {"to", true}, {"v", false}}},
		"list [Field=value]...":      {may: [][]token{{{"Field=value", false}}}, many: true},
		"upload <f> [as <name>]":     {must: []token{{"f", false}}, may: [][]token{{{"as", true}, {"name", false}}}},
		"add <id> [at <n>] [<t>]...": {must: []token{{"id", false}}, may: [][]token{{{"at", true}, {"n", false}}, {{"t", false}}}, many: true},
		"watch [<type.action>]...":   {may: [][]token{{{"type.action", false}}}, many: true},
		"x <on|off>":                 {must: []token{{"on|off", false}}},
	} {
		assert.Equal(t, want, parseUse(use), use)
	}
}

func TestSyntaxCheck(t *testing.T) {
	t.Parallel()
	c := &cobra.Command{Use: "x"}
	g := parseUse("upload <f> [as <name>]")
	assert.Equal(t, 3, g.most())
	require.NoError(t, g.check(c, []string{"a", "as", "b"}))
	require.ErrorContains(t, g.check(c, []string{"a", "as", "b", "c"}), `"c" is too much`)
	require.NoError(t, g.check(c, nil), "what is missing is asked for")
	g = parseUse("get <id> param <key>")
	require.ErrorContains(t, g.check(c, []string{"a", "b", "c"}), `"b" stands where the word "param" belongs`)
	for n, want := range []string{"<id>", "param", "<key>"} {
		at, ok := g.at(make([]string, n))
		assert.True(t, ok)
		assert.Equal(t, want, at.String())
	}
	_, ok := g.at(make([]string, 3))
	assert.False(t, ok)
	at, ok := parseUse("list [Field=value]...").at(make([]string, 7))
	assert.True(t, ok)
	assert.Equal(t, "Field=value", at.name)
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"Name=x", "Name=y", "a=Re(b=c)"}, "Name=x&Name=y&a=Re(b=c)"},
		{[]string{"Name", "Ne", "x", "sort", "Name", "reverse"}, "Name=Ne(x)&reverse=true&sort=Name"},
		{[]string{"n", "Between", "1", "9", "b=c"}, "b=c&n=Between(1,9)"},
		{nil, ""},
	} {
		q, err := filters(c.words)
		require.NoError(t, err)
		got, err := url.QueryUnescape(q.Encode())
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
	for _, words := range [][]string{{"Name"}, {"=x"}, {"Name", "Eq"}, {"n", "Between", "1"}, {"sort"}} {
		_, err := filters(words)
		assert.Error(t, err, words)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	leaf := func(k, v string) condition { return condition{filter: url.Values{k: {v}}} }
	for _, c := range []struct {
		words []string
		want  condition
	}{
		{[]string{"a=1"}, leaf("a", "1")},
		{[]string{"a=1", "b=2"}, condition{filter: url.Values{"a": {"1"}, "b": {"2"}}}},
		{[]string{"a=1", "and", "b=2"}, condition{filter: url.Values{"a": {"1"}, "b": {"2"}}}},
		{[]string{"a=1", "or", "b=2"}, condition{any: []condition{leaf("a", "1"), leaf("b", "2")}}},
		{[]string{"Or(a=1,b=In(2,3))"}, condition{any: []condition{leaf("a", "1"), leaf("b", "In(2,3)")}}},
		{[]string{"Not(a=1)", "b=2"}, condition{all: []condition{{not: &condition{filter: url.Values{"a": {"1"}}}}, leaf("b", "2")}}},
		{[]string{"And(a=1,Or(b=2,c=3))"}, condition{all: []condition{leaf("a", "1"), {any: []condition{leaf("b", "2"), leaf("c", "3")}}}}},
	} {
		got, err := parseCondition(c.words)
		require.NoError(t, err, c.words)
		assert.Equal(t, c.want, got, c.words)
	}
	for _, words := range [][]string{nil, {"or"}, {"a=1", "or"}, {"Not(a=1,b=2)"}, {"a"}} {
		_, err := parseCondition(words)
		assert.Error(t, err, words)
	}
}

func FuzzCondition(f *testing.F) {
	f.Add("Or(a=1,Not(b=In(2,3)))")
	f.Add("a=1 or b=2 and c=3")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = parseCondition([]string{text})
		parseUse(text)
		_, _ = selectPath(text, object{"a": []any{1.0}})
	})
}

func TestSelectPath(t *testing.T) {
	t.Parallel()
	v := object{"a": []any{object{"b": 1.0}, object{"b": 2.0}}, "c/d": "x"}
	for path, want := range map[string][]any{
		"{.a[*].b}": {1.0, 2.0}, "$.a[-1].b": {2.0}, ".a[7]": nil, "['c/d']": {"x"}, "{.nope}": nil, "": {v},
	} {
		got, err := selectPath(path, v)
		require.NoError(t, err, path)
		assert.Equal(t, want, got, path)
	}
	_, err := selectPath(".a[0", v)
	require.Error(t, err)
}
