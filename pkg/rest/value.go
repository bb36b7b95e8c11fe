package rest

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// value is a text in every form in which it can be compared. It is read once,
// and then compared with the values of many objects.
type value struct {
	class int // what it is first of all; values of different classes sort by it
	text  string
	num   float64
	isNum bool
	addr  netip.Addr
	at    time.Time
}

// The classes of values.
const (
	noValue = iota
	aNumber
	anAddress
	aTime
	aText
)

func valueOf(s string) value {
	v := value{class: aText, text: s}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		v.num, v.isNum = n, true
	}
	if a, err := netip.ParseAddr(s); err == nil {
		v.class, v.addr = anAddress, a
	} else if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		v.class, v.at = aTime, t
	}
	return v
}

// sortValue is the place of an object's value in an order.
func sortValue(v any) value {
	switch v := v.(type) {
	case nil:
		return value{}
	case float64:
		return value{class: aNumber, num: v}
	}
	return valueOf(text(v))
}

// rank orders values of objects: none, numbers, addresses, times, texts.
func (v value) rank(w value) int {
	if v.class != w.class {
		return v.class - w.class
	}
	switch v.class {
	case aNumber:
		return cmp.Compare(v.num, w.num)
	case anAddress:
		return v.addr.Compare(w.addr)
	case aTime:
		return v.at.Compare(w.at)
	}
	return strings.Compare(v.text, w.text)
}

// compare orders a value of an object against the one of a filter: as numbers
// if the object's is one, as addresses or times if both are, else as text.
func compare(v any, w *value) int {
	if n, ok := v.(float64); ok && w.isNum {
		return cmp.Compare(n, w.num)
	}
	s := text(v)
	switch w.class {
	case anAddress:
		if a, err := netip.ParseAddr(s); err == nil {
			return a.Compare(w.addr)
		}
	case aTime:
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.Compare(w.at)
		}
	}
	return strings.Compare(s, w.text)
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}
