//go:build linux

package boot

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseCmdline(t *testing.T) {
	t.Parallel()
	c := ParseCmdline(`quiet drpd.url=http://a/?x=1&y=2 BOOTIF=01-52-54-00-aa-00-01 drpd.debug drpd.name="two words" drpd.a=1 drpd.a=2 drpd.=x url=no` + "\n")
	assert.Equal(t, "http://a/?x=1&y=2", c.Get("url"))
	assert.Equal(t, "two words", c.Get("name"))
	assert.Equal(t, "2", c.Get("a"))
	assert.True(t, c.Has("debug"))
	assert.Empty(t, c.Get("debug"))
	assert.False(t, c.Has(""))
	assert.False(t, c.Has("quiet"))
	assert.Equal(t, "52:54:00:aa:00:01", c.BootMAC().String())
}

func TestBootMAC(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"drpd.mac=52:54:00:AA:00:02 BOOTIF=01-52-54-00-aa-00-01": "52:54:00:aa:00:02",
		"BOOTIF=52:54:00:aa:00:01":                               "52:54:00:aa:00:01",
		"drpd.mac=nonsense BOOTIF=01-52-54-00-aa-00-01":          "52:54:00:aa:00:01",
		"BOOTIF=01-00-00":                                        "",
		"drpd.mac=00:00:00:00:fe:80:00:00":                       "",
		"":                                                       "",
	} {
		assert.Equal(t, want, ParseCmdline(line).BootMAC().String(), "%q", line)
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(`drpd.a="b c" BOOTIF=01-52-54-00-aa-00-01`)
	f.Fuzz(func(t *testing.T, line string) { ParseCmdline(line).BootMAC() })
}
