package rest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// pathID is the object that a URL names, by key or as Index:value.
func pathID(c echo.Context) (string, error) {
	return c.Param("id"), nil
}

// visible looks an object up by key or Index:value; one that the caller may not
// get does not exist for it.
func (h *kindServer) visible(c echo.Context, r resource.Reader) (resource.Object, error) {
	ref, err := pathID(c)
	if err != nil {
		return resource.Object{}, err
	}
	o, err := h.lookup(r, ref)
	if err != nil {
		return o, err
	}
	if !identity(c).Allow(h.kind.KindName(), "get", o.Key) {
		return o, resource.Errorf(resource.NotFound, h.kind.KindName(), ref, "not found")
	}
	return o, nil
}

// lookup finds an object by key or as Index:value; addresses of reservations
// and leases also as eight hexadecimal digits, as DRP's clients write them.
func (h *kindServer) lookup(r resource.Reader, ref string) (resource.Object, error) {
	o, err := h.kind.Lookup(r, ref)
	if err == nil || h.kind.KindName() != api.Reservations.Name && h.kind.KindName() != api.Leases.Name {
		return o, err
	}
	if b, bad := hex.DecodeString(ref); bad == nil && len(b) == 4 {
		return h.kind.Lookup(r, netip.AddrFrom4([4]byte(b)).String())
	}
	return o, err
}

func etag(rev uint64) string { return `"` + strconv.FormatUint(rev, 10) + `"` }

// read answers GET and HEAD of one object.
func (h *kindServer) read(c echo.Context) error {
	o, err := h.current(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(o.Rev))
	if sameTag(c, o) {
		return c.NoContent(http.StatusNotModified)
	}
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	if h.kind.KindName() == api.ContentPacks.Name { // read alone, a pack is shown whole
		return c.JSONBlob(http.StatusOK, o.JSON)
	}
	view := shapeOf(c.QueryParams())
	if err := h.mayDecode(c, []resource.Object{o}, view); err != nil {
		return err
	}
	data, err := h.render(nil, h.cfg.DB.View(), o, view)
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, data)
}

// sameTag honors If-None-Match.
func sameTag(c echo.Context, o resource.Object) bool {
	tag := strings.TrimPrefix(c.Request().Header.Get("If-None-Match"), "W/")
	return tag == etag(o.Rev) || tag == "*"
}

func (h *kindServer) create(c echo.Context) error {
	data, err := body(c, h.bodyLimit())
	if err != nil {
		return err
	}
	data, claimed, err := h.plain(data)
	if err != nil {
		return err
	}
	val, err := h.kind.Decode(data)
	if err != nil {
		return err
	}
	if err := allow(c, h.kind.KindName(), "create", h.kind.KeyOf(val)); err != nil {
		return err
	}
	if err := h.maySet(c, data); err != nil {
		return err
	}
	if p := h.kind.ParamsOf(val); p != nil {
		if err := h.maySeal(c, h.kind.KeyOf(val), slices.Collect(maps.Keys(*p))); err != nil {
			return err
		}
	}
	var made resource.Object
	err = h.cfg.DB.Update(hooked(c), func(tx *resource.Tx) (err error) {
		if err := h.refuseUnfit(c, tx, nil, val); err != nil {
			return err
		}
		if err = h.kind.CreateAny(tx, val); resource.CodeOf(err) == resource.Malformed {
			return &fail{http.StatusBadRequest, "CREATE", err}
		} else if err != nil {
			return err
		}
		if made, err = h.kind.Lookup(tx, h.kind.KeyOf(val)); err != nil {
			return err
		}
		outcome(c, http.StatusCreated, made)
		return agree(made, claimed)
	})
	if err != nil {
		return err
	}
	return h.reply(c, http.StatusCreated, made)
}

// maySet refuses what a machine may not say of the object that it creates.
func (h *kindServer) maySet(c echo.Context, data []byte) error {
	id := identity(c)
	if id.IsUser() {
		return nil
	}
	is, err := raw(data)
	if err != nil {
		return err
	}
	for _, path := range changes(map[string]json.RawMessage{}, is) {
		if !id.MaySet(h.kind.KindName(), path) {
			return resource.Errorf(resource.Forbidden, h.kind.KindName(), "", "%s may not set %s of what it creates: a user may, afterwards", id.Name, path[1:])
		}
	}
	return nil
}

// hooked is the context of an update, with what its hooks are asked for.
func hooked(c echo.Context) context.Context {
	o := resource.Options{Force: isTrue(c.QueryParam("force")), ReplaceWritable: isTrue(c.QueryParam("replaceWritable"))}
	return resource.WithOptions(c.Request().Context(), o)
}

func (h *kindServer) bodyLimit() int64 {
	if h.kind.KindName() == api.ContentPacks.Name {
		return h.cfg.PackLimit
	}
	return h.cfg.BodyLimit
}

// reply shows an object as it is durable now: availability and revision are
// known only after the update.
func (h *kindServer) reply(c echo.Context, status int, o resource.Object) error {
	if now, err := h.kind.Lookup(h.cfg.DB.View(), o.Key); err == nil {
		o = now
	}
	data, err := h.render(nil, h.cfg.DB.View(), o, shape{})
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(o.Rev))
	return c.JSONBlob(status, data)
}

func (h *kindServer) replace(c echo.Context) error {
	data, err := body(c, h.bodyLimit())
	if err != nil {
		return err
	}
	o, err := h.change(c, func(o resource.Object) ([]byte, error) { return h.whole(data, o) })
	if err != nil {
		return err
	}
	return h.reply(c, http.StatusOK, o)
}

func (h *kindServer) patch(c echo.Context) error {
	data, err := body(c, h.bodyLimit())
	if err != nil {
		return err
	}
	p, err := parsePatch(data)
	if err != nil {
		return err
	}
	if err := p.refuseFields(h.kind); err != nil {
		return err
	}
	o, err := h.changeBy(c, func(tx *resource.Tx, o resource.Object) error { return h.saveWith(c, tx, o, p) })
	if err != nil {
		return err
	}
	return h.reply(c, http.StatusOK, o)
}

func (h *kindServer) remove(c echo.Context) error {
	var gone resource.Object
	err := h.cfg.DB.Update(hooked(c), func(tx *resource.Tx) error {
		o, err := h.visible(c, tx)
		if err != nil {
			return err
		}
		if err := allow(c, o.Kind, "delete", o.Key); err != nil {
			return err
		}
		if err := matches(c, o); err != nil {
			return err
		}
		if err := h.refuseLocked(c, o, nil); err != nil {
			return err
		}
		gone = o
		outcome(c, http.StatusOK, o)
		return h.kind.Delete(tx, o.Key)
	})
	if err != nil {
		return err
	}
	data, err := h.render(nil, h.cfg.DB.View(), gone, shape{})
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, data)
}

// matches honors If-Match.
func matches(c echo.Context, o resource.Object) error {
	want := strings.TrimPrefix(c.Request().Header.Get("If-Match"), "W/")
	if want == "" || want == "*" || want == etag(o.Rev) {
		return nil
	}
	err := failf(http.StatusPreconditionFailed, "Conflict", "the object is at revision %s, not %s: read it again", etag(o.Rev), want)
	return keyed(err, o)
}

// raw reads the top level of our own encoding of an object.
func raw(data []byte) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, resource.Errorf(resource.Malformed, "", "", "the body is not a JSON object: %v", err)
	}
	return m, nil
}
