package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/engine"
	"drpd/pkg/resource"
)

// WhoAmIRequest is what an agent knows of the hardware it runs on.
type WhoAmIRequest struct {
	MacAddrs    []string
	OnDiskUUID  string
	Fingerprint api.Fingerprint
	Env         string // the boot environment that the agent runs in
}

// WhoAmIReply names the machine and gives the agent its token.
type WhoAmIReply struct {
	Result WhoAmIResult
}

// WhoAmIResult is the best match; Uuid is "" if there is none.
type WhoAmIResult struct {
	Score int
	Uuid  string
	Token string
}

// WhyReply explains one object.
type WhyReply struct {
	Object    string // kind/key
	Waits     []*engine.Wait
	BootSteps []api.BootStep
	LastJob   *api.Job         `json:",omitempty"`
	Actions   []*api.BMCAction // of the management controller, newest last
	Says      []string         // the same in sentences, most telling first
}

// TokenReply is a granted token, and what GET /info tells of the server that
// takes it.
type TokenReply struct {
	Token string
	Info  any `json:",omitempty"`
}

func (s *server) specialRoutes(g *echo.Group) {
	g.POST("/whoami", s.whoami)
	g.GET("/prefs", s.getPrefs)
	g.POST("/prefs", s.setPrefs)
	g.GET("/info", s.info)
	g.GET("/objects", s.objects)
	g.GET("/indexes", s.indexes)
	g.GET("/indexes/:prefix", s.indexes)
	g.GET("/engine/waits", s.waits)
	g.GET("/why/:kind/:id", s.why)
	g.POST("/events", s.publish)
	g.GET("/audit", s.auditTrail)
	if k := s.kinds[api.Users.Name]; k != nil {
		h := &kindServer{s, k}
		g.GET("/users/:id/token", h.userToken)
		g.PUT("/users/:id/password", h.password)
		g.POST("/users/:id/revoke", h.revoke)
	}
	for _, mk := range api.MachineLike() {
		if k := s.kinds[mk.Name]; k != nil {
			h := &kindServer{s, k}
			g.GET("/"+mk.Name+"/:id/token", h.machineToken)
			g.POST("/"+mk.Name+"/:id/revoke", h.revoke)
		}
	}
	if k := s.kinds[api.Jobs.Name]; k != nil {
		h := &kindServer{s, k}
		g.POST("/jobs", h.nextJob)
		g.GET("/jobs/:id/actions", h.jobActions)
	}
}

