package driver

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSystemGUID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"System GUID  : a1234567-89ab-4def-a123-456789abcdef\nTimestamp    : 02/03/2013 04:05:06\n": "a1234567-89ab-4def-a123-456789abcdef",
		"system guid: A1234567-89AB-4DEF-A123-456789ABCDEF":                                         "A1234567-89AB-4DEF-A123-456789ABCDEF",
		"GUID Encoding : RFC-4122\nSystem GUID  : a1234567-89ab-4def-a123-456789abcdef":             "a1234567-89ab-4def-a123-456789abcdef",
		"System GUID  : unknown": "",
		"Error in response":      "",
	} {
		got := ""
		if m := systemGUID.FindStringSubmatch(text); m != nil {
			got = m[1]
		}
		assert.Equal(t, want, got, text)
	}
}
