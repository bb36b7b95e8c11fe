package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/resource"
)

// change edits the JSON that replies show of one object and saves the result,
// in one update: what edit saw is what is replaced.
func (h *kindServer) change(c echo.Context, edit func(o resource.Object) ([]byte, error)) (resource.Object, error) {
	return h.changeBy(c, func(tx *resource.Tx, o resource.Object) error {
		data, err := edit(o)
		if err != nil {
			return keyed(err, o)
		}
		return h.save(c, tx, o, data)
	})
}

// changeBy saves an object by a function that checks what it changes.
func (h *kindServer) changeBy(c echo.Context, save func(tx *resource.Tx, o resource.Object) error) (resource.Object, error) {
	var done resource.Object
	err := h.cfg.DB.Update(hooked(c), func(tx *resource.Tx) error {
		o, err := h.visible(c, tx)
		if err != nil {
			return err
		}
		if err := matches(c, o); err != nil {
			return err
		}
		if err := save(tx, o); err != nil {
			return err
		}
		if done, err = h.kind.Lookup(tx, o.Key); err != nil {
			return err
		}
		if err := h.refuseUnfit(c, tx, o.Val, done.Val); err != nil {
			return err
		}
		outcome(c, http.StatusOK, done)
		return nil
	})
	return done, err
}

// keyed adds the object to an error that does not name one.
func keyed(err error, o resource.Object) error {
	if e, ok := errors.AsType[*resource.Error](err); ok && (e.Kind == "" || e.Kind == o.Kind && e.Key == "") {
		e.Kind, e.Key = o.Kind, o.Key
	}
	return err
}

// save checks an edited object against the old one and puts it in its place.
func (h *kindServer) save(c echo.Context, tx *resource.Tx, o resource.Object, data []byte) error {
	if len(data) > int(h.bodyLimit()) {
		return failf(http.StatusRequestEntityTooLarge, "TooLarge", "%s/%s would have more than %d bytes", o.Kind, o.Key, h.bodyLimit())
	}
	val, err := h.kind.Decode(data)
	if err != nil {
		return keyed(unreadable(c, err), o)
	}
	if h.kind.KeyOf(val) != o.Key {
		return resource.Errorf(resource.Malformed, o.Kind, o.Key, "the key cannot change to %q: create another object", h.kind.KeyOf(val))
	}
	was, err := raw(o.JSON)
	if err != nil {
		return err
	}
	// Compare what decoding made of it: a client may spell the same otherwise.
	is, err := rawOf(val)
	if err != nil {
		return err
	}
	hide(is, was, o.Val)
	changed := changes(was, is)
	if err := h.permit(c, o, func() map[string]json.RawMessage { return is }, changed); err != nil {
		return err
	}
	val, err = withHidden(h.kind, o, is)
	if err != nil {
		return err
	}
	return h.kind.ReplaceAny(tx, val)
}

// unreadable is DRP's status for a patch whose result is no object of its kind.
func unreadable(c echo.Context, err error) error {
	if c.Request().Method != http.MethodPatch {
		return err
	}
	return &fail{http.StatusNotAcceptable, "", err}
}

// permit checks the changed paths: nobody writes what the server sets, locked
// machines stay as they are, and the caller's claims must cover each path.
// is gives the object as it shall become; few claims need it.
func (h *kindServer) permit(c echo.Context, o resource.Object, is func() map[string]json.RawMessage, changed []string) error {
	for _, path := range changed {
		field, _, _ := strings.Cut(path[1:], "/")
		if slices.Contains(h.kind.EngineFields(), field) {
			return ownedBy(o.Kind, o.Key, field)
		}
	}
	if err := h.refuseLocked(c, o, changed); err != nil {
		return err
	}
	for _, path := range changed {
		if err := h.mayChange(c, o, is, path); err != nil {
			return err
		}
	}
	return h.maySeal(c, o.Key, paramNames(changed))
}

// refuseLocked lets users only unlock a locked machine; its agent may go on.
func (h *kindServer) refuseLocked(c echo.Context, o resource.Object, changed []string) error {
	f, ok := h.cfg.DB.Field(o.Kind, o.Val, "Locked")
	if !ok || f.Kind() != reflect.Bool || !f.Bool() || !identity(c).IsUser() {
		return nil
	}
	if slices.Equal(changed, []string{"/Locked"}) || changed != nil && len(changed) == 0 {
		return nil
	}
	return &fail{http.StatusForbidden, "Locked", resource.Errorf(resource.Forbidden, o.Kind, o.Key, "Locked: set Locked to false first")}
}

func rawOf(val any) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(val)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return raw(data)
}

// hide drops hidden fields that the client left out (a struct encodes them as
// empty), so that they do not count as changed.
func hide(is, was map[string]json.RawMessage, val any) {
	full, err := rawOf(val)
	if err != nil {
		return
	}
	for name := range full {
		if _, shown := was[name]; !shown && emptyJSON(is[name]) {
			delete(is, name)
		}
	}
}

// withHidden puts back what replies do not show.
func withHidden(k resource.Any, o resource.Object, is map[string]json.RawMessage) (any, error) {
	full, err := rawOf(o.Val)
	if err != nil {
		return nil, err
	}
	shown, err := raw(o.JSON)
	if err != nil {
		return nil, err
	}
	for name, v := range full {
		if _, ok := shown[name]; !ok {
			is[name] = v
		}
	}
	data, err := json.Marshal(is)
	if err != nil {
		return nil, err
	}
	return k.Decode(data)
}

// changes lists JSON pointers of what differs: top-level fields, and the keys
// of Params and Meta.
func changes(was, is map[string]json.RawMessage) []string {
	out := []string{}
	names := slices.Sorted(maps.Keys(was))
	for name := range is {
		if _, ok := was[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		switch {
		case sameJSON(was[name], is[name]):
		case name == "Params" || name == "Meta":
			out = append(out, keyChanges("/"+name, was[name], is[name])...)
		default:
			out = append(out, "/"+name)
		}
	}
	return out
}

func keyChanges(at string, was, is json.RawMessage) []string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) != nil && len(was) > 0 || json.Unmarshal(is, &b) != nil && len(is) > 0 {
		return []string{at}
	}
	var out []string
	for key, v := range a {
		if w, ok := b[key]; !ok || !sameJSON(v, w) {
			out = append(out, at+"/"+pointer(key))
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			out = append(out, at+"/"+pointer(key))
		}
	}
	slices.Sort(out)
	return out
}

func pointer(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// sameJSON compares values; no value and an empty one are the same.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) || emptyJSON(a) && emptyJSON(b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func emptyJSON(v json.RawMessage) bool {
	switch string(v) {
	case "", "null", `""`, "0", "false", "[]", "{}", `"0001-01-01T00:00:00Z"`, `"00000000-0000-0000-0000-000000000000"`:
		return true
	}
	return false
}