func (s *server) whoami(c echo.Context) error {
	var req WhoAmIRequest
	if err := s.bodyInto(c, &req); err != nil {
		return err
	}
	if err := allow(c, "whoami", "create", ""); err != nil {
		return err
	}
	if s.cfg.WhoAmI == nil {
		return notWired("whoami")
	}
	r, err := s.cfg.WhoAmI(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

func (s *server) prefs(c echo.Context) map[string]string {
	out, id := map[string]string{}, identity(c)
	for p := range api.Preferences.All(s.cfg.DB.View()) {
		if id.Allow("preferences", "get", p.Name) || id.Allow("prefs", "get", p.Name) {
			out[p.Name] = p.Value
		}
	}
	return out
}

func (s *server) getPrefs(c echo.Context) error { return c.JSON(http.StatusOK, s.prefs(c)) }

func (s *server) setPrefs(c echo.Context) error {
	var in map[string]string
	if err := s.bodyInto(c, &in); err != nil {
		return err
	}
	for name := range in {
		if !slices.Contains(s.cfg.PrefNames, name) {
			return resource.Errorf(resource.Malformed, "preferences", name, "unknown preference: use one of %s", strings.Join(s.cfg.PrefNames, ", "))
		}
		if err := allow(c, "preferences", "update:/Value", name); err != nil {
			return err
		}
	}
	err := s.cfg.DB.Update(c.Request().Context(), func(tx *resource.Tx) error {
		for name, value := range in {
			if err := api.Preferences.Put(tx, &api.Preference{Name: name, Value: value}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, s.prefs(c))
}

func (s *server) info(c echo.Context) error {
	if s.cfg.Info == nil {
		return notWired("info")
	}
	if err := allow(c, "info", "get", ""); err != nil {
		return err
	}
	v, err := s.cfg.Info(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func (s *server) objects(c echo.Context) error {
	names := []string{}
	for _, k := range s.cfg.DB.Kinds() {
		names = append(names, k.KindName())
	}
	return c.JSON(http.StatusOK, names)
}

// indexInfo describes one index as DRP does.
type indexInfo struct {
	Type   string
	Unique bool
}

func (s *server) indexes(c echo.Context) error {
	all := map[string]map[string]indexInfo{}
	for _, k := range s.cfg.DB.Kinds() {
		m := map[string]indexInfo{"Key": {"string", true}}
		for _, name := range k.IndexNames() {
			m[name] = indexInfo{Type: "string"}
		}
		all[k.KindName()] = m
	}
	prefix := c.Param("prefix")
	if prefix == "" {
		return c.JSON(http.StatusOK, all)
	}
	if all[prefix] == nil {
		return resource.Errorf(resource.NotFound, prefix, "", "no such kind")
	}
	return c.JSON(http.StatusOK, all[prefix])
}

func (s *server) waits(c echo.Context) error {
	kind, key, ok := strings.Cut(c.QueryParam("object"), "/")
	if !ok {
		return resource.Errorf(resource.Malformed, "waits", "", "say which object, as ?object=machines/<uuid>")
	}
	out := []*engine.Wait{}
	if s.kinds[engine.Waits.Name] != nil && identity(c).Allow(kind, "get", key) {
		for w := range engine.Waits.By(s.cfg.DB.View(), engine.ByObject, kind+"/"+key) {
			out = append(out, w)
		}
	}
	return c.JSON(http.StatusOK, out)
}

func (s *server) why(c echo.Context) error {
	k := s.kinds[c.Param("kind")]
	if k == nil {
		return resource.Errorf(resource.NotFound, c.Param("kind"), "", "no such kind")
	}
	o, err := (&kindServer{s, k}).visible(c, s.cfg.DB.View())
	if err != nil {
		return err
	}
	if s.cfg.Why == nil {
		return notWired("why")
	}
	r, err := s.cfg.Why(c.Request().Context(), o)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

func (s *server) publish(c echo.Context) error {
	var e resource.Event
	if err := s.bodyInto(c, &e); err != nil {
		return err
	}
	if e.Type == "" || e.Action == "" || s.kinds[e.Type] != nil {
		return resource.Errorf(resource.Invalid, "events", e.Key, "an event has a Type that is no kind of object, and an Action")
	}
	if err := allow(c, "events", "create", e.Type); err != nil {
		return err
	}
	e.Principal = identity(c).Name
	s.cfg.DB.Publish(e)
	return c.NoContent(http.StatusNoContent)
}

func (h *kindServer) action(c echo.Context) error {
	cmd := c.Param("cmd")
	o, data, err := h.operation(c, cmd)
	if err != nil {
		return err
	}
	if h.cfg.Action == nil {
		return notWired("actions")
	}
	params := map[string]any{}
	if len(data) > 0 {
		if err := fromJSON(data, &params); err != nil {
			return err
		}
	}
	reply, err := h.cfg.Action(c.Request().Context(), o, cmd, params)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, reply)
}

// operation reads what actions and verbs have in common.
func (h *kindServer) operation(c echo.Context, name string) (resource.Object, json.RawMessage, error) {
	o, err := h.visible(c, h.cfg.DB.View())
	if err != nil {
		return o, nil, err
	}
	if err := allow(c, o.Kind, "action:"+name, o.Key); err != nil {
		return o, nil, err
	}
	if err := h.refuseLocked(c, o, nil); err != nil {
		return o, nil, err
	}
	data, err := optionalBody(c, h.cfg.BodyLimit)
	return o, data, err
}

func (h *kindServer) verb(c echo.Context) error {
	name := c.Param("verb")
	verb := h.cfg.Verbs[h.kind.KindName()+"/"+name]
	if verb == nil {
		return noRoute(c)
	}
	o, data, err := h.operation(c, name)
	if err != nil {
		return err
	}
	status, reply, err := verb(c.Request().Context(), o, data, c.QueryParams())
	if err != nil {
		return err
	}
	return answer(c, status, reply)
}
