package rest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/auth"
	"drpd/pkg/resource"
)

// userToken grants a token, limited to ?roles= or to one claim of ?scope=,
// ?action= and ?specific=.
func (h *kindServer) userToken(c echo.Context) error {
	o, ttl, err := h.tokenRequest(c)
	if err != nil {
		return err
	}
	var n auth.Narrow
	if r := c.QueryParam("roles"); r != "" {
		n.Roles = strings.Split(r, ",")
	}
	q := c.QueryParams()
	if q.Has("scope") || q.Has("action") || q.Has("specific") {
		all := func(name string) string { return cmp.Or(q.Get(name), "*") }
		n.Claim = &api.Claim{Scope: all("scope"), Action: all("action"), Specific: all("specific")}
	}
	t, err := h.cfg.Auth.UserToken(identity(c), o.Key, ttl, n)
	if err != nil {
		return err
	}
	return h.granted(c, t)
}

func (h *kindServer) machineToken(c echo.Context) error {
	o, ttl, err := h.tokenRequest(c)
	if err != nil {
		return err
	}
	t, err := h.cfg.Auth.MachineToken(identity(c), o.Key, ttl)
	if err != nil {
		return err
	}
	return h.granted(c, t)
}

// granted answers with a token. It is the one GET that is recorded: who holds
// a token is who may act.
func (h *kindServer) granted(c echo.Context, t string) error {
	ctx := c.Request().Context()
	reply := TokenReply{Token: t}
	if h.cfg.Info != nil {
		var err error
		if reply.Info, err = h.cfg.Info(ctx, base(c)); err != nil {
			return err
		}
	}
	h.cfg.Auth.Audit(ctx, auth.Record{Action: "token", Actor: identity(c).Name, Status: http.StatusOK})
	return c.JSON(http.StatusOK, reply)
}

func (h *kindServer) tokenRequest(c echo.Context) (resource.Object, time.Duration, error) {
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return o, 0, err
	}
	if err := allow(c, o.Kind, "token", o.Key); err != nil {
		return o, 0, err
	}
	ttl, err := parseTTL(c.QueryParam("ttl"))
	return o, ttl, err
}

// parseTTL reads seconds, a Go duration, or whole days, weeks or years (3y).
func parseTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second, nil
	}
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour} {
		if num, ok := strings.CutSuffix(s, unit); ok {
			if n, err := strconv.Atoi(num); err == nil && n > 0 && n < 10000 {
				return time.Duration(n) * d, nil
			}
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, resource.Errorf(resource.Malformed, "", "", "ttl %q is neither seconds nor a duration such as 8h or 3y", s)
}

func (h *kindServer) password(c echo.Context) error {
	var in struct{ Password string }
	if err := h.bodyInto(c, &in); err != nil {
		return err
	}
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return err
	}
	if err := allow(c, o.Kind, "password", o.Key); err != nil {
		return err
	}
	if err := h.cfg.Auth.SetPassword(c.Request().Context(), identity(c), o.Key, in.Password); err != nil {
		return err
	}
	return h.reply(c, http.StatusOK, o)
}

// revoke ends all tokens of a user or machine.
func (h *kindServer) revoke(c echo.Context) error {
	o, _, err := h.operation(c, "revoke")
	if err != nil {
		return err
	}
	if err := h.cfg.Auth.Revoke(c.Request().Context(), o.Kind, o.Key); err != nil {
		return err
	}
	return noContent(c, http.StatusNoContent)
}

// maxRecords bounds one answer of the audit trail.
const maxRecords = 1000

// auditTrail lists who did what lately, newest first: ?limit=, ?actor=,
// ?path= (the beginning of it).
func (s *server) auditTrail(c echo.Context) error {
	if err := allow(c, auth.EventType, "list", ""); err != nil {
		return err
	}
	limit := maxRecords
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRecords {
			return resource.Errorf(resource.Malformed, auth.EventType, "", "limit=%q is not a number from 1 to %d", text, maxRecords)
		}
		limit = n
	}
	actor, path := c.QueryParam("actor"), c.QueryParam("path")
	return c.JSON(http.StatusOK, s.cfg.Auth.Records(limit, func(r auth.Record) bool {
		return (actor == "" || r.Actor == actor) && strings.HasPrefix(r.Path, path)
	}))
}

// maySeal refuses to set secure params without the claim to: by their names.
func (h *kindServer) maySeal(c echo.Context, key string, names []string) error {
	v := h.cfg.DB.View()
	secure := slices.ContainsFunc(names, func(name string) bool {
		def, err := api.ParamDefs.Get(v, name)
		return err == nil && def.Secure
	})
	if !secure {
		return nil
	}
	return allow(c, h.kind.KindName(), "updateSecure", key)
}

// paramNames are the params among changed paths.
func paramNames(changed []string) []string {
	var out []string
	for _, path := range changed {
		if name, ok := strings.CutPrefix(path, "/Params/"); ok {
			out = append(out, strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
	}
	return out
}
