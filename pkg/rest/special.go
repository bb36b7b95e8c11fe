package rest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"drpd/pkg/api"
	"drpd/pkg/auth"
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
	g.GET("/indexes/:prefix", s.kindIndexes)
	g.GET("/indexes/:prefix/*", s.oneIndex)
	g.GET("/logs", s.logLines)
	s.actionRoutes(g, "/system/actions", s.systemActions())
	s.consensusRoutes(g)
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
	r, err := s.cfg.WhoAmI(c.Request().Context(), identity(c), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
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
	if e.Type == "" || e.Action == "" || s.kinds[e.Type] != nil || e.Type == auth.EventType {
		return resource.Errorf(resource.Invalid, "events", e.Key, "an event has a Type that is no kind of object nor %s, and an Action", auth.EventType)
	}
	if err := allow(c, "events", "create", e.Type); err != nil {
		return err
	}
	e.Principal = identity(c).Name
	s.cfg.DB.Publish(e)
	return noContent(c, http.StatusNoContent)
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
