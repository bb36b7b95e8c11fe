package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/template"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// maxOption bounds what one option may grow to, in bytes.
const maxOption = 255

// form is how an option's text becomes bytes.
type form int

const (
	formText form = iota
	formAddrs
	formInt
	formHex
	formSearch
	formRoutes
)

// formOf follows RFC 2132, 3397 and 3442. size is of one integer.
func formOf(code byte) (f form, size int) {
	switch code {
	case 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 21, 28, 32, 33, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76, 118, 150:
		return formAddrs, 0
	case 19, 20, 23, 27, 29, 30, 31, 34, 36, 37, 39, 46, 116:
		return formInt, 1
	case 13, 22, 26, 57:
		return formInt, 2
	case 2, 24, 35, 38:
		return formInt, 4
	case 43, 61, 77, 97, 125, 175:
		return formHex, 0
	case 119:
		return formSearch, 0
	case 121, 249:
		return formRoutes, 0
	}
	return formText, 0
}

// encodeOption expands an option's template over the request's options and
// encodes the outcome. Integers are decimal, addresses and routes
// (network/length,router) are separated by commas or spaces.
func encodeOption(code byte, text string, q Query) ([]byte, error) {
	v, err := expandOption(text, q)
	if err != nil {
		return nil, fmt.Errorf("option %d: %w", code, err)
	}
	f, size := formOf(code)
	out, err := encode(f, size, strings.TrimSpace(v))
	if err != nil {
		return nil, fmt.Errorf("option %d is %q: %w", code, v, err)
	}
	if len(out) > maxOption {
		return nil, fmt.Errorf("option %d has %d bytes, at most %d fit", code, len(out), maxOption)
	}
	return out, nil
}

// expandOption offers the request's options as a map from number to text.
func expandOption(text string, q Query) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := template.New("option").Parse(text)
	if err != nil {
		return "", err
	}
	data := map[int]string{}
	if q.Packet != nil {
		for code, v := range q.Packet.Options {
			if f, _ := formOf(code); f == formAddrs || code == 50 || code == 54 {
				data[int(code)] = addr(v).String()
			} else {
				data[int(code)] = string(v)
			}
		}
	}
	var b strings.Builder
	err = t.Execute(&b, data)
	return b.String(), err
}

func encode(f form, size int, v string) ([]byte, error) {
	words := strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' })
	switch f {
	case formAddrs:
		return encodeAddrs(words)
	case formInt:
		n, err := strconv.ParseInt(v, 0, 64)
		switch {
		case v == "true":
			n = 1
		case v == "false":
			n = 0
		case err != nil:
			return nil, fmt.Errorf("want a whole number")
		}
		return binary.BigEndian.AppendUint64(nil, uint64(n))[8-size:], nil
	case formHex:
		return hex.DecodeString(strings.NewReplacer(":", "", " ", "", "0x", "").Replace(v))
	case formSearch:
		return (&rfc1035label.Labels{Labels: words}).ToBytes(), nil
	case formRoutes:
		return encodeRoutes(words)
	}
	return []byte(v), nil
}

func encodeAddrs(words []string) ([]byte, error) {
	var out []byte
	for _, w := range words {
		a, err := netip.ParseAddr(w)
		if err != nil || !a.Is4() {
			return nil, fmt.Errorf("%q is not an IPv4 address", w)
		}
		out = append(out, a.AsSlice()...)
	}
	return out, nil
}

func encodeRoutes(words []string) ([]byte, error) {
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("want pairs of network/length and router")
	}
	var routes dhcpv4.Routes
	for i := 0; i < len(words); i += 2 {
		p, err := netip.ParsePrefix(words[i])
		via, err2 := netip.ParseAddr(words[i+1])
		if err != nil || err2 != nil || !p.Addr().Is4() || !via.Is4() {
			return nil, fmt.Errorf("%s %s is not network/length and router", words[i], words[i+1])
		}
		routes = append(routes, route(p.Masked(), via))
	}
	return routes.ToBytes(), nil
}

func route(p netip.Prefix, via netip.Addr) *dhcpv4.Route {
	return &dhcpv4.Route{Dest: ipNet(p), Router: via.AsSlice()}
}
