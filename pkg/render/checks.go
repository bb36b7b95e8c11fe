package render

import (
	"fmt"
	"reflect"
	"regexp/syntax"
	"strings"
)

// Limits of what single functions get.
const (
	maxCount   = 1_000_000 // of numbers given to functions that make so many of something
	maxItems   = 100_000   // parts that a text is split into
	maxUnique  = 4_000     // items of a list that are all compared with each other
	maxCompare = 10_000_000
	maxJSON    = 4 << 20  // bytes
	maxVersion = 4 << 10  // bytes of a version or of what it must be
	maxMatch   = 64 << 20 // bytes of a text times instructions of a pattern
	maxPattern = 4 << 10  // bytes of a pattern
	maxListed  = 2 << 20  // bytes of a text of which all matches are wanted
)

type check = func(args []reflect.Value) error

// checks are the functions that could make very much of little, or take very
// long for it, with what each is refused. All others take time and memory by the
// size of what they get, which is measured.
func checks() map[string]check {
	out := map[string]check{
		"split": parts(0, 1), "splitList": parts(0, 1), "splitn": parts(0, 2),
		"replace": func(a []reflect.Value) error {
			n := strings.Count(a[2].String(), a[0].String())
			return product(n, a[1].Len(), MaxOutput, "bytes")
		},
		"join":     func(a []reflect.Value) error { return product(length(a[1]), a[0].Len(), MaxOutput, "bytes") },
		"wrapWith": func(a []reflect.Value) error { return product(a[2].Len(), a[1].Len(), MaxOutput, "bytes") },
		"printf":   printed,
		"genPrivateKey": func(a []reflect.Value) error {
			if a[0].String() == "dsa" {
				return fmt.Errorf("makes no keys for DSA, which takes minutes: use rsa, ecdsa or ed25519")
			}
			return nil
		},
	}
	for _, name := range []string{"until", "untilStep", "seq", "randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes"} {
		out[name] = counts
	}
	for name, fn := range map[string]check{
		"uniq": func(a []reflect.Value) error { return product(length(a[0]), 1, maxUnique, "items") },
		"without": func(a []reflect.Value) error {
			return product(length(a[0]), a[1].Len(), maxCompare, "comparisons")
		},
		"toPrettyJson": func(a []reflect.Value) error {
			s := sizer{left: MaxOutput, indent: 2}
			s.add(a[0].Interface(), 0)
			return s.fault()
		},
		"fromJson":               func(a []reflect.Value) error { return product(a[0].Len(), 1, maxJSON, "bytes") },
		"regexMatch":             pattern,
		"regexFind":              pattern,
		"regexFindAll":           listed,
		"regexSplit":             listed,
		"regexReplaceAll":        replaced,
		"regexReplaceAllLiteral": replaced,
	} {
		out[name], out["must"+strings.ToUpper(name[:1])+name[1:]] = fn, fn
	}
	for _, name := range []string{"semver", "semverCompare"} {
		out[name] = func(a []reflect.Value) error {
			for _, v := range a {
				if v.Len() > maxVersion {
					return fmt.Errorf("a version of %d bytes is out of bounds (%d)", v.Len(), maxVersion)
				}
			}
			return nil
		}
	}
	return out
}

func product(n, size, limit int, what string) error {
	if size > 0 && n > limit/size {
		return fmt.Errorf("%d times %d is out of bounds (%d %s)", n, size, limit, what)
	}
	return nil
}

// length is that of a list, 0 of anything else.
func length(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		return v.Len()
	}
	return 0
}

// parts checks how many parts the text at one argument has, by the separator at
// another.
func parts(sep, text int) check {
	return func(a []reflect.Value) error {
		n := strings.Count(a[text].String(), a[sep].String())
		return product(n, 1, maxItems, "parts")
	}
}

// counts checks the whole numbers that a function gets.
func counts(args []reflect.Value) error {
	for _, v := range args {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				if err := counts([]reflect.Value{v.Index(i)}); err != nil {
					return err
				}
			}
		case reflect.Int:
			if n := v.Int(); n > maxCount || n < -maxCount {
				return fmt.Errorf("%d is out of bounds (%d to %d)", n, -maxCount, maxCount)
			}
		}
	}
	return nil
}

// pattern checks the time that a regular expression can take, which is that of
// its instructions times the text.
func pattern(args []reflect.Value) error {
	text, in := args[0].String(), args[1].Len()
	if len(text) > maxPattern {
		return fmt.Errorf("a pattern of %d bytes is out of bounds (%d)", len(text), maxPattern)
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return err
	}
	return product(in, len(prog.Inst), maxMatch, "steps of a pattern")
}

// listed also checks how many matches there may be.
func listed(args []reflect.Value) error {
	if err := product(args[1].Len(), 1, maxListed, "bytes"); err != nil {
		return err
	}
	return pattern(args)
}

// replaced also checks what each place, of which there is one more than bytes,
// is replaced with: the text itself, and at most all of the old text for each $.
func replaced(args []reflect.Value) error {
	old, with := args[1].Len(), args[2].String()
	if err := pattern(args); err != nil {
		return err
	}
	if err := product(old+1, len(with), MaxOutput, "bytes"); err != nil {
		return err
	}
	return product(old, strings.Count(with, "$"), MaxOutput, "bytes")
}

// printed checks how long a formatted text may become: the widths and precisions
// in it, and each argument as often as it may be named.
func printed(args []reflect.Value) error {
	format, values := args[0].String(), args[1]
	most, sum := 0, len(format)
	for i := range values.Len() {
		n, err := measure(values.Index(i).Interface())
		if err != nil {
			return err
		}
		most, sum = max(most, n), sum+n
	}
	verbs := strings.Count(format, "%")
	if strings.Contains(format, "[") { // one argument many times
		if sum = len(format); verbs > 0 && most > MaxOutput/verbs {
			sum = MaxOutput + 1
		} else {
			sum += verbs * most
		}
	}
	number := 0
	for _, c := range []byte(format) {
		switch {
		case c >= '0' && c <= '9':
			number = min(number*10+int(c-'0'), maxCount+1)
			continue
		case c == '*': // from an argument: a million at most, says fmt
			number = maxCount
		}
		sum, number = sum+number, 0
	}
	if sum > MaxOutput {
		return fmt.Errorf("a value is longer than %d bytes", MaxOutput)
	}
	return nil
}
