package bundle

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConstraint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ yes, no string }{
		"":                               {"0.0.0 v1.2.3 9.9.9", ""},
		">=1.2.0":                        {"1.2.0 v1.2.0 1.3.0 2.0.0 1.2.0-alpha.1", "1.1.9 0.9.0"},
		">= 1.2":                         {"1.2.0 2.0.0", "1.1.9"},
		">1.2":                           {"1.2.1 1.3.0", "1.2.0"},
		">1.2.x":                         {"1.3.0", "1.2.0 1.2.9"},
		"<2.0.0":                         {"1.9.9 0.0.0", "2.0.0"},
		"<=2":                            {"2.0.0", "2.0.1"},
		"<=2.x":                          {"2.0.0 2.9.9", "3.0.0"},
		"~1.2.0":                         {"1.2.0 1.2.9", "1.3.0 1.1.9"},
		"~1.2":                           {"1.2.0 1.2.9", "1.3.0"},
		"~1":                             {"1.0.0 1.9.9", "2.0.0"},
		"^1.2.3":                         {"1.2.3 1.9.0", "1.2.2 2.0.0"},
		"^0.2.3":                         {"0.2.3 0.2.9", "0.3.0 1.0.0"},
		"1.2.x":                          {"1.2.0 1.2.7", "1.3.0"},
		"1.x":                            {"1.0.0 1.9.9", "2.0.0 0.9.9"},
		"*":                              {"0.0.0 9.9.9", ""},
		"1.2":                            {"1.2.0 1.2.5", "1.3.0"},
		"=1.2.3":                         {"1.2.3 v1.2.3-rc1", "1.2.4"},
		"==v1.2.3":                       {"1.2.3", "1.2.4"},
		"!=1.2.3":                        {"1.2.4", "1.2.3"},
		"!1.2":                           {"1.3.0", "1.2.3"},
		"1.2 - 1.4":                      {"1.2.0 1.4.0 1.4.9", "1.1.9 1.5.0"},
		"1.2.0 - 1.4.0":                  {"1.2.0 1.4.0", "1.4.1"},
		">=1.2.0 <2.0.0":                 {"1.2.0 1.9.9", "2.0.0 1.1.0"},
		">1.0.0 <2.0.0 || >3.0.0 !4.2.1": {"1.5.0 3.0.1 4.2.0", "2.0.0 3.0.0 4.2.1"},
	} {
		c, err := parseConstraint(text)
		require.NoError(t, err, text)
		for _, s := range strings.Fields(want.yes) {
			v, err := parseVersion(s)
			require.NoError(t, err)
			assert.True(t, c.allows(v), "%q should allow %s", text, s)
		}
		for _, s := range strings.Fields(want.no) {
			v, err := parseVersion(s)
			require.NoError(t, err)
			assert.False(t, c.allows(v), "%q should not allow %s", text, s)
		}
	}
	for text, want := range map[string]string{
		">=":       `version constraint ">=": ">=" stands alone`,
		">=a.b":    `version constraint ">=a.b": version "a.b": want numbers such as v1.2.3`,
		"1.2.3.4":  `more than three parts`,
		"1.x.3":    `want numbers`,
		"1.2 - up": `want numbers`,
	} {
		_, err := parseConstraint(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func FuzzConstraint(f *testing.F) {
	for _, s := range []string{">=1.2.0", "1.2 - 1.4", "~1.2 || ^0.3 !4", "v1.x", ">= 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseConstraint(s)
		if err != nil {
			return
		}
		for _, v := range []version{{}, {1, 2, 3}, last} {
			_ = c.allows(v)
		}
	})
}
