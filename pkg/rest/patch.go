package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"drpd/pkg/resource"
)

// maxPatchOps bounds the operations of one patch.
const maxPatchOps = 1000

// patchDoc is a checked JSON patch.
type patchDoc struct {
	ops  jsonpatch.Patch
	size int // bytes of its text
}

func parsePatch(data []byte) (patchDoc, error) {
	var ops jsonpatch.Patch
	if err := json.Unmarshal(data, &ops); err != nil {
		return patchDoc{}, resource.Errorf(resource.Malformed, "", "", "the body is not a JSON patch (RFC 6902): %v", err)
	}
	if len(ops) > maxPatchOps {
		return patchDoc{}, failf(http.StatusRequestEntityTooLarge, "TooLarge", "the patch has %d operations, %d at most", len(ops), maxPatchOps)
	}
	for i, op := range ops {
		path, err := op.Path()
		if err != nil || path != "" && path[0] != '/' {
			return patchDoc{}, resource.Errorf(resource.Malformed, "", "", "operation %d of the patch has no proper path", i)
		}
		if err := givesValue(op); err != nil {
			return patchDoc{}, resource.Errorf(resource.Malformed, "", "", "operation %d of the patch: %v", i, err)
		}
	}
	return patchDoc{ops, len(data)}, nil
}

// givesValue checks that an operation has the value it needs: the library takes
// that for granted. Null for the whole document it cannot compare either.
func givesValue(op jsonpatch.Operation) error {
	v, given := op["value"]
	switch kind := op.Kind(); kind {
	case "add", "replace", "test":
		if path, _ := op.Path(); !given || v == nil && path == "" {
			return fmt.Errorf("%s needs a value", kind)
		}
	case "remove", "move", "copy":
	default:
		return fmt.Errorf("there is no op %q", kind)
	}
	return nil
}

// refuseFields refuses operations on what only the server sets, even if they
// would change nothing.
func (p patchDoc) refuseFields(k resource.Any) error {
	for _, op := range p.ops {
		paths := []string{}
		if path, err := op.Path(); err == nil && op.Kind() != "test" {
			paths = append(paths, path)
		}
		if from, err := op.From(); err == nil && op.Kind() == "move" {
			paths = append(paths, from)
		}
		for _, path := range paths {
			field, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
			if slices.Contains(k.EngineFields(), field) {
				return ownedBy(k.KindName(), "", field)
			}
		}
	}
	return nil
}

// fields lists the top-level fields that the patch speaks of.
func (p patchDoc) fields() []string {
	var out []string
	for _, op := range p.ops {
		path, _ := op.Path() // parsePatch has checked it
		for _, at := range []string{path, fromOf(op)} {
			field, _, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
			if field != "" && !slices.Contains(out, field) {
				out = append(out, field)
			}
		}
	}
	return out
}

// apply returns the patched document. As in DRP all that goes wrong is a
// conflict, above all a test that fails: clients compare and swap with it.
func (p patchDoc) apply(doc []byte) ([]byte, error) {
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = DefaultBodyLimit
	o.SupportNegativeIndices = false
	rest := p.ops
	for len(rest) > 0 && testsWhole(rest[0]) {
		if !fits(*rest[0]["value"], doc) {
			return nil, p.conflict(len(p.ops)-len(rest), jsonpatch.ErrTestFailed)
		}
		rest = rest[1:]
	}
	out, err := rest.ApplyWithOptions(doc, o)
	if err != nil {
		line := sort.Search(len(rest)-1, func(i int) bool {
			_, e := rest[:i+1].ApplyWithOptions(doc, o)
			return e != nil
		})
		return nil, p.conflict(len(p.ops)-len(rest)+line, err)
	}
	return out, checkNesting(out)
}

// testsWhole says that an operation compares the whole object, as drpcli --ref
// does first of all.
func testsWhole(op jsonpatch.Operation) bool {
	path, err := op.Path()
	return op.Kind() == "test" && err == nil && path == "" && op["value"] != nil
}

// fits says whether an object is as a client knows it: the client may know
// fewer fields than we have, and takes empty ones for missing.
func fits(known, doc []byte) bool {
	var sent, have map[string]any
	if json.Unmarshal(known, &sent) != nil || json.Unmarshal(doc, &have) != nil || sent == nil {
		return false
	}
	for name, v := range sent {
		if !alike(v, have[name]) {
			return false
		}
	}
	return true
}

// alike compares values; what is missing is the same as what is empty.
func alike(a, b any) bool {
	if hollow(a) && hollow(b) {
		return true
	}
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	if isMap && both {
		for name := range y {
			if _, ok := x[name]; !ok && !hollow(y[name]) {
				return false
			}
		}
		for name, v := range x {
			if !alike(v, y[name]) {
				return false
			}
		}
		return true
	}
	l, isList := a.([]any)
	m, both := b.([]any)
	if isList && both {
		return slices.EqualFunc(l, m, alike)
	}
	return reflect.DeepEqual(a, b)
}

// hollow says that nothing but empty values is in a value.
func hollow(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if !hollow(e) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	data, err := json.Marshal(v)
	return err == nil && emptyJSON(data)
}

// conflict says which operation failed, in the words that clients of DRP look
// for, and repeats the patch.
func (p patchDoc) conflict(line int, err error) error {
	why := err.Error()
	if errors.Is(err, jsonpatch.ErrTestFailed) || p.ops[line].Kind() == "test" {
		why = "Test op failed."
	}
	e := resource.Errorf(resource.Conflict, "", "", "Patch error at line %d: %s", line, why)
	e.Msgs = append(e.Msgs, "Patch: "+p.text())
	return &fail{http.StatusConflict, http.MethodPatch, e}
}

// fromOf is where an operation takes its value from, "" for most.
func fromOf(op jsonpatch.Operation) string {
	from, err := op.From()
	if err != nil {
		return ""
	}
	return from
}

// maxPatchText bounds how much of a patch an error repeats.
const maxPatchText = 64 << 10

// text is the patch as DRP prints it.
func (p patchDoc) text() string {
	type op struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		From  string          `json:"from"`
		Value json.RawMessage `json:"value"`
	}
	all := make([]op, len(p.ops))
	for i, o := range p.ops {
		all[i].Op = o.Kind()
		all[i].Path, _ = o.Path()
		all[i].From = fromOf(o)
		if v := o["value"]; v != nil {
			all[i].Value = *v
		}
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil || len(data) > maxPatchText {
		return "too long to repeat"
	}
	return string(data)
}
