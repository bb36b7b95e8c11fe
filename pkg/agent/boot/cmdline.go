//go:build linux

package boot

import (
	"net"
	"os"
	"strings"
)

// prefix marks the parameters on the kernel command line that are for us.
const prefix = "drpd."

// Cmdline holds the parameters of the kernel command line that concern the
// agent: those named "drpd.*", without the prefix, and BOOTIF.
type Cmdline struct {
	params map[string]string
	bootIF string
}

// ReadCmdline reads the running kernel's command line.
func ReadCmdline() (Cmdline, error) {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return Cmdline{}, err
	}
	return ParseCmdline(string(b)), nil
}

// ParseCmdline splits a command line as the kernel does: at white space outside
// double quotes. Of a parameter given twice the last counts.
func ParseCmdline(line string) Cmdline {
	c := Cmdline{params: map[string]string{}}
	for _, word := range splitWords(line) {
		name, value, _ := strings.Cut(word, "=")
		if key, ok := strings.CutPrefix(name, prefix); ok && key != "" {
			c.params[key] = value
		}
		if name == "BOOTIF" {
			c.bootIF = value
		}
	}
	return c
}

// Get returns the value of "drpd.<key>", empty if it is not there.
func (c Cmdline) Get(key string) string { return c.params[key] }

// Has says whether "drpd.<key>" is there, with or without a value.
func (c Cmdline) Has(key string) bool {
	_, ok := c.params[key]
	return ok
}

// BootMAC is the address of the interface the machine booted from: drpd.mac,
// else BOOTIF in the form of PXELINUX ("01-52-54-00-aa-00-01"). It is nil if
// neither is there or readable.
func (c Cmdline) BootMAC() net.HardwareAddr {
	if mac := ethernet(c.params["mac"]); mac != nil {
		return mac
	}
	return ethernet(strings.TrimPrefix(c.bootIF, "01-"))
}

func ethernet(s string) net.HardwareAddr {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return nil
	}
	return mac
}

func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, started := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case !quoted && strings.ContainsRune(" \t\r\n", r):
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
