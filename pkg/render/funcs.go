package render

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// function is one that templates may call.
type function struct {
	of    reflect.Value
	as    reflect.Type                     // what templates get: it returns an error too
	check func(args []reflect.Value) error // refuses what would be too much; nil: nothing is
	kind
}

// kind is how a function is measured.
type kind int

const (
	making  kind = iota // what it makes is charged as a whole
	sharing             // it makes a list or map of parts that are there already
	looking             // it only picks parts of what it gets: measuring all of a large param each time would be slow
	costly              // keys, certificates, password hashes
)

// kinds of functions; those not named are making.
var kinds = map[kind][]string{
	looking: {"get", "hasKey", "first", "mustFirst", "last", "mustLast", "default", "empty", "ternary", "coalesce", "kindOf", "kindIs", "typeOf", "typeIs",
		"typeIsLike", "dig"},
	sharing: {"keys", "values", "rest", "mustRest", "initial", "mustInitial", "list", "tuple", "append", "mustAppend", "prepend", "mustPrepend",
		"concat", "reverse", "mustReverse", "slice", "mustSlice", "compact", "mustCompact", "uniq", "mustUniq", "without", "mustWithout", "chunk",
		"mustChunk", "dict", "set", "unset", "pick", "omit", "pluck", "sortAlpha", "toStrings"},
	costly: {"bcrypt", "htpasswd", "derivePassword", "genPrivateKey", "buildCustomCert", "genCA", "genCAWithKey", "genSelfSignedCert",
		"genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "encryptAES", "decryptAES"},
}

// functions are sprig's, without those that look outside, with bounds on what
// they make.
func functions() map[string]function {
	all := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "now", "ago", "getHostByName"} {
		delete(all, name)
	}
	all["repeat"] = repeat
	all["indent"] = indent
	all["nindent"] = func(n int, s string) (string, error) {
		s, err := indent(n, s)
		return "\n" + s, err
	}
	all["print"], all["printf"], all["println"] = fmt.Sprint, fmt.Sprintf, fmt.Sprintln
	all["html"], all["js"], all["urlquery"] = template.HTMLEscaper, template.JSEscaper, template.URLQueryEscaper
	for _, name := range []string{"merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"} {
		all[name] = cloneSources(all[name])
	}
	out, checks := make(map[string]function, len(all)), checks()
	for name, fn := range all {
		f := function{of: reflect.ValueOf(fn), check: checks[name]}
		f.as = withError(f.of.Type())
		for k, names := range kinds {
			if slices.Contains(names, name) {
				f.kind = k
			}
		}
		out[name] = f
	}
	return out
}

// withError is the type of a function that returns an error besides t's result.
func withError(t reflect.Type) reflect.Type {
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	return reflect.FuncOf(in, []reflect.Type{t.Out(0), reflect.TypeFor[error]()}, t.IsVariadic())
}

// within is the function for one rendering: it asks the budget, and is refused
// what it gets or makes beyond the limits, so that a text can neither double a
// value until memory is gone nor put a map into itself.
func (f function) within(b *budget) any {
	return reflect.MakeFunc(f.as, func(args []reflect.Value) []reflect.Value {
		out, err := f.call(b, args)
		if err != nil {
			return []reflect.Value{reflect.Zero(f.as.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		if len(out) == 1 {
			out = append(out, reflect.Zero(f.as.Out(1)))
		}
		return out
	}).Interface()
}

func (f function) call(b *budget, args []reflect.Value) ([]reflect.Value, error) {
	if err := f.admit(b, args); err != nil {
		return nil, err
	}
	var out []reflect.Value
	if f.of.Type().IsVariadic() {
		out = f.of.CallSlice(args)
	} else {
		out = f.of.Call(args)
	}
	if f.kind == looking {
		return out, nil
	}
	size, err := measure(out[0].Interface())
	if f.kind == sharing {
		size = shallow(out[0])
	}
	if err == nil {
		err = b.make(size)
	}
	return out, err
}

func (f function) admit(b *budget, args []reflect.Value) error {
	if err := b.tick(); err != nil || f.kind == looking {
		return err
	}
	for _, a := range args {
		if _, err := measure(a.Interface()); err != nil {
			return err
		}
	}
	if f.kind == costly {
		if err := b.costs(); err != nil {
			return err
		}
	}
	if f.check != nil {
		return f.check(args)
	}
	return nil
}

// cloneSources keeps maps from being merged into themselves.
func cloneSources(fn any) any {
	f := reflect.ValueOf(fn)
	return reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		sources, _ := args[1].Interface().([]map[string]any)
		for i, m := range sources {
			sources[i], _ = clone(m).(map[string]any)
		}
		return f.CallSlice(args)
	}).Interface()
}

func repeat(n int, s string) (string, error) {
	if n < 0 || len(s) > 0 && n > MaxOutput/len(s) {
		return "", fmt.Errorf("%d times %d bytes is out of bounds (0 to %d bytes)", n, len(s), MaxOutput)
	}
	return strings.Repeat(s, n), nil
}

func indent(n int, s string) (string, error) {
	lines := strings.Count(s, "\n") + 1
	if n < 0 || n > MaxOutput/lines {
		return "", fmt.Errorf("%d spaces before each of %d lines is out of bounds (0 to %d bytes)", n, lines, MaxOutput)
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
}
