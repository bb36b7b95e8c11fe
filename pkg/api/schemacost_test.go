package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Schemas and values that would hold up every update, by few lines each.
func TestNoSchemaTakesForEver(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 60) + "1" + strings.Repeat("]", 60)
	var doubling strings.Builder
	for i := range 40 {
		fmt.Fprintf(&doubling, `"a%d":{"allOf":[{"$ref":"#/definitions/a%d"},{"$ref":"#/definitions/a%d"}]},`, i+1, i, i)
	}
	for name, tc := range map[string]struct{ schema, value, want string }{
		"itself, twice":        {`{"items":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]},"type":"array"}`, deep, "too large or too deep"},
		"by a definition":      {`{"$ref":"#/definitions/a","definitions":{"a":{"type":"array","items":{"oneOf":[{"$ref":"#/definitions/a"},{"$ref":"#/definitions/a"}]}}}}`, deep, "too large or too deep"},
		"as a property's name": {`{"type":"array","items":{"properties":{"enum":{}},"allOf":[{"$ref":"#"},{"not":{"$ref":"#"}}]}}`, deep, "too large or too deep"},
		"doubling":             {`{"$ref":"#/definitions/a40","definitions":{` + doubling.String() + `"a0":{"type":"string"}}}`, `1`, "applies more than 10000 rules"},
		"in properties":        {`{"properties":{"default":{"$ref":"#/definitions/a40"}},"definitions":{` + doubling.String() + `"a0":{"type":"string"}}}`, `{"default":1}`, "applies more than 10000 rules"},
		"by an anchor":         {`{"$ref":"#a","definitions":{"a":{"$id":"#a"}}}`, `1`, "is outside the schema"},
		"another base":         {`{"properties":{"x":{"$id":"http://x/","$ref":"#/definitions/a"}},"definitions":{"a":{}}}`, `1`, "makes its references mean other things"},
		"a pattern":            {`{"pattern":"(\\pL{500}\\pN{500}){1}x"}`, `"` + strings.Repeat("a", 2_000_000) + `"`, "too large or too deep"},
		"names by a pattern":   {`{"patternProperties":{"(\\pL{500}\\pN{500}){1}x":{}}}`, `{"` + strings.Repeat("a", 2_000_000) + `":1}`, "too large or too deep"},
		"many parts":           {`{"items":{"allOf":[` + strings.Repeat(`{"type":"number"},`, 5000) + `{}]}}`, `[` + strings.Repeat("1,", 100_000) + `1]`, "too large or too deep"},
		"a tree":               {`{"properties":{"l":{"$ref":"#"},"r":{"$ref":"#"}},"additionalProperties":false}`, `{"l":{"r":{"l":{}}},"r":{}}`, ""},
		"a list in itself":     {`{"type":"array","items":{"$ref":"#"}}`, `[[[[]]]]`, ""},
		"an ordinary one":      {`{"type":"object","properties":{"pattern":{"type":"string","pattern":"^[a-z]+$"}}}`, `{"pattern":"abc"}`, ""},
	} {
		p := &Param{Name: "x"}
		require.NoError(t, json.Unmarshal([]byte(tc.schema), &p.Schema))
		var v any
		require.NoError(t, json.Unmarshal([]byte(tc.value), &v))
		begun := time.Now()
		got := p.Check(v)
		assert.Less(t, time.Since(begun), 5*time.Second, name)
		if tc.want == "" {
			assert.Empty(t, got, name)
			continue
		}
		assert.Contains(t, got, tc.want, name)
	}
}
