package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sort"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"drpd/pkg/resource"
)

// maxPatchOps bounds the operations of one patch.
const maxPatchOps = 1000

// patchDoc is a checked JSON patch.
type patchDoc struct{ ops jsonpatch.Patch }

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
	}
	return patchDoc{ops}, nil
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
	out, err := p.ops.ApplyWithOptions(doc, o)
	if err != nil {
		return nil, p.conflict(doc, o, err)
	}
	return out, checkNesting(out)
}

// conflict says which operation failed, in the words that clients of DRP look
// for, and repeats the patch.
func (p patchDoc) conflict(doc []byte, o *jsonpatch.ApplyOptions, err error) error {
	line := sort.Search(len(p.ops)-1, func(i int) bool {
		_, e := p.ops[:i+1].ApplyWithOptions(doc, o)
		return e != nil
	})
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
