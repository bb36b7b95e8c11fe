package api

import (
	"strconv"
	"time"

	"drpd/pkg/resource"
)

// DRP's words for what a query of an index looks like.
const (
	typeUUID    = "UUID string"
	typeBool    = "boolean"
	typeNumber  = "number"
	typeIP      = "IP Address"
	typeCIDR    = "CIDR Address"
	typeTime    = "Date/Time string"
	typeStrings = "list of string"
)

// keyed is the index of the key under its own name, which comes first.
func keyed[T any](name string, of func(*T) string) resource.Index[T] {
	x := textual(name, of)
	x.Unique, x.Primary = true, true
	return x
}

// byUUID is keyed for kinds whose key is a UUID.
func byUUID[T any](of func(*T) string) resource.Index[T] {
	x := keyed(ByUuid, of)
	x.Type = typeUUID
	return x
}

// textual is an index of a text, none while it is empty.
func textual[T any](name string, of func(*T) string) resource.Index[T] {
	return resource.Index[T]{Name: name, Of: func(o *T) []string { return one(of(o)) }}
}

// typed is an index of a text of a certain form.
func typed[T any](name, form string, of func(*T) string) resource.Index[T] {
	x := textual(name, of)
	x.Type = form
	return x
}

// ofMAC makes an index one of MAC addresses, which are found in every form.
func ofMAC[T any](x resource.Index[T]) resource.Index[T] {
	x.Spell = spelledMAC
	return x
}

// several is an index of a list of names.
func several[T any](name string, of func(*T) []string) resource.Index[T] {
	return resource.Index[T]{Name: name, Of: of, Type: typeStrings, Unordered: true}
}

// named params are an index, and lists can be filtered by their values too.
func paramIndex[T any](of func(*T) resource.Params) resource.Index[T] {
	return scan(several("Params", func(o *T) []string { return paramKeys(of(o)) }))
}

// boolean is an index of a truth value.
func boolean[T any](name string, of func(*T) bool) resource.Index[T] {
	return resource.Index[T]{Name: name, Type: typeBool, Of: func(o *T) []string { return []string{strconv.FormatBool(of(o))} }}
}

// timed is an index of an instant, none while it is zero.
func timed[T any](name string, of func(*T) time.Time) resource.Index[T] {
	return resource.Index[T]{Name: name, Type: typeTime, Scan: true, Of: func(o *T) []string {
		if t := of(o); !t.IsZero() {
			return []string{t.UTC().Format(time.RFC3339Nano)}
		}
		return nil
	}}
}

// scan makes an index keep no tree: few ask for it, or it has few values.
func scan[T any](x resource.Index[T]) resource.Index[T] {
	x.Scan = true
	return x
}

// one lists a single index value, none if it is empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
