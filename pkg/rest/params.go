package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/resource"
)

// paramsOf returns the params that a request asks for.
func (h *kindServer) paramsOf(c echo.Context) (resource.Object, map[string]any, error) {
	v := h.cfg.DB.View()
	o, err := h.visible(c, v)
	if err != nil {
		return o, nil, err
	}
	aggregate, decode := isTrue(c.QueryParam("aggregate")), isTrue(c.QueryParam("decode"))
	if decode {
		if err := allow(c, o.Kind, "getSecure", o.Key); err != nil {
			return o, nil, err
		}
	}
	if h.cfg.Params != nil {
		m, err := h.cfg.Params(v, o, aggregate, decode)
		return o, m, err
	}
	if aggregate || decode {
		return o, nil, notWired("aggregate or decode")
	}
	return o, *h.kind.ParamsOf(o.Val), nil
}

func (h *kindServer) getParams(c echo.Context) error {
	_, m, err := h.paramsOf(c)
	if err != nil {
		return err
	}
	if only := shapeOf(c.QueryParams()).only; len(only) > 0 {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(name string, _ any) bool { return !slices.Contains(only, name) })
	}
	if m == nil {
		m = map[string]any{}
	}
	return c.JSON(http.StatusOK, m)
}

func paramName(c echo.Context) (string, error) {
	name := c.Param("*")
	if name == "" {
		return "", resource.Errorf(resource.Malformed, "params", name, "give the param's name after params/")
	}
	return name, nil
}

func (h *kindServer) getParam(c echo.Context) error {
	name, err := paramName(c)
	if err != nil {
		return err
	}
	if isTrue(c.QueryParam("aggregate")) && !isTrue(c.QueryParam("decode")) && h.cfg.Param != nil {
		return h.nearest(c, name)
	}
	_, m, err := h.paramsOf(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, m[name]) // null if not set, as DRP
}

// nearest is one param of all that apply, without looking at the others.
func (h *kindServer) nearest(c echo.Context, name string) error {
	v := h.cfg.DB.View()
	o, err := h.visible(c, v)
	if err != nil {
		return err
	}
	value, _ := h.cfg.Param(v, o.Val, name)
	return c.JSON(http.StatusOK, value)
}

// editParams changes the params of an object through change, which checks what
// the caller may set.
func (h *kindServer) editParams(c echo.Context, edit func(old json.RawMessage) (json.RawMessage, error)) (resource.Object, error) {
	return h.change(c, editField("Params", edit))
}

func editField(field string, edit func(json.RawMessage) (json.RawMessage, error)) func(resource.Object) ([]byte, error) {
	return func(o resource.Object) ([]byte, error) {
		m, err := raw(o.JSON)
		if err != nil {
			return nil, err
		}
		if emptyJSON(m[field]) {
			m[field] = json.RawMessage("{}")
		}
		if m[field], err = edit(m[field]); err != nil {
			return nil, err
		}
		return json.Marshal(m)
	}
}

func (h *kindServer) setParams(c echo.Context) error {
	data, err := body(c, h.cfg.BodyLimit)
	if err != nil {
		return err
	}
	if _, err := raw(data); err != nil {
		return err
	}
	o, err := h.editParams(c, func(json.RawMessage) (json.RawMessage, error) { return data, nil })
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, h.kind.ParamsOf(o.Val))
}

func (h *kindServer) patchParams(c echo.Context) error {
	data, err := body(c, h.cfg.BodyLimit)
	if err != nil {
		return err
	}
	p, err := parsePatch(data)
	if err != nil {
		return err
	}
	o, err := h.editParams(c, func(old json.RawMessage) (json.RawMessage, error) { return p.apply(old) })
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, h.kind.ParamsOf(o.Val))
}

func (h *kindServer) setParam(c echo.Context) error {
	name, err := paramName(c)
	if err != nil {
		return err
	}
	data, err := body(c, h.cfg.BodyLimit)
	if err != nil {
		return err
	}
	if !json.Valid(data) {
		return resource.Errorf(resource.Malformed, "params", name, "the body is not one JSON value")
	}
	_, err = h.editParams(c, func(old json.RawMessage) (json.RawMessage, error) {
		m, err := raw(old)
		if err != nil {
			return nil, err
		}
		m[name] = data
		return json.Marshal(m)
	})
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, data)
}

func (h *kindServer) deleteParam(c echo.Context) error {
	name, err := paramName(c)
	if err != nil {
		return err
	}
	var gone json.RawMessage
	_, err = h.editParams(c, func(old json.RawMessage) (json.RawMessage, error) {
		m, err := raw(old)
		if err != nil {
			return nil, err
		}
		var ok bool
		if gone, ok = m[name]; !ok {
			return nil, resource.Errorf(resource.NotFound, "params", name, "not set on this object")
		}
		delete(m, name)
		return json.Marshal(m)
	})
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, gone)
}

// publicKey answers with the NaCl key for secure params, as a base64 string.
func (h *kindServer) publicKey(c echo.Context) error {
	if h.cfg.PublicKey == nil {
		return notWired("secure params")
	}
	var key []byte
	err := h.cfg.DB.Update(c.Request().Context(), func(tx *resource.Tx) error {
		o, err := h.visible(c, tx)
		if err != nil {
			return err
		}
		o = api.Stored(o)
		key, err = h.cfg.PublicKey(tx, o.Kind, o.Key)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, key)
}

func (h *kindServer) getMeta(c echo.Context) error {
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	meta := map[string]string{}
	if common := h.kind.CommonOf(o.Val); common != nil && common.Meta != nil {
		meta = common.Meta
	}
	return c.JSON(http.StatusOK, meta)
}

func (h *kindServer) patchMeta(c echo.Context) error {
	data, err := body(c, h.cfg.BodyLimit)
	if err != nil {
		return err
	}
	p, err := parsePatch(data)
	if err != nil {
		return err
	}
	edit := editField("Meta", func(old json.RawMessage) (json.RawMessage, error) { return p.apply(old) })
	o, err := h.change(c, edit)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, h.kind.CommonOf(o.Val).Meta)
}
